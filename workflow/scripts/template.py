"""Resample the template to the MNI grid of the run."""

from typing import TYPE_CHECKING

import numpy as np

from stfpm3d.imaging.template import brain_mask, build_template
from stfpm3d.imaging.volumes import load_mask, load_volume, save_volume
from stfpm3d.runtime.logs import rule_log

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with rule_log(snakemake.log[0]):
    own_mask = snakemake.input.get("brain_mask")
    mask = load_mask(own_mask, "template") if own_mask else brain_mask()
    template = build_template(load_volume(snakemake.input["head"], "template"), mask, snakemake.params["resolution_mm"])
    for name, volume in template._asdict().items():
        save_volume(snakemake.output[name], volume, np.uint8 if name == "mask" else np.float32)

"""Render one subject of the demo cohort."""

from typing import TYPE_CHECKING

import numpy as np

from stfpm3d.demo.heads import render_head
from stfpm3d.demo.render import render_subject
from stfpm3d.imaging.volumes import load_volume, save_volume
from stfpm3d.runtime.logs import rule_log

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with rule_log(snakemake.log[0]):
    anatomy = [load_volume(snakemake.input[name], "demo") for name in ("head", "gm", "wm", "csf")]
    settings = [snakemake.wildcards["sub"], *(snakemake.params[name] for name in ("group", "site", "seed"))]
    scenario = snakemake.params["scenario"]
    if scenario == "tumours":
        rendered = render_subject(*settings, *anatomy)
    else:
        rendered = render_head(*settings, *anatomy, lesions=scenario == "matched")
    save_volume(snakemake.output["image"], rendered.image)
    if rendered.lesion_mask is not None:
        save_volume(snakemake.output["lesion_mask"], rendered.lesion_mask, np.uint8)

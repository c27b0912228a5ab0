"""Skull-strip one registered scan."""

from typing import TYPE_CHECKING

import numpy as np

from stfpm3d.imaging.skullstrip import brain_support, strip
from stfpm3d.imaging.volumes import load_mask, load_volume, save_volume
from stfpm3d.runtime.logs import rule_log

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with rule_log(snakemake.log[0]):
    subject = snakemake.wildcards["sub"]
    image = load_volume(snakemake.input["image"], subject)
    support = brain_support(image, load_mask(snakemake.input["brain_mask"], "template"), subject)
    save_volume(snakemake.output["image"], strip(image, support))
    save_volume(snakemake.output["mask"], support, np.uint8)

"""Replace a lesion's region in a copy of one scan."""

from typing import TYPE_CHECKING

import numpy as np

from stfpm3d.imaging.removal import write_copy
from stfpm3d.imaging.standardize import read_landmarks
from stfpm3d.imaging.volumes import load_mask, load_volume
from stfpm3d.runtime.logs import rule_log

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with rule_log(snakemake.log[0]):
    subject = snakemake.wildcards["sub"]
    with np.load(snakemake.input["statistics"]) as arrays:
        healthy_mean = arrays["mean"]
    write_copy(
        load_volume(snakemake.input["image"], subject),
        load_mask(snakemake.input["support"], subject),
        load_mask(snakemake.input["lesion_mask"], subject),
        snakemake.output["image"],
        snakemake.output["region"],
        landmarks=read_landmarks(snakemake.input["landmarks"]),
        healthy_mean=healthy_mean,
        subject=subject,
    )

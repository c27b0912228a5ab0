"""Standardize one stripped scan."""

from typing import TYPE_CHECKING

from stfpm3d.imaging.standardize import read_landmarks, standardize
from stfpm3d.imaging.volumes import Volume, load_mask, load_volume, save_volume
from stfpm3d.runtime.logs import rule_log

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with rule_log(snakemake.log[0]):
    subject = snakemake.wildcards["sub"]
    image = load_volume(snakemake.input["image"], subject)
    mask = load_mask(snakemake.input["mask"], subject)
    landmarks = read_landmarks(snakemake.input["landmarks"])
    data = standardize(image.data, mask.data, landmarks, subject)
    save_volume(snakemake.output["image"], Volume(data, image.affine))

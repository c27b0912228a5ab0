"""Register one scan to the MNI template."""

from typing import TYPE_CHECKING

from stfpm3d.imaging.registration import apply_transform, estimate_transform
from stfpm3d.imaging.volumes import load_volume, save_volume
from stfpm3d.study.logs import rule_log

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with rule_log(snakemake.log[0]):
    subject = snakemake.wildcards["sub"]
    scan = load_volume(snakemake.input["image"], subject)
    template = load_volume(snakemake.input["template"], "template")
    estimate_transform(scan, template, snakemake.output["to_mni"], seed=snakemake.params["seed"], subject=subject)
    save_volume(snakemake.output["image"], apply_transform(scan, template, snakemake.output["to_mni"]))

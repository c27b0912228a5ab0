"""Register one scan to the MNI template."""

from typing import TYPE_CHECKING

from stfpm3d.imaging.background import check_skull_stripped, zero_background
from stfpm3d.imaging.registration import apply_transform, estimate_transform, write_identity
from stfpm3d.imaging.volumes import load_volume, save_volume
from stfpm3d.runtime.logs import rule_log

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with rule_log(snakemake.log[0]):
    subject = snakemake.wildcards["sub"]
    scan = zero_background(load_volume(snakemake.input["image"], subject))
    check_skull_stripped(scan, snakemake.params["skull_stripped"], subject, snakemake.input["image"])
    template = load_volume(snakemake.input["template"], "template")
    transform = list(snakemake.output["transform"])
    settings = {"kind": snakemake.params["transform"], "seed": snakemake.params["seed"]}
    if settings["kind"] == "none":
        write_identity(scan, template, transform[0], f"{subject}: {snakemake.input['image']}")
    else:
        estimate_transform(scan, template, transform, **settings, subject=subject)
    save_volume(snakemake.output["image"], apply_transform(scan, template, transform))

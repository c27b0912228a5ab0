"""Register one scan to the MNI template."""

from typing import TYPE_CHECKING

from stfpm3d.imaging.background import check_skull_stripped, load_scan
from stfpm3d.imaging.placement import Target
from stfpm3d.imaging.registration import apply_transform, register, write_registration
from stfpm3d.imaging.volumes import load_mask, load_volume, save_volume
from stfpm3d.runtime.logs import rule_log

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with rule_log(snakemake.log[0]):
    given, output, subject = snakemake.input, snakemake.output, snakemake.wildcards["sub"]
    stripped = snakemake.params["skull_stripped"]
    scan = load_scan(given["scan"], subject)
    check_skull_stripped(scan, stripped, subject, given["scan"])
    template = load_volume(given["template"], "template")
    found = register(
        scan,
        Target(template, load_mask(given["brain_mask"], "template"), stripped),
        output["transform"],
        kind=snakemake.params["transform"],
        seed=snakemake.params["seed"],
        who=f"{subject}: {given['scan']}",
    )
    write_registration(output["placement"], found)
    image = scan if given["image"] == given["scan"] else load_scan(given["image"], subject)
    save_volume(output["image"], apply_transform(image, template, output["transform"]))

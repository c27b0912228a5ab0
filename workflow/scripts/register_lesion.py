"""Bring one lesion mask to the MNI grid."""

from typing import TYPE_CHECKING

import numpy as np

from stfpm3d.imaging.background import check_lesion, load_scan
from stfpm3d.imaging.registration import apply_transform
from stfpm3d.imaging.volumes import check_same_grid, load_mask, save_volume
from stfpm3d.runtime.logs import rule_log

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with rule_log(snakemake.log[0]) as log:
    subject = snakemake.wildcards["sub"]
    scan = load_scan(snakemake.input["image"], subject)
    lesion = load_mask(snakemake.input["lesion_mask"], subject)
    check_same_grid(lesion, scan, f"{subject}: {snakemake.input['lesion_mask']}")
    check_lesion(lesion, scan, subject, snakemake.input["lesion_mask"])
    template = load_mask(snakemake.input["template"], "template")
    registered = apply_transform(lesion, template, snakemake.input["transform"])
    if not registered.data.any():
        log.warning("%s: the lesion is too small for the template's grid, and is not measured", subject)
    save_volume(snakemake.output["lesion_mask"], registered, np.uint8)

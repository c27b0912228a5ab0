"""Fit mean and SD of every voxel over the healthy training scans."""

from typing import TYPE_CHECKING

import numpy as np

from stfpm3d.imaging.volumes import load_mask, load_volume
from stfpm3d.maps.baselines import fit_statistics
from stfpm3d.runtime.files import replacing
from stfpm3d.runtime.logs import progress, rule_log

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with rule_log(snakemake.log[0]):
    pairs = list(zip(snakemake.input["images"], snakemake.input["supports"], strict=True))
    scans = ((load_volume(image), load_mask(support)) for image, support in progress(pairs, "z-score statistics"))
    statistics = fit_statistics(scans)
    with replacing(snakemake.output["statistics"]) as temporary:
        np.savez_compressed(temporary, **statistics._asdict())

"""Place the network's crop in MNI space."""

from typing import TYPE_CHECKING

import numpy as np

from stfpm3d.imaging.grid import brain_cut_share, mask_on_network_grid, midline_grid, network_grid, write_grid
from stfpm3d.imaging.volumes import load_mask
from stfpm3d.runtime.files import replacing
from stfpm3d.runtime.logs import rule_log

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with rule_log(snakemake.log[0]) as log:
    brain_mask = load_mask(snakemake.input["brain_mask"], "template")
    sampling = snakemake.params["sampling"]
    around_midline = "spacing_mm" in sampling
    grid = (
        midline_grid(brain_mask, **sampling)
        if around_midline
        else network_grid(brain_mask, snakemake.params["crop_mm"], **sampling)
    )
    cut_share = brain_cut_share(brain_mask, grid)
    log.log(30 if cut_share > 0.01 else 20, "the crop cuts off %.2f %% of the template brain", 100 * cut_share)
    write_grid(snakemake.output["grid"], grid, cut_share)
    with replacing(snakemake.output["mask"]) as temporary:
        np.save(temporary, mask_on_network_grid(brain_mask, grid))

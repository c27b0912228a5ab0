"""Bring a teacher's atlas to the network's grid."""

from typing import TYPE_CHECKING

import numpy as np

from stfpm3d.imaging.atlas import atlas_channel, coordinate_channel
from stfpm3d.imaging.grid import read_grid
from stfpm3d.runtime.files import replacing
from stfpm3d.runtime.logs import rule_log

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with rule_log(snakemake.log[0]):
    grid, path = read_grid(snakemake.input["grid"]), snakemake.input.get("atlas")
    channel = atlas_channel(path, grid) if path else coordinate_channel(grid.shape)
    with replacing(snakemake.output["channel"]) as temporary:
        np.save(temporary, channel)

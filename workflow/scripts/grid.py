"""Bring one standardized scan to the network's grid."""

from typing import TYPE_CHECKING

import numpy as np

from stfpm3d.imaging.grid import read_grid, to_network_grid
from stfpm3d.imaging.volumes import load_volume
from stfpm3d.runtime.files import replacing
from stfpm3d.runtime.logs import rule_log

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with rule_log(snakemake.log[0]):
    image = load_volume(snakemake.input["image"], snakemake.wildcards["sub"])
    array = to_network_grid(image, read_grid(snakemake.input["grid"]))
    with replacing(snakemake.output["array"]) as temporary:
        np.save(temporary, array)

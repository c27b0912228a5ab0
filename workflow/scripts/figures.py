"""Draw the paper's figures 2, 3 and 4 of one scan."""

from typing import TYPE_CHECKING

import numpy as np

from stfpm3d.imaging.grid import read_grid
from stfpm3d.imaging.volumes import load_mask, load_volume
from stfpm3d.reporting.paper_figures import paper_figures
from stfpm3d.runtime.files import replacing
from stfpm3d.runtime.logs import rule_log

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with rule_log(snakemake.log[0]):
    given, sub = snakemake.input, snakemake.wildcards["sub"]
    with np.load(given["embeddings"]) as arrays:
        pictures = paper_figures(
            load_volume(given["image"], sub),
            load_mask(given["brain_mask"], "template"),
            load_mask(given["lesion_mask"], sub) if given["lesion_mask"] else None,
            dict(arrays),
            read_grid(given["grid"]),
        )
    for name, picture in pictures.items():
        with replacing(snakemake.output[name]) as temporary:
            temporary.write_bytes(picture)

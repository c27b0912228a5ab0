"""Fit a Gaussian to the features of healthy scans."""

from pathlib import Path
from typing import TYPE_CHECKING

from stfpm3d.maps.gaussian import save_gaussian
from stfpm3d.maps.network import fit_features, load_block_maps
from stfpm3d.runtime.logs import rule_log

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with rule_log(snakemake.log[0]):
    given = snakemake.input
    block_maps = load_block_maps(dict(given.items()), **snakemake.params["networks"])
    gaussian = fit_features(block_maps, [Path(path) for path in given["arrays"]])
    save_gaussian(Path(snakemake.output["gaussian"]), gaussian)

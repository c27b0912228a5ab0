"""Fit a Gaussian to the features of healthy scans."""

from pathlib import Path
from typing import TYPE_CHECKING

from stfpm3d.learning.anomaly import fit_features, load_block_maps
from stfpm3d.learning.density import save_gaussian
from stfpm3d.study.logs import rule_log

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with rule_log(snakemake.log[0]):
    student = Path(snakemake.input["student"]) if snakemake.input["student"] else None
    block_maps = load_block_maps(Path(snakemake.input["teacher"]), student, None, **snakemake.params["compute"])
    gaussian = fit_features(block_maps, [Path(path) for path in snakemake.input["arrays"]])
    save_gaussian(Path(snakemake.output["gaussian"]), gaussian)

"""Take one new scan through all stages, and write how it went."""

from pathlib import Path
from typing import TYPE_CHECKING

from stfpm3d.prediction.data_set import read_own_bundle
from stfpm3d.prediction.scans import GivenScan
from stfpm3d.prediction.stages import Compute, ScanStages, write_status
from stfpm3d.runtime.logs import rule_log

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with rule_log(snakemake.log[0]):
    params, status = snakemake.params, Path(snakemake.output["status"])
    out = status.parents[2]
    bundle = read_own_bundle(out, params["bundle"])
    stages = ScanStages(GivenScan(**params["scan"]), bundle, out, Compute(**params["compute"]))
    write_status(status, stages.predict() | params["record"])

"""Take one new scan through all stages, and write how it went."""

from pathlib import Path
from typing import TYPE_CHECKING

from stfpm3d.prediction.bundle import read_bundle
from stfpm3d.prediction.scans import GivenScan
from stfpm3d.prediction.stages import Compute, ScanStages, write_status
from stfpm3d.runtime.logs import rule_log

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with rule_log(snakemake.log[0]):
    params, status = snakemake.params, Path(snakemake.output["status"])
    bundle = read_bundle(Path(snakemake.input["bundle"]).parent)
    stages = ScanStages(GivenScan(**params["scan"]), bundle, status.parents[2], Compute(**params["compute"]))
    write_status(status, stages.predict())

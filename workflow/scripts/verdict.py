"""Fail where a scan was refused; all that could be made stands."""

from typing import TYPE_CHECKING

from stfpm3d.prediction.gathering import check_all_predicted
from stfpm3d.runtime.logs import rule_log

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with rule_log(snakemake.log[0]):
    check_all_predicted(snakemake.input["table"], snakemake.params["scans"])

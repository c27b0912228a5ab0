"""Fetch a TemplateFlow template."""

from typing import TYPE_CHECKING

from stfpm3d.imaging.template import fetch_templateflow
from stfpm3d.runtime.logs import rule_log

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with rule_log(snakemake.log[0]):
    outputs = {part: snakemake.output[part] for part in ("head", "brain_mask")}
    settings = (snakemake.params[name] for name in ("sha256", "record"))
    fetch_templateflow(snakemake.params["name"], outputs, *settings)

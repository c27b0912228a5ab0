"""Fetch a network's ImageNet weights."""

from typing import TYPE_CHECKING

from stfpm3d.learning.imagenet import fetch_weights, imagenet_url
from stfpm3d.runtime.logs import rule_log

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with rule_log(snakemake.log[0]):
    fetch_weights(imagenet_url(snakemake.wildcards["architecture"]), snakemake.output["weights"])

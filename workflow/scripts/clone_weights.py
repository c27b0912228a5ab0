"""Take the ImageNet weights that come with the clone."""

from typing import TYPE_CHECKING

from stfpm3d.learning.clone_weights import copy_weights
from stfpm3d.runtime.logs import rule_log

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with rule_log(snakemake.log[0]):
    copy_weights(snakemake.input["weights"], snakemake.output["weights"])

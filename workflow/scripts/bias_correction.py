"""Correct the bias field of one native scan."""

from typing import TYPE_CHECKING

from stfpm3d.imaging.background import load_scan
from stfpm3d.imaging.bias import correct_bias
from stfpm3d.imaging.volumes import save_volume
from stfpm3d.runtime.logs import rule_log

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with rule_log(snakemake.log[0]):
    scan = load_scan(snakemake.input["image"], snakemake.wildcards["sub"])
    save_volume(snakemake.output["image"], correct_bias(scan))

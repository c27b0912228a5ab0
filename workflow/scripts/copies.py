"""Measure one method's anomaly maps of a batch of altered copies of scans."""

from typing import TYPE_CHECKING

from stfpm3d.imaging.volumes import load_mask
from stfpm3d.methods.registry import map_maker
from stfpm3d.probes.copies import copy_table, measure_copies
from stfpm3d.runtime.files import write_table
from stfpm3d.runtime.logs import rule_log

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with rule_log(snakemake.log[0]):
    given, params = snakemake.input, snakemake.params
    make = map_maker(params["maker"], params["settings"], dict(given.items()))
    copies = copy_table(params["copies"], given)
    brain_mask = load_mask(given["brain_mask"], "template")
    write_table(snakemake.output["table"], measure_copies(snakemake.wildcards["kind"], copies, make, brain_mask))

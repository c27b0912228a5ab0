"""Summarise the folds of a cross-validation."""

from typing import TYPE_CHECKING

from stfpm3d.evaluation.folds import summarise_folds
from stfpm3d.reporting.folds_page import write_folds_page
from stfpm3d.runtime.files import read_table, write_table
from stfpm3d.runtime.logs import rule_log

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with rule_log(snakemake.log[0]):
    summary = summarise_folds([read_table(path) for path in snakemake.input["metrics"]])
    write_table(snakemake.output["metrics"], summary)
    write_folds_page(
        snakemake.output["page"],
        snakemake.input["template"],
        summary,
        snakemake.input["reports"],
        quality_page="results/qc/index.html",
    )

"""Gather the tables of all experiments, and compare these."""

from typing import TYPE_CHECKING

import pandas as pd

from stfpm3d.evaluation.comparison import compare_metrics, compare_patients
from stfpm3d.runtime.files import read_table, write_table
from stfpm3d.runtime.logs import rule_log

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with rule_log(snakemake.log[0]):
    patients = pd.concat(read_table(path) for path in snakemake.input["patients"])
    tables = {
        "metrics": compare_metrics([read_table(path) for path in snakemake.input["metrics"]]),
        "scores": pd.concat(read_table(path) for path in snakemake.input["scores"]),
        "comparisons": compare_patients(patients, snakemake.params["reference"]),
    }
    for name, table in tables.items():
        write_table(snakemake.output[name], table)

"""Tell which synthetic lesions one experiment detects."""

from typing import TYPE_CHECKING

import pandas as pd

from stfpm3d.probes.synthetic import detected_lesions, synthetic_metrics
from stfpm3d.runtime.files import read_table, write_table
from stfpm3d.runtime.logs import rule_log

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with rule_log(snakemake.log[0]):
    metrics = read_table(snakemake.input["metrics"]).set_index(["protocol", "split", "metric"])["value"]
    lesions = pd.concat([read_table(path) for path in snakemake.input["lesions"]], ignore_index=True)
    lesions = detected_lesions(lesions, float(metrics["strict", "val", "threshold"]))
    experiment = snakemake.wildcards["experiment"]
    tables = {"lesions": lesions, "metrics": synthetic_metrics(experiment, lesions)}
    for name, table in tables.items():
        write_table(snakemake.output[name], table)

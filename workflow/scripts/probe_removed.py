"""Test whether one experiment's scores tell patients from healthy scans after their lesions were removed."""

from typing import TYPE_CHECKING

import pandas as pd

from stfpm3d.evaluation.protocol import metric_table
from stfpm3d.probes.separation import removed_rows
from stfpm3d.runtime.files import read_table, write_table
from stfpm3d.runtime.logs import rule_log

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with rule_log(snakemake.log[0]):
    tables = [read_table(path) for path in snakemake.input["scores"]]
    scans = pd.concat(tables) if tables else pd.DataFrame(snakemake.params["scans"])
    rows = removed_rows(scans)
    write_table(snakemake.output["metrics"], metric_table(snakemake.wildcards["experiment"], "probes", rows))

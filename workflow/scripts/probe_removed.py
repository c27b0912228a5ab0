"""Test whether one experiment's scores tell patients from healthy scans after their lesions were removed."""

from typing import TYPE_CHECKING

import pandas as pd

from stfpm3d.evaluation.probes import probe_table, removed_rows
from stfpm3d.study.files import replacing
from stfpm3d.study.logs import rule_log

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with rule_log(snakemake.log[0]):
    scores = snakemake.input["scores"]
    scans = pd.read_csv(scores, sep="\t") if scores else pd.DataFrame(snakemake.params["scans"])
    with replacing(snakemake.output["metrics"]) as temporary:
        table = probe_table(snakemake.wildcards["experiment"], removed_rows(scans))
        table.to_csv(temporary, sep="\t", index=False, na_rep="n/a")

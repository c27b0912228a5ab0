"""Measure one experiment's false alarms at each site, at the threshold of the others."""

from typing import TYPE_CHECKING

import pandas as pd

from stfpm3d.evaluation.protocol import metric_table
from stfpm3d.imaging.volumes import load_mask
from stfpm3d.maps.tables import read_maps
from stfpm3d.probes.sites import SITE_COLUMNS, site_rates, site_row
from stfpm3d.runtime.files import write_table
from stfpm3d.runtime.logs import rule_log

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with rule_log(snakemake.log[0]):
    experiment = snakemake.wildcards["experiment"]
    scans = pd.DataFrame(snakemake.params["scans"]).merge(
        read_maps(snakemake.input["maps"]), "left", "scan_id", validate="one_to_one"
    )
    brain_mask = load_mask(snakemake.input["brain_mask"], "template")
    rates = site_rates(scans, brain_mask, snakemake.params["healthy_quantile"])
    tables = {
        "sites": rates.assign(experiment=experiment)[SITE_COLUMNS],
        "metrics": metric_table(experiment, "probes", [site_row(rates)]),
    }
    for name, table in tables.items():
        write_table(snakemake.output[name], table)

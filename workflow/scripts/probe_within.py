"""Measure one experiment's maps of lesions against other places of the same scans."""

from typing import TYPE_CHECKING

import pandas as pd

from stfpm3d.evaluation.protocol import metric_table
from stfpm3d.imaging.volumes import load_mask
from stfpm3d.maps.tables import read_maps
from stfpm3d.probes.within import within_rows
from stfpm3d.runtime.files import write_table
from stfpm3d.runtime.logs import rule_log

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with rule_log(snakemake.log[0]):
    given = snakemake.input
    scans = pd.DataFrame(snakemake.params["scans"]).merge(
        read_maps(given["maps"]), "left", "scan_id", validate="one_to_one"
    )
    masks = dict(zip(snakemake.params["masked"], given["lesion_masks"], strict=True))
    scans["lesion_mask"] = scans["scan_id"].map(masks)
    rows = within_rows(scans, load_mask(given["brain_mask"], "template"))
    write_table(snakemake.output["metrics"], metric_table(snakemake.wildcards["experiment"], "probes", rows))

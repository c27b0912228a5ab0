"""Write the template's brain mask as the anomaly map of each of one part's scans."""

from typing import TYPE_CHECKING

import pandas as pd

from stfpm3d.imaging.volumes import load_mask
from stfpm3d.maps.form import write_maps
from stfpm3d.runtime.logs import rule_log

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with rule_log(snakemake.log[0]):
    scans = pd.DataFrame({"scan_id": snakemake.params["subjects"], "map": snakemake.output["maps"]})
    brain_mask = load_mask(snakemake.input["brain_mask"], "template")
    write_maps(scans, lambda scan: brain_mask, brain_mask, snakemake.output["scores"])

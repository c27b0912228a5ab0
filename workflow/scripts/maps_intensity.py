"""Write the standardized intensity of one part's scans as anomaly maps."""

from typing import TYPE_CHECKING

import pandas as pd

from stfpm3d.imaging.volumes import load_mask, load_volume
from stfpm3d.maps.baselines import intensity_map
from stfpm3d.maps.form import write_maps
from stfpm3d.runtime.logs import rule_log

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def anomaly_map(scan):
    """The map of one row of the table below."""
    image, support = load_volume(scan["image"], scan["scan_id"]), load_mask(scan["support"])
    return intensity_map(image, support, snakemake.params["lesion_sign"])


with rule_log(snakemake.log[0]):
    scans = pd.DataFrame(
        {
            "scan_id": snakemake.params["subjects"],
            "image": snakemake.input["images"],
            "support": snakemake.input["supports"],
            "map": snakemake.output["maps"],
        }
    )
    brain_mask = load_mask(snakemake.input["brain_mask"], "template")
    write_maps(scans, anomaly_map, brain_mask, snakemake.output["scores"])

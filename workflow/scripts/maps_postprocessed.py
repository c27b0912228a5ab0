"""Post-process one part's maps of another experiment."""

from typing import TYPE_CHECKING

import pandas as pd

from stfpm3d.imaging.volumes import load_mask, load_volume
from stfpm3d.maps.form import write_maps
from stfpm3d.maps.postprocessing import postprocessed
from stfpm3d.runtime.logs import rule_log

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def processed(scan):
    """The map of one row of the table below."""
    source, support = load_volume(scan["source"], scan["scan_id"]), load_mask(scan["support"])
    return postprocessed(source, support, brain_mask, subject=scan["scan_id"], **snakemake.params["step"])


with rule_log(snakemake.log[0]):
    scans = pd.DataFrame(
        {
            "scan_id": snakemake.params["subjects"],
            "source": snakemake.input["sources"],
            "support": snakemake.input["supports"],
            "map": snakemake.output["maps"],
        }
    )
    brain_mask = load_mask(snakemake.input["brain_mask"], "template")
    write_maps(scans, processed, brain_mask, snakemake.output["scores"])

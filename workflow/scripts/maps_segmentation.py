"""Segment one part's maps of another experiment."""

import math
from typing import TYPE_CHECKING

import pandas as pd

from stfpm3d.imaging.volumes import load_mask, load_volume
from stfpm3d.maps.form import ScoredMap, write_maps
from stfpm3d.maps.segmentation import segment
from stfpm3d.runtime.logs import rule_log

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake


def lesions(scan):
    """The lesions in the map of one row of the table below; a segmentation detects nothing (paper, experiment 4)."""
    source, support = load_volume(scan["source"], scan["scan_id"]), load_mask(scan["support"])
    found = segment(source, support.data & brain_mask.data, snakemake.params["top_fraction"])
    return ScoredMap(found, math.nan)


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
    write_maps(scans, lesions, brain_mask, snakemake.output["scores"])

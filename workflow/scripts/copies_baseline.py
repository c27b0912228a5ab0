"""Measure intensity or z-scores of altered copies of scans."""

from typing import TYPE_CHECKING

import numpy as np

from stfpm3d.imaging.volumes import load_mask, load_volume
from stfpm3d.maps.baselines import NormativeStatistics, intensity_map, zscore_map
from stfpm3d.probes.copies import copy_table, measure_copies
from stfpm3d.runtime.files import write_table
from stfpm3d.runtime.logs import rule_log

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with rule_log(snakemake.log[0]):
    given = snakemake.input
    statistics = None
    if given["statistics"]:
        with np.load(given["statistics"]) as arrays:
            statistics = NormativeStatistics(**arrays)

    def anomaly_map(copy):
        """The map of one row of the table below."""
        image, support = load_volume(copy["image"], copy["scan_id"]), load_mask(copy["support"])
        if statistics is None:
            return intensity_map(image, support, snakemake.params["lesion_sign"])
        return zscore_map(image, support, statistics, smoothing_mm=snakemake.params["smoothing_mm"])

    copies = copy_table(snakemake.params["copies"], given)
    brain_mask = load_mask(given["brain_mask"], "template")
    measured = measure_copies(snakemake.params["what"], copies, anomaly_map, brain_mask)
    write_table(snakemake.output["table"], measured)

"""Measure an f-AnoGAN's maps of scans with synthetic lesions."""

from pathlib import Path
from typing import TYPE_CHECKING

from stfpm3d.evaluation.paired import lesion_table, measure_lesions
from stfpm3d.imaging.grid import read_grid, to_network_grid
from stfpm3d.imaging.volumes import load_mask, load_volume
from stfpm3d.learning.fanogan_maps import FanoganMaps
from stfpm3d.study.files import replacing
from stfpm3d.study.logs import rule_log

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with rule_log(snakemake.log[0]):
    given = snakemake.input
    grid = read_grid(given["grid"])
    maps = FanoganMaps(Path(given["model"]), grid, kappa=snakemake.params["kappa"], **snakemake.params["compute"])

    def anomaly_map(lesion):
        """The map and score of one row of the table below."""
        array = to_network_grid(load_volume(lesion["image"], lesion["scan_id"]), grid)
        return maps.of_array(array, load_mask(lesion["support"]))

    lesions = lesion_table(snakemake.params["lesions"], given, given["scores"])
    measured = measure_lesions(lesions, anomaly_map, load_mask(given["brain_mask"], "template"))
    with replacing(snakemake.output["lesions"]) as temporary:
        measured.to_csv(temporary, sep="\t", index=False, na_rep="n/a")

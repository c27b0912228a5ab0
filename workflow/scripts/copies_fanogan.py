"""Measure an f-AnoGAN's maps of altered copies of scans."""

from pathlib import Path
from typing import TYPE_CHECKING

from stfpm3d.imaging.grid import read_grid, to_network_grid
from stfpm3d.imaging.volumes import load_mask, load_volume
from stfpm3d.maps.reconstruction import FanoganMaps
from stfpm3d.probes.copies import copy_table, measure_copies
from stfpm3d.runtime.files import write_table
from stfpm3d.runtime.logs import rule_log

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with rule_log(snakemake.log[0]):
    given = snakemake.input
    grid = read_grid(given["grid"])
    maps = FanoganMaps(Path(given["model"]), grid, kappa=snakemake.params["kappa"], **snakemake.params["compute"])

    def anomaly_map(copy):
        """The map and score of one row of the table below."""
        array = to_network_grid(load_volume(copy["image"], copy["scan_id"]), grid)
        return maps.of_array(array, load_mask(copy["support"]))

    copies = copy_table(snakemake.params["copies"], given)
    brain_mask = load_mask(given["brain_mask"], "template")
    measured = measure_copies(snakemake.params["what"], copies, anomaly_map, brain_mask)
    write_table(snakemake.output["table"], measured)

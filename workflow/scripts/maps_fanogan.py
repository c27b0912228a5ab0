"""Make the anomaly maps of one part from an f-AnoGAN."""

from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from stfpm3d.imaging.grid import read_grid
from stfpm3d.imaging.volumes import load_mask
from stfpm3d.maps.form import write_maps
from stfpm3d.maps.reconstruction import FanoganMaps
from stfpm3d.runtime.logs import rule_log

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with rule_log(snakemake.log[0]):
    scans = pd.DataFrame(
        {
            "scan_id": snakemake.params["subjects"],
            "array": snakemake.input["arrays"],
            "support": snakemake.input["supports"],
            "map": snakemake.output["maps"],
        }
    )
    anomaly_map = FanoganMaps(
        Path(snakemake.input["model"]),
        read_grid(snakemake.input["grid"]),
        kappa=snakemake.params["kappa"],
        **snakemake.params["compute"],
    )
    brain_mask = load_mask(snakemake.input["brain_mask"], "template")
    write_maps(scans, anomaly_map, brain_mask, snakemake.output["scores"])

"""Make the anomaly maps of one part from networks."""

from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from stfpm3d.imaging.grid import read_grid
from stfpm3d.imaging.volumes import load_mask
from stfpm3d.maps.form import write_maps
from stfpm3d.maps.network import NetworkMaps, load_block_maps
from stfpm3d.runtime.logs import rule_log

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with rule_log(snakemake.log[0]):
    given = snakemake.input
    scans = pd.DataFrame(
        {
            "scan_id": snakemake.params["subjects"],
            "array": given["arrays"],
            "support": given["supports"],
            "map": snakemake.output["maps"],
            "blocks": snakemake.output["blocks"],
        }
    )
    scans["fitted"] = scans["scan_id"].isin(snakemake.params["fitted"])
    others = [Path(given[name]) if given[name] else None for name in ("student", "gaussian", "atlas")]
    block_maps = load_block_maps(Path(given["teacher"]), *others, **snakemake.params["compute"])
    anomaly_map = NetworkMaps(block_maps, read_grid(given["grid"]), **snakemake.params["settings"])
    write_maps(scans, anomaly_map, load_mask(given["brain_mask"], "template"), snakemake.output["scores"])

"""Write the report."""

import os
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from stfpm3d.imaging.grid import read_grid
from stfpm3d.imaging.volumes import load_mask
from stfpm3d.maps.form import read_maps
from stfpm3d.reporting.networks import read_network
from stfpm3d.reporting.provenance import config_text, stages
from stfpm3d.reporting.report import Run, write_report
from stfpm3d.runtime.files import read_table
from stfpm3d.runtime.logs import rule_log

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

SETTINGS = ("sites", "modality", "experiments", "shown", "initial", "healthy_quantile", "min_lesion_ml", "excluded")

with rule_log(snakemake.log[0]):
    given, params, page = snakemake.input, snakemake.params, snakemake.output["page"]
    tables = iter(given["maps"])
    maps = {name: read_maps(islice(tables, number)).set_index("scan_id") for name, number in params["maps"].items()}
    scans = pd.DataFrame(params["tested"]).assign(image=given["images"])
    scans = scans.merge(maps[params["shown"]], "left", "scan_id", validate="one_to_one")
    scans["lesion_mask"] = scans["scan_id"].map(dict(zip(params["masked"], given["lesion_masks"], strict=True)))
    names = [network.partition("/")[2] for network in params["networks"]]
    quality_page = Path(given["registration"]).with_name("index.html")
    run = Run(
        config=config_text(snakemake.config),
        seeds=params["seeds"],
        stages=stages(Path("benchmarks", *Path(snakemake.log[0]).parts[1:-1])),
        settings=params["settings"],
        is_demo=params["is_demo"],
        quality_page=None if params["pseudonyms"] else os.path.relpath(quality_page, Path(page).parent),
    )
    write_report(
        page,
        template=given["template"],
        volumes=snakemake.output["volumes"],
        metrics=read_table(given["metrics"]),
        scores=read_table(given["scores"]),
        curves=pd.concat(read_table(path) for path in given["curves"]),
        patients=pd.concat(read_table(path) for path in given["patients"]),
        lesions=pd.concat(read_table(path) for path in given["lesions"]),
        comparisons=read_table(given["comparisons"]),
        scans=scans,
        maps={name: dict(zip(map(str, table.index), table["map"], strict=True)) for name, table in maps.items()},
        most_pictures=params["pictures"],
        brain_mask=load_mask(given["brain_mask"], "template"),
        grid=read_grid(given["grid"]),
        registration=read_table(given["registration"]),
        networks=list(zip(names, map(read_network, given["networks"]), strict=True)),
        trainings=dict(zip(params["trainings"], map(read_table, given["trainings"]), strict=True)),
        run=run,
        anonymous=params["pseudonyms"],
        **{name: params[name] for name in SETTINGS},
    )

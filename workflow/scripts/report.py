"""Write the report."""

import os
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from stfpm3d.imaging.grid import read_grid
from stfpm3d.imaging.volumes import load_mask
from stfpm3d.maps.tables import read_maps
from stfpm3d.reporting.networks import read_network
from stfpm3d.reporting.pictures import picture_scans
from stfpm3d.reporting.provenance import config_text, stages
from stfpm3d.reporting.report import Run, write_report
from stfpm3d.reporting.results import Results
from stfpm3d.runtime.files import read_table
from stfpm3d.runtime.logs import rule_log

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

OF_ALL = ("metrics", "scores", "comparisons", "registration")
OF_EACH = ("curves", "patients", "lesions")  # one table an experiment
SETTINGS = ("modality", "experiments", "shown", "initial", "healthy_quantile", "min_lesion_ml", "excluded")

with rule_log(snakemake.log[0]):
    given, params, page = snakemake.input, snakemake.params, snakemake.output["page"]
    masks = dict(zip(params["masked"], given["lesion_masks"], strict=True))
    scans = pd.DataFrame(params["tested"]).assign(image=given["images"])
    map_tables = iter(given["maps"])
    results = Results(
        **{name: read_table(given[name]) for name in OF_ALL},
        **{name: pd.concat(map(read_table, given[name])) for name in OF_EACH},
        scans=scans.assign(lesion_mask=scans["scan_id"].map(masks)),
        maps={name: read_maps(islice(map_tables, n)).set_index("scan_id") for name, n in params["maps"].items()},
        sites=params["sites"],
    ).identified(anonymous=params["pseudonyms"])
    template = {"brain_mask": load_mask(given["brain_mask"], "template"), "grid": read_grid(given["grid"])}
    pictures = picture_scans(
        results,
        snakemake.output["volumes"],
        shown=params["shown"],
        blocks=params["experiments"][params["shown"]]["blocks"],
        most=params["pictures"],
        min_lesion_ml=params["min_lesion_ml"],
        **template,
    )
    quality_page = Path(given["registration"]).with_name("index.html")
    run = Run(
        config=config_text(snakemake.config),
        seeds=params["seeds"],
        stages=stages(Path("benchmarks", *Path(snakemake.log[0]).parts[1:-1])),
        settings=params["settings"],
        is_demo=params["is_demo"],
        quality_page=None if params["pseudonyms"] else os.path.relpath(quality_page, Path(page).parent),
    )
    names = [network.partition("/")[2] for network in params["networks"]]
    write_report(
        page,
        given["template"],
        results,
        pictures,
        networks=list(zip(names, map(read_network, given["networks"]), strict=True)),
        trainings=dict(zip(params["trainings"], map(read_table, given["trainings"]), strict=True)),
        run=run,
        **template,
        **{name: params[name] for name in SETTINGS},
    )

"""Measure one experiment."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from stfpm3d.evaluation.experiment import evaluate_experiment, score_table
from stfpm3d.imaging.grid import inside_crop, read_grid
from stfpm3d.imaging.volumes import load_mask
from stfpm3d.maps.tables import read_maps
from stfpm3d.runtime.files import write_table
from stfpm3d.runtime.logs import rule_log

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with rule_log(snakemake.log[0]):
    experiment = snakemake.wildcards["experiment"]
    scans = pd.DataFrame(snakemake.params["scans"])
    if snakemake.input["maps"]:
        scans = scans.merge(read_maps(snakemake.input["maps"]), "left", "scan_id", validate="one_to_one")
    else:  # the bare brain mask
        scans = scans.assign(map=snakemake.input["brain_mask"], score=np.nan)
    masks = dict(zip(snakemake.params["masked"], snakemake.input["lesion_masks"], strict=True))
    scans["lesion_mask"] = scans["scan_id"].map(masks)
    brain_mask = load_mask(snakemake.input["brain_mask"], "template")
    crop = inside_crop(brain_mask, read_grid(snakemake.input["grid"]))
    settings = {
        name: snakemake.params[name] for name in ("healthy_quantile", "threshold", "min_lesion_ml", "protocols")
    }
    measured = evaluate_experiment(experiment, scans, brain_mask, crop, **settings)
    for name, table in {**measured._asdict(), "scores": score_table(experiment, scans)}.items():
        write_table(snakemake.output[name], table)

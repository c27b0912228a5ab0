"""The page of a cross-validation: mean and SD over the folds, and the way to each fold's own report."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from stfpm3d.reporting.pages import write_page

SHOWN = {
    "image_auroc": "Image AUROC",
    "image_ap": "Image AP",
    "voxel_auroc": "Voxel AUROC",
    "voxel_auprc": "Voxel AUPRC",
    "patient_ap": "AP per patient",
    "dice": "Dice",
    "lesion_recall": "Lesion recall",
    "lesion_precision": "Lesion precision",
    "healthy_fp_ml": "False alarms, ml",
    "synthetic_ap": "AP per synthetic lesion",
}


def write_folds_page(
    output: Path | str,
    template: Path | str,
    summary: pd.DataFrame,
    reports: Sequence[Path | str],
    quality_page: Path | str,
) -> None:
    """Write the page.

    Parameters
    ----------
    output
        The HTML file to write.
    template
        The Jinja template, beside its style.css.
    summary
        The table of `evaluation.folds.summarise_folds`.
    reports
        The report of each fold, in order; the page links to them relative to itself.
    quality_page
        The page of quality control, likewise.
    """
    strict = summary[(summary["protocol"] == "strict") & (summary["split"] == "test")]
    rows = strict.set_index(["experiment", "metric"]).to_dict("index")
    write_page(
        output,
        template,
        metrics={metric: label for metric, label in SHOWN.items() if metric in set(strict["metric"])},
        experiments=list(strict["experiment"].unique()),
        rows=rows,
        quality_page=os.path.relpath(quality_page, Path(output).parent),
        links=[os.path.relpath(path, Path(output).parent) for path in reports],
    )

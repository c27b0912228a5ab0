"""An experiment's rows in the tables of results (strict protocol)."""

from __future__ import annotations

import logging
from collections.abc import Sequence

import numpy as np
import pandas as pd
from sklearn.metrics import average_precision_score, roc_auc_score, roc_curve

from stfpm3d.evaluation.maps import bin_value, read_voxels
from stfpm3d.evaluation.voxelwise import PooledVoxels, quantile_threshold
from stfpm3d.imaging.volumes import Volume
from stfpm3d.study.errors import InputError
from stfpm3d.study.logs import progress

METRIC_COLUMNS = ["experiment", "protocol", "split", "metric", "value", "ci_low", "ci_high", "n_healthy", "n_patient"]
SCORE_COLUMNS = ["experiment", "participant_id", "group", "split", "score"]
CURVE_COLUMNS = ["experiment", "split", "curve", "x", "y"]
SPLITS = ("val", "test")

log = logging.getLogger(__name__)


def evaluate_experiment(
    experiment: str, scans: pd.DataFrame, brain_mask: Volume, *, healthy_quantile: float = 0.99
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Measure one experiment on its validation and test scans.

    The threshold of Dice and IoU is a quantile of the healthy validation scans' brain voxels: it needs no patient.
    A number that the scans do not allow (one group only, no lesion masks) is NaN.

    Parameters
    ----------
    experiment
        Name of the experiment.
    scans
        One row a scan: `participant_id`, `group` (healthy or patient), `split` (val or test), `map` (path, MNI grid),
        `score`, `lesion_mask` (path on the MNI grid, or missing).
    brain_mask
        The template's brain mask on the MNI grid.
    healthy_quantile
        Share of those voxels that lies below the threshold.

    Returns
    -------
    metrics
        Columns `METRIC_COLUMNS`. `n_healthy` and `n_patient` count the scans behind a value; the healthy scans behind
        the threshold of `dice` and `iou` are counted in the row `threshold`.
    curves
        Columns `CURVE_COLUMNS`: `image_roc` over scans, `roc` and `pr` over voxels pooled over patients.
    """
    scans = scans[scans["split"].isin(SPLITS)]
    pooled = {split: PooledVoxels() for split in SPLITS}
    for scan in progress(read_voxels(scans, brain_mask), f"evaluate {experiment}", len(scans)):
        pooled[scan.split].add(scan)

    validation = pooled["val"]
    threshold = quantile_threshold(validation.healthy, healthy_quantile) if validation.n_healthy else None
    value = np.nan if threshold is None else bin_value(threshold)
    metrics = [("val", "threshold", value, validation.n_healthy, 0)]
    curves = []
    for split in SPLITS:
        of_split = scans[scans["split"] == split]
        metrics += [(split, *row) for row in _image_metrics(of_split)]
        voxel_metrics = pooled[split].metrics(threshold)
        metrics += [(split, name, value, 0, pooled[split].n_patient) for name, value in voxel_metrics.items()]
        for name, (x, y) in (_image_roc(of_split) | pooled[split].curves()).items():
            curves.append(pd.DataFrame({"split": split, "curve": name, "x": x, "y": y}))
        log.info(
            "%s, %s: voxel AUPRC %.3f, prevalence %.4f, Dice %.3f (%d patients)",
            *(experiment, split, voxel_metrics["voxel_auprc"], voxel_metrics["prevalence"], voxel_metrics["dice"]),
            pooled[split].n_patient,
        )
    table = pd.DataFrame(metrics, columns=["split", "metric", "value", "n_healthy", "n_patient"])
    table = table.assign(experiment=experiment, protocol="strict", ci_low=np.nan, ci_high=np.nan)
    curve_table = pd.concat(curves) if curves else pd.DataFrame(columns=CURVE_COLUMNS)
    return table[METRIC_COLUMNS], curve_table.assign(experiment=experiment)[CURVE_COLUMNS]


def score_table(experiment: str, scans: pd.DataFrame) -> pd.DataFrame:
    """An experiment's scores, columns `SCORE_COLUMNS`; with `session_id` after `participant_id` where a cohort has
    sessions.
    """
    columns = list(SCORE_COLUMNS)
    if "session_id" in scans:
        columns.insert(columns.index("participant_id") + 1, "session_id")
    return scans.assign(experiment=experiment)[columns]


def compare_metrics(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """All experiments' metrics in one table.

    Raises
    ------
    InputError
        When two experiments' numbers stand on different scans: they could not be compared.
    """
    table = pd.concat(tables, ignore_index=True)
    counts = table.groupby(["protocol", "split", "metric"])[["n_healthy", "n_patient"]].nunique().max(axis=1)
    if (counts > 1).any():
        _, split, metric = counts.idxmax()  # pyright: ignore[reportGeneralTypeIssues]
        raise InputError(
            f"{metric} on the {split} split stands on different numbers of scans in different experiments; "
            "evaluate all of them on the same cohort."
        )
    return table


def _image_metrics(scans: pd.DataFrame) -> list[tuple[str, float, int, int]]:
    is_patient = scans["group"] == "patient"
    n_healthy, n_patient = int((~is_patient).sum()), int(is_patient.sum())
    both = n_healthy > 0 and n_patient > 0
    image_auroc = float(roc_auc_score(is_patient, scans["score"])) if both else np.nan
    image_ap = float(average_precision_score(is_patient, scans["score"])) if both else np.nan
    return [("image_auroc", image_auroc, n_healthy, n_patient), ("image_ap", image_ap, n_healthy, n_patient)]


def _image_roc(scans: pd.DataFrame) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    is_patient = scans["group"] == "patient"
    if is_patient.nunique() < 2:
        return {}
    false_positive_rate, true_positive_rate, _ = roc_curve(is_patient, scans["score"])
    return {"image_roc": (false_positive_rate, true_positive_rate)}

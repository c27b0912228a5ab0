"""An experiment's rows in the tables of results."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import pandas as pd

from stfpm3d.evaluation.maps import read_voxels
from stfpm3d.evaluation.paper import PaperProtocol
from stfpm3d.evaluation.protocol import SPLITS, EvaluationProtocol
from stfpm3d.evaluation.strict import StrictProtocol
from stfpm3d.imaging.volumes import Volume
from stfpm3d.study.errors import InputError
from stfpm3d.study.logs import progress

METRIC_COLUMNS = ["experiment", "protocol", "split", "metric", "value", "ci_low", "ci_high", "n_healthy", "n_patient"]
SCORE_COLUMNS = ["experiment", "participant_id", "group", "split", "score"]
CURVE_COLUMNS = ["experiment", "split", "curve", "x", "y"]

ProtocolName = Literal["strict", "paper"]


def evaluate_experiment(
    experiment: str,
    scans: pd.DataFrame,
    brain_mask: Volume,
    *,
    healthy_quantile: float | None = 0.99,
    protocols: Sequence[ProtocolName] = ("strict", "paper"),
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Measure one experiment on its validation and test scans, in one pass over its maps.

    A number that the scans do not allow (one group only, no lesion masks) is NaN.

    Parameters
    ----------
    experiment
        Name of the experiment.
    scans
        One row a scan: `participant_id`, `group` (healthy or patient), `split` (val or test), `map` (path, MNI grid),
        `score` (missing where the experiment gives none), `lesion_mask` (path on the MNI grid, or missing).
    brain_mask
        The template's brain mask on the MNI grid.
    healthy_quantile
        Share of the healthy validation scans' brain voxels that lies below the strict threshold of Dice and IoU; None
        where the maps are segmentations, 1 in lesions and 0 elsewhere, which need no threshold in either protocol.
    protocols
        Those to measure by: `strict` (`StrictProtocol`) and the paper's own (`PaperProtocol`).

    Returns
    -------
    metrics
        Columns `METRIC_COLUMNS`. `n_healthy` and `n_patient` count the scans behind a value; the scans behind the
        threshold of `dice` and `iou` are counted in the row `threshold`.
    curves
        Columns `CURVE_COLUMNS`, of the strict protocol: `image_roc` over scans, `roc` and `pr` over voxels pooled over
        patients.
    """
    scans = scans[scans["split"].isin(SPLITS)]
    known: dict[ProtocolName, EvaluationProtocol] = {
        "strict": StrictProtocol(healthy_quantile),
        "paper": PaperProtocol(segmented=healthy_quantile is None),
    }
    used = {name: known[name] for name in protocols}
    for scan in progress(read_voxels(scans, brain_mask), f"evaluate {experiment}", len(scans)):
        for protocol in used.values():
            protocol.add(scan)

    metrics, curves = [], []
    for name, protocol in used.items():
        metrics.append(pd.DataFrame(protocol.rows(scans)).assign(protocol=name))
        for (split, curve), (x, y) in protocol.curves(scans).items():
            curves.append(pd.DataFrame({"split": split, "curve": curve, "x": x, "y": y}))
    metric_table = pd.concat(metrics, ignore_index=True).assign(experiment=experiment, ci_low=np.nan, ci_high=np.nan)
    curve_table = pd.concat(curves) if curves else pd.DataFrame(columns=CURVE_COLUMNS)
    return metric_table[METRIC_COLUMNS], curve_table.assign(experiment=experiment)[CURVE_COLUMNS]


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
    measured = table[(table[["n_healthy", "n_patient"]] > 0).any(axis=1)]  # a segmentation's threshold is on no scan
    counts = measured.groupby(["protocol", "split", "metric"])[["n_healthy", "n_patient"]].nunique().max(axis=1)
    if (counts > 1).any():
        _, split, metric = counts.idxmax()  # pyright: ignore[reportGeneralTypeIssues]
        raise InputError(
            f"{metric} on the {split} split stands on different numbers of scans in different experiments; "
            "evaluate all of them on the same cohort."
        )
    return table

"""An experiment's rows in the tables of results."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from stfpm3d.evaluation.paper import PaperProtocol
from stfpm3d.evaluation.protocol import METRIC_COLUMNS, SPLITS, EvaluationProtocol, metric_table
from stfpm3d.evaluation.strict import PER_PATIENT, StrictProtocol
from stfpm3d.evaluation.voxels import read_voxels
from stfpm3d.imaging.volumes import Volume
from stfpm3d.runtime.logs import progress

SCORE_COLUMNS = ["experiment", "participant_id", "group", "split", "score"]
CURVE_COLUMNS = ["experiment", "split", "curve", "x", "y"]
LESION_COLUMNS = ["experiment", "participant_id", "lesion", "volume_ml", "detected"]
LESION_COUNTS = ["n_lesion", "n_detected", "n_component"]
PATIENT_COLUMNS = ["experiment", "participant_id", "lesion_ml", *PER_PATIENT, *LESION_COUNTS]

ProtocolName = Literal["strict", "paper"]


class Measured(NamedTuple):
    """What is measured of one experiment; `session_id` follows `participant_id` where a cohort has sessions."""

    metrics: pd.DataFrame
    """Columns `METRIC_COLUMNS`. `n_healthy` and `n_patient` count the scans behind a value; the scans behind the
    threshold of `dice` and `iou` are counted in the row `threshold`."""
    curves: pd.DataFrame
    """Columns `CURVE_COLUMNS`, of the strict protocol: `image_roc` over scans, `roc` and `pr` over voxels pooled over
    patients, `froc` over lesions; and `dice`, the patients' mean (y) where a share x of the healthy validation scans'
    brain voxels lies at or above the threshold."""
    patients: pd.DataFrame
    """Columns `PATIENT_COLUMNS`: each test patient's own values, by the strict protocol."""
    lesions: pd.DataFrame
    """Columns `LESION_COLUMNS`: each lesion of the test patients, detected (1) or not (0) at the strict threshold."""


def evaluate_experiment(
    experiment: str,
    scans: pd.DataFrame,
    brain_mask: Volume,
    crop: NDArray[np.bool_] | None = None,
    *,
    healthy_quantile: float | None = 0.99,
    threshold: float | None = None,
    min_lesion_ml: float | None = 0.05,
    protocols: Sequence[ProtocolName] = ("strict", "paper"),
) -> Measured:
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
    crop
        The voxels (X, Y, Z) of the MNI grid that the networks see, which the paper's protocol counts; None for all.
    healthy_quantile
        Share of the healthy validation scans' brain voxels that lies below the strict threshold of Dice and IoU; None
        where the maps are segmentations, 1 in lesions and 0 elsewhere, which need no threshold in either protocol.
    threshold
        The strict threshold of maps whose values have one by themselves, instead of that of healthy scans.
    min_lesion_ml
        Lesions and components of the maps below this volume do not count as such; None for the same as 0.
    protocols
        Those to measure by: `strict` (`StrictProtocol`) and the paper's own (`PaperProtocol`).
    """
    scans = scans[scans["split"].isin(SPLITS)]
    sizes = {"voxel_ml": brain_mask.voxel_ml, "min_lesion_ml": min_lesion_ml or 0.0}
    known: dict[ProtocolName, EvaluationProtocol] = {
        "strict": StrictProtocol(healthy_quantile, threshold=threshold, **sizes),
        "paper": PaperProtocol(segmented=healthy_quantile is None),
    }
    used = {name: known[name] for name in protocols}
    for scan in progress(read_voxels(scans, brain_mask, crop), f"evaluate {experiment}", len(scans)):
        for protocol in used.values():
            protocol.add(scan)

    parts: dict[str, list[pd.DataFrame]] = {name: [] for name in Measured._fields}
    for name, protocol in used.items():
        found = protocol.results(scans)
        parts["metrics"].append(metric_table(experiment, name, found.rows))
        for (split, curve), (x, y) in found.curves.items():
            parts["curves"].append(pd.DataFrame({"split": split, "curve": curve, "x": x, "y": y}))
        parts["patients"].append(found.patients)
        parts["lesions"].append(found.lesions)
    columns = (METRIC_COLUMNS, CURVE_COLUMNS, PATIENT_COLUMNS, LESION_COLUMNS)
    tables = (_gathered(found, experiment) for found in parts.values())
    return Measured(
        *(table.reindex(columns=_keyed(names, scans)) for table, names in zip(tables, columns, strict=True))
    )


def score_table(experiment: str, scans: pd.DataFrame) -> pd.DataFrame:
    """An experiment's scores, columns `SCORE_COLUMNS`.

    `session_id` stands after `participant_id` where a cohort has sessions.
    """
    return scans.assign(experiment=experiment)[_keyed(SCORE_COLUMNS, scans)]


def _gathered(tables: Sequence[pd.DataFrame], experiment: str) -> pd.DataFrame:
    filled = [table for table in tables if not table.empty]
    return pd.concat(filled, ignore_index=True).assign(experiment=experiment) if filled else pd.DataFrame()


def _keyed(columns: Sequence[str], scans: pd.DataFrame) -> list[str]:
    """The columns, with `session_id` after `participant_id` where the scans have sessions."""
    sessions = ["session_id"] if "session_id" in scans else []
    return [key for name in columns for key in (name, *(sessions if name == "participant_id" else ()))]

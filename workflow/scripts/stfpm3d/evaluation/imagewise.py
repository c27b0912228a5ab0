"""Detection: do the scans' scores tell patients from healthy scans?

A table of scans has `group` (healthy or patient) and `score`, one row a scan; where a score is missing, as for
segmentations, there is no detection.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from stfpm3d.evaluation.intervals import Estimate, interval
from stfpm3d.evaluation.voxelwise import Curve, roc_curve
from stfpm3d.imaging.ranking import Histogram, auroc, average_precision, ranked
from stfpm3d.study.cohort import scan_ids
from stfpm3d.study.split import hash_order


def is_measurable(scans: pd.DataFrame) -> bool:
    """Whether there are scores of both groups."""
    return scans["group"].nunique() == 2 and bool(scans["score"].notna().all())


def auroc_and_ap(scans: pd.DataFrame) -> tuple[float, float]:
    """Area under the ROC curve, and average precision, of patients against healthy scans; NaN if not measurable."""
    if not is_measurable(scans):
        return np.nan, np.nan
    counts = _counts(scans)
    return float(auroc(*counts)), float(average_precision(*counts))


def estimates(scans: pd.DataFrame) -> dict[str, Estimate]:
    """`image_auroc` and `image_ap` with their intervals; `scans` has `participant_id` too."""
    names = ("image_auroc", "image_ap")
    if not is_measurable(scans):
        return dict.fromkeys(names, Estimate(np.nan))
    values = np.unique(scans["score"])
    groups = [scans[scans["group"] == group] for group in ("healthy", "patient")]
    healthy, patient = (np.equal.outer(rows["score"].to_numpy(), values) for rows in groups)  # histograms of one scan
    subjects = [rows["participant_id"].tolist() for rows in groups]
    ends = [
        interval(lambda of_healthy, of_patient, area=area: area(of_healthy @ healthy, of_patient @ patient), *subjects)
        for area in (auroc, average_precision)
    ]
    return {name: Estimate(value, *end) for name, value, end in zip(names, auroc_and_ap(scans), ends, strict=True)}


def roc(scans: pd.DataFrame) -> Curve:
    """False and true positive rate at falling scores."""
    return roc_curve(*_counts(scans))


def _counts(scans: pd.DataFrame) -> tuple[Histogram, Histogram]:
    """How many healthy scans and how many patients have each score."""
    healthy, patient = (scans.loc[scans["group"] == group, "score"].to_numpy() for group in ("healthy", "patient"))
    return ranked(healthy, patient)


def equal_blocks(scans: pd.DataFrame) -> list[pd.DataFrame]:
    """The smaller group with each whole block of its size of the larger one, in which both groups weigh the same.

    The larger group is cut in hash order (seed 0): tables are often sorted by site, and a block would be one site. What
    is left after the last whole block is in none. Without one of the groups there is no block. Indexed by scan id.
    """
    groups = [rows.set_index(scan_ids(rows).rename(None)) for _, rows in scans.groupby("group")]
    if len(groups) < 2:
        return []
    smaller, larger = sorted(groups, key=len)
    size = len(smaller)
    ordered = larger.loc[hash_order(list(larger.index), seed=0)]
    return [pd.concat([smaller, ordered[start : start + size]]) for start in range(0, len(larger) - size + 1, size)]

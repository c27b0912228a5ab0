"""The place that the probes of the shortcut look away from: a patient's lesion, and the same place in healthy scans."""

from __future__ import annotations

from itertools import cycle

import pandas as pd

from stfpm3d.study.split import hash_order

MIN_SUBJECTS = 12
"""Subjects of each group from which on AUROC and p of a probe say something."""


def with_known_region(participants: pd.DataFrame) -> pd.DataFrame:
    """The rows of healthy scans, and of patients with a lesion mask; one who has no lesion has an empty mask.

    `participants` has one row a scan: `group`, and `lesion_mask` (None without one).
    """
    return participants[(participants["group"] == "healthy") | participants["lesion_mask"].notna()]


def region_patients(participants: pd.DataFrame) -> dict[str, str]:
    """The scan of the patient in whose lesion's place each scan is not looked at.

    A patient's own. Healthy scans get the patients one after another, both in hash order (seed 0), from the first
    again after the last, so that both groups lose the same regions.

    Parameters
    ----------
    participants
        Rows `with_known_region`: `scan_id`, `participant_id` and `group`.

    Returns
    -------
    By scan id; empty when a group has fewer than `MIN_SUBJECTS` subjects.
    """
    groups = {str(name): rows for name, rows in participants.groupby("group")}
    if len(groups) < 2 or min(rows["participant_id"].nunique() for rows in groups.values()) < MIN_SUBJECTS:
        return {}
    healthy, patients = (hash_order(list(groups[name]["scan_id"]), seed=0) for name in ("healthy", "patient"))
    return {scan: scan for scan in patients} | dict(zip(healthy, cycle(patients), strict=False))

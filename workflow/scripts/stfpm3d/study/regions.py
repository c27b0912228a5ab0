"""The place that the probes of the shortcut look away from: a patient's lesion, and the same place in healthy scans."""

from __future__ import annotations

from itertools import cycle

import pandas as pd

from stfpm3d.study.split import hash_order

MIN_SUBJECTS = 12
"""Subjects of each group from which on AUROC and p of a probe say something."""


def region_patients(participants: pd.DataFrame) -> dict[str, str]:
    """The scan of the patient in whose lesion's region each scan is left blank.

    A patient's own. Healthy scans get the patients one after another, both in hash order (seed 0), from the first
    again after the last, so that both groups lose the same regions.

    Parameters
    ----------
    participants
        One row a scan: `scan_id`, `participant_id`, `group` and `lesion_mask` (None without one). A patient without a
        mask has no known region and is left out; one without a lesion has an empty mask.

    Returns
    -------
    By scan id; empty when a group has fewer than `MIN_SUBJECTS` subjects.
    """
    known = participants[(participants["group"] == "healthy") | participants["lesion_mask"].notna()]
    groups = {str(name): rows for name, rows in known.groupby("group")}
    if len(groups) < 2 or min(rows["participant_id"].nunique() for rows in groups.values()) < MIN_SUBJECTS:
        return {}
    healthy, patients = (hash_order(list(groups[name]["scan_id"]), seed=0) for name in ("healthy", "patient"))
    return {scan: scan for scan in patients} | dict(zip(healthy, cycle(patients), strict=False))

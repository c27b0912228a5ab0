"""The test scans to look at first: what was missed, the worst, the median and the best, and the worst false alarm."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd

from stfpm3d.evaluation.marks import Marks

NUMBERS = ("lesion_ml", "dice", "patient_ap", "n_lesion", "n_detected")


class Case(NamedTuple):
    """A scan and why it is looked at; what is not available is NaN."""

    title: str
    scan_id: str
    lesion_ml: float
    """Of the whole scan, or of the lesion that was missed."""
    dice: float
    patient_ap: float
    n_lesion: float
    n_detected: float
    false_ml: float
    at_false: bool = False
    """Whether what is marked falsely is to be seen, not the lesion."""


def cases(patients: pd.DataFrame, lesions: pd.DataFrame, marked: Mapping[str, Marks]) -> list[Case]:
    """Choose the scans; one may stand for several.

    Parameters
    ----------
    patients, lesions
        The tables of one experiment's test patients and lesions (`evaluation.experiment`), with their `scan_id`.
    marked
        What it marks in each test scan, healthy ones as well; empty without a threshold.
    """
    by_dice = patients.sort_values(["dice", "patient_ap", "scan_id"]).dropna(subset="patient_ap")
    table = patients.set_index("scan_id").to_dict("index")

    def case(title: str, scan_id: str) -> Case:
        row = table.get(scan_id, {})
        lesion_ml, dice, ap, n_lesion, n_detected = (float(row.get(name, np.nan)) for name in NUMBERS)
        false_ml = marked[scan_id].false_ml if scan_id in marked else np.nan
        return Case(title, scan_id, lesion_ml, dice, ap, n_lesion, n_detected, false_ml)

    found = []
    missed = lesions[lesions["detected"] == 0]
    if len(missed):
        largest = missed.sort_values("volume_ml").iloc[-1]
        found.append(case("largest missed", str(largest["scan_id"]))._replace(lesion_ml=float(largest["volume_ml"])))
    if len(by_dice):
        names = by_dice["scan_id"].tolist()
        places = {"worst": 0, "median": len(names) // 2, "best": -1} if len(names) > 2 else {"worst": 0, "best": -1}
        found += [case(title, names[place]) for title, place in places.items()]
    if marked:
        worst = max(marked, key=lambda scan_id: marked[scan_id].false_ml)
        found.append(case("worst false alarm", worst)._replace(at_false=True))
    return found

"""Which scans the report shows first."""

import pandas as pd

from stfpm3d.evaluation.marks import Marks
from stfpm3d.reporting.cases import cases

PATIENTS = pd.DataFrame(
    {
        "scan_id": ["a", "b", "c", "d", "e"],
        "lesion_ml": [80.0, 10, 5, 3, 1],
        "dice": [0.0, 0.5, 0.2, 0.0, 0.1],
        "patient_ap": [0.2, 0.6, 0.3, 0.1, 0.2],
        "n_lesion": 1,
        "n_detected": [0, 1, 1, 0, 0],
    }
)
LESIONS = PATIENTS[["scan_id"]].assign(volume_ml=PATIENTS["lesion_ml"], detected=PATIENTS["n_detected"])


def test_what_was_missed_comes_first_then_the_worst_the_median_the_best_and_the_worst_false_alarm():
    marked = {name: Marks(9, false_ml, 0, 1, 0) for name, false_ml in (("a", 1.0), ("b", 2.0), ("healthy", 7.0))}
    found = cases(PATIENTS, LESIONS, marked)
    assert [(case.title, case.scan_id) for case in found] == [
        ("largest missed", "a"),
        ("worst", "d"),
        ("median", "e"),
        ("best", "b"),
        ("worst false alarm", "healthy"),
    ]
    assert found[0].lesion_ml == 80 and found[-1].at_false and found[3].false_ml == 2


def test_what_cannot_be_measured_is_not_shown():
    assert cases(PATIENTS[:0], LESIONS[:0], {}) == []
    two = cases(PATIENTS[:2], LESIONS.assign(detected=1), {})
    assert [case.title for case in two] == ["worst", "best"]

"""What the report's first screen says, on hand-made numbers."""

from math import nan

import pandas as pd
import pytest

from stfpm3d.evaluation.comparison import COMPARISON_COLUMNS
from stfpm3d.evaluation.experiment import METRIC_COLUMNS
from stfpm3d.reporting.findings import Findings
from stfpm3d.reporting.summary import summarize

EXPERIMENTS = {
    "stfpm": {"method": "stfpm", "segmented_by": None},
    "untrained": {"method": "stfpm", "segmented_by": None},
    "padim": {"method": "padim", "segmented_by": None},
    "padim in two": {"method": "padim", "segmented_by": "kmeans"},
    "zscore": {"method": "zscore", "segmented_by": None},
    "mask": {"method": "mask", "segmented_by": None},
}
AUPRC = {"stfpm": 0.30, "untrained": 0.1, "padim": 0.2, "padim in two": 0.9, "zscore": 0.25}


def findings(auprc, prevalence=0.02, n_patient=12):
    rows = [
        (name, "strict", "test", metric, value, value - 0.01, value + 0.02, 9, n_patient)
        for name, of in auprc.items()
        for metric, value in (("voxel_auprc", of), ("prevalence", prevalence), ("image_auroc", 0.8))
    ]
    return Findings(pd.DataFrame(rows, columns=METRIC_COLUMNS))


def summary(auprc=AUPRC, comparisons=(), n_patient=12, n_lesion=5, **numbers):
    names = {name: row for name, row in EXPERIMENTS.items() if name in auprc or name == "mask"}
    patients = pd.DataFrame({"experiment": list(auprc), "n_lesion": n_lesion, "n_detected": 3})
    return summarize(
        findings(auprc, n_patient=n_patient, **numbers),
        patients,
        pd.DataFrame(comparisons, columns=COMPARISON_COLUMNS),
        shown="stfpm",
        experiments=names,
        untrained="untrained" if "untrained" in auprc else None,
    )


def test_the_headline_counts_lesions_and_measures_against_chance():
    assert summary().headline == "stfpm finds 3 of 5 lesions; its voxel AUPRC is 15 times chance"
    assert summary(n_lesion=0).headline == "stfpm: its voxel AUPRC is 15 times chance"
    unknown = dict.fromkeys(AUPRC, nan)
    assert summary(unknown, prevalence=nan).headline == "stfpm: no lesion mask to measure against"
    assert summary(unknown, prevalence=nan, n_patient=0).headline == "stfpm: no patient to measure against"
    assert summary(unknown, prevalence=nan).standings == []


def test_beside_it_stand_the_best_baseline_and_its_own_initial_weights():
    found = summary()
    assert [(row.experiment, row.role) for row in found.standings] == [
        ("stfpm", ""),
        ("zscore", "best baseline"),
        ("untrained", "before training"),
    ]
    assert found.standings[1][2:] == pytest.approx((0.25, 0.24, 0.27))
    assert found.top == pytest.approx(0.32)
    assert found.lead == "Its voxel AUPRC is above that of padim, zscore and untrained."
    assert summary(AUPRC | {"zscore": 0.3}).lead == "By voxel AUPRC, as good or better: zscore (0.300)."
    alone = summary({"stfpm": 0.3})
    assert [row.experiment for row in alone.standings] == ["stfpm"] and alone.lead == ""


def test_differences_are_of_the_experiment_shown_whichever_is_the_reference():
    rows = [("zscore", "stfpm", -0.3, -0.4, -0.1, 0.01, 0.02, 12), ("padim in two", "stfpm", 0, 0, 0, 1, 1, 12)]
    (row,) = summary(comparisons=rows).comparisons
    assert row == ("zscore", 0.3, 0.1, 0.4, 0.02)
    rows = [("stfpm", "zscore", 0.3, 0.1, 0.4, 0.01, 0.02, 12), ("padim", "zscore", 0, 0, 0, 1, 1, 12)]
    found = summary(comparisons=rows)
    assert found.comparisons == [("zscore", 0.3, 0.1, 0.4, 0.02)]
    assert found.n_compared == 12
    assert summary().comparisons == []

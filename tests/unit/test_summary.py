"""What the report's first screen says, on hand-made numbers."""

from math import nan

import pandas as pd
import pytest

from stfpm3d.evaluation.comparison import COMPARISON_COLUMNS
from stfpm3d.evaluation.experiment import METRIC_COLUMNS
from stfpm3d.reporting.findings import Findings, number, p_value, score, signed, volume
from stfpm3d.reporting.summary import summarize

KINDS = {"stfpm": "our variant", "paper": "as published", "padim": "baseline", "clusters": "our variant"}
EXPERIMENTS = {name: {"kind": kind} for name, kind in KINDS.items()}


def summary(comparisons=(), n_patient=12, n_lesion=4, auprc=0.3, shown="stfpm"):
    rows = [
        (name, "strict", "test", metric, value, nan, nan, 9, n_patient)
        for name in EXPERIMENTS
        for metric, value in (
            ("voxel_auprc", auprc),
            ("patient_ap", 0.2),
            ("healthy_fp_ml", 12),
            ("patient_fp_ml", 205),
            ("image_auroc", 0.8),
        )
    ]
    patients = pd.DataFrame({"experiment": [*EXPERIMENTS, *EXPERIMENTS], "n_lesion": n_lesion})
    return summarize(
        Findings(pd.DataFrame(rows, columns=METRIC_COLUMNS)),
        patients.assign(n_detected=min(n_lesion, 2), n_component=7),
        pd.DataFrame(comparisons, columns=COMPARISON_COLUMNS),
        shown=shown,
        experiments=EXPERIMENTS,
    )


def compared(experiment, difference, p_holm, reference="stfpm", ends=(-0.1, 0.1), floor=0.0015):
    return (experiment, reference, difference, *ends, p_holm / 3, p_holm, floor, 12)


def test_the_headline_follows_the_tested_comparison():
    worse, unlike, better = compared("padim", -0.2, 0.01), compared("padim", -0.2, 0.9), compared("padim", 0.2, 0.01)
    paper = compared("paper", 0.1, 0.4)
    found = "stfpm finds 4 of 8 lesions; "
    assert summary([worse]).headline == found + "shown to be better than padim"
    assert summary([worse, paper]).headline == found + "shown to be better than 1 of 2 other rows"
    assert summary([unlike, paper]).headline == found + "not shown to be better than any other row"
    assert summary([better]).headline == found + "not shown to be better than any other row"
    assert summary([better]).tested == ["stfpm is shown to be worse than padim."]
    assert summary([worse, paper]).tested == [
        "stfpm is shown to be better than padim.",
        "stfpm is not shown to be better or worse than paper.",
    ]
    assert summary().headline == found + "not tested against any other row"


def test_what_the_test_could_not_have_shown_is_not_said_to_be_not_shown():
    """A p after Holm of 0.0547 at the least: 8 patients and 7 comparisons."""
    beyond = [compared(name, gain, 0.2, floor=0.0547) for name, gain in (("padim", -0.2), ("paper", 0.1))]
    found = summary(beyond)
    assert found.headline == "stfpm finds 4 of 8 lesions; 12 patients cannot show a difference to any other row"
    assert found.tested == ["A difference between stfpm and paper or padim cannot be shown with 12 patients."]
    assert {row.verdict for row in found.compared} == {"cannot be shown"}
    assert found.p_floors == (0.0547,)


def test_a_row_that_ties_with_the_reference_in_many_patients_is_told_from_those_that_can_be_tested():
    beyond, tested = compared("padim", -0.2, 0.2, floor=0.125), compared("paper", 0.1, 0.4)
    found = summary([beyond, tested])
    assert found.headline.endswith("not shown to be better than the 1 row to which 12 patients can show a difference")
    assert found.tested == [
        "stfpm is not shown to be better or worse than paper.",
        "A difference between stfpm and padim cannot be shown with 12 patients.",
    ]
    assert summary([beyond, compared("paper", -0.1, 0.01)]).headline.endswith("better than 1 of 2 other rows")


def test_the_headline_says_what_is_missing():
    assert summary(n_lesion=0).headline == "stfpm: no lesion to be counted; not tested against any other row"
    assert summary(auprc=nan).headline == "stfpm: no lesion mask to measure against"
    assert summary(auprc=nan, n_patient=0).headline == "stfpm: no patient to measure against"


def test_every_row_has_its_counts_and_the_sign_of_the_table_of_comparisons():
    found = summary([compared("padim", -0.2, 0.01), compared("paper", 0.1, 0.4, ends=(0.02, 0.2))])
    own, paper, padim, _ = found.rows
    assert (own.n_detected, own.n_lesion, own.n_component) == (4, 8, 14)
    assert (padim.difference, padim.verdict, padim.disagrees) == (-0.2, "worse", False)
    assert (paper.verdict, paper.disagrees) == ("not shown", True), "its interval leaves 0 out"
    assert found.published == ["paper"]


def test_against_another_reference_only_that_is_compared():
    rows = [compared("stfpm", 0.3, 0.02, "padim"), compared("paper", 0.1, 0.4, "padim")]
    assert summary(rows).tested == ["stfpm is shown to be better than padim."]


@pytest.mark.parametrize(
    ("form", "value", "text"),
    [
        (number, 0.23411, "0.23"),
        (number, 0.0347, "0.035"),
        (number, 0.00347, "0.0035"),
        (number, 0.0001, "0.0001"),
        (number, 1.0, "1.00"),
        (number, -0.2, "−0.20"),
        (number, nan, "n/a"),
        (signed, 0.017, "+0.017"),
        (p_value, 0.898, "0.90"),
        (p_value, 0.0312, "0.031"),
        (score, 1.25e-4, "0.000125"),
        (score, 8.0449e-6, "8.04e-06"),
        (volume, 83.2, "83"),
        (volume, 1.24, "1.2"),
    ],
)
def test_numbers_have_two_digits_and_values_without_a_scale_three(form, value, text):
    assert form(value) == text

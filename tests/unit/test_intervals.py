"""Bootstrap intervals and the paired test, against SciPy and enumerations by hand."""

from itertools import product

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.metrics import average_precision_score, roc_auc_score

from stfpm3d.evaluation.comparison import COMPARISON_COLUMNS, compare_patients, holm, least_p, sign_flip_p
from stfpm3d.evaluation.imagewise import estimates
from stfpm3d.evaluation.intervals import interval, mean_estimate, ratio_estimate
from stfpm3d.imaging.ranking import auroc, average_precision


def names(count):
    return [f"sub-{number:02d}" for number in range(count)]


def test_the_interval_of_a_mean_is_scipys_percentile_bootstrap():
    values = np.random.default_rng(0).exponential(size=30)
    found = mean_estimate(values, names(30))
    expected = stats.bootstrap((values,), np.mean, method="percentile", n_resamples=20_000, rng=1).confidence_interval
    assert found.value == pytest.approx(values.mean())
    assert found[1:] == pytest.approx(tuple(expected), abs=0.03)


def test_the_interval_of_an_image_auroc_resamples_the_groups_apart():
    rng = np.random.default_rng(1)
    healthy, patient = rng.normal(size=25).round(1), rng.normal(0.8, size=12).round(1)
    scans = pd.DataFrame(
        {
            "participant_id": names(37),
            "group": ["healthy"] * 25 + ["patient"] * 12,
            "score": np.concatenate([healthy, patient]),
        }
    )
    found = estimates(scans)["image_auroc"]

    def share_of_pairs(of_patient, of_healthy, axis):
        return stats.mannwhitneyu(of_patient, of_healthy, axis=axis, method="asymptotic").statistic / (25 * 12)

    sampled = stats.bootstrap((patient, healthy), share_of_pairs, method="percentile", n_resamples=4000, rng=2)
    assert found.value == pytest.approx(share_of_pairs(patient, healthy, 0))
    assert found[1:] == pytest.approx(tuple(sampled.confidence_interval), abs=0.03)


def test_the_areas_of_a_draw_are_scikit_learns_with_its_weights():
    rng = np.random.default_rng(3)
    truth, scores, weights = rng.random(40) < 0.3, rng.normal(size=40).round(1), rng.integers(0, 4, size=40)
    values = np.unique(scores)
    normal, lesion = (np.equal.outer(scores[of], values).T @ weights[of] for of in (~truth, truth))
    assert auroc(normal, lesion) == pytest.approx(roc_auc_score(truth, scores, sample_weight=weights))
    expected = average_precision_score(truth, scores, sample_weight=weights)
    assert average_precision(normal, lesion) == pytest.approx(expected)


def test_the_interval_covers_the_truth_about_as_often_as_it_says():
    rng = np.random.default_rng(2)
    samples = rng.normal(5, 2, size=(200, 25))
    ends = [interval(lambda w, x=x: w @ x / w.sum(axis=1), names(25), seed=i, draws=400) for i, x in enumerate(samples)]
    covered = np.mean([low <= 5 <= high for low, high in ends])
    assert 0.88 <= covered <= 0.98  # the percentile bootstrap of 25 is a little narrow: t's 1.96 for 2.06


def test_the_same_scans_give_the_same_interval_and_one_subject_gives_none():
    values = [0.1, 0.5, 0.3]
    assert mean_estimate(values, names(3)) == mean_estimate(values, names(3))
    assert np.isnan(mean_estimate([0.1], names(1))[1:]).all()
    assert np.isnan(mean_estimate([], [])).all()


def test_a_subjects_sessions_are_drawn_together():
    ends = ratio_estimate([1, 1, 1, 0], [1, 1, 1, 1], ["a", "a", "a", "b"])
    assert ends == (0.75, 0.0, 1.0)  # a quarter of the draws is b alone
    with pytest.raises(ValueError, match="mismatch"):
        ratio_estimate([1, 1], [1, 1], ["a", "b", "c"])


@pytest.mark.parametrize("count", [6, 9])
def test_the_paired_test_tries_all_sign_flips_of_few_patients(count):
    differences = np.random.default_rng(count).normal(0.4, 1, size=count)
    means = [abs(np.mean(differences * signs)) for signs in product((1, -1), repeat=count)]
    expected = np.mean(np.array(means) >= abs(differences.mean()) - 1e-12)
    assert sign_flip_p(differences) == pytest.approx(expected)


def test_the_paired_test_of_many_patients_nears_the_t_test_and_is_seeded():
    differences = np.random.default_rng(5).normal(0.3, 1, size=60)
    assert sign_flip_p(differences) == pytest.approx(stats.ttest_1samp(differences, 0).pvalue, abs=0.01)
    assert sign_flip_p(differences) == sign_flip_p(differences)


@pytest.mark.parametrize(
    ("differences", "expected"),
    [
        ([0.3] * 8, 2 / 256),  # all signs kept and all changed, of 2^8
        ([0.1, 0.2, 0.3, 0.4, 0.5], 2 / 32),
        ([0.3, -0.2, 0.1, 0.4, 0.1, 0.1, 0.0, 0.2], 2 / 128),  # a patient without a difference has no sign
        ([0.0, 0.0, 0.2], 1),
        ([0.0, 0.0], 1),
        ([0.2] * 16, 2 / 10_001),  # 10,000 random flips, and the observed signs
    ],
)
def test_the_smallest_p_of_the_paired_test_is_that_of_differences_of_one_sign(differences, expected):
    assert least_p(differences) == pytest.approx(expected)
    assert least_p(differences) <= sign_flip_p(differences)
    if len(differences) < 16:
        assert sign_flip_p(np.abs(differences)) == pytest.approx(expected)


def test_holm_steps_down_as_worked_by_hand():
    # Sorted 0.01, 0.02, 0.03, 0.04: times 4, 3, 2, 1 is 0.04, 0.06, 0.06, 0.04; none falls below its forerunner.
    assert holm([0.03, 0.01, 0.04, 0.02]) == pytest.approx([0.06, 0.04, 0.06, 0.06])
    assert holm([0.6, 0.7]) == pytest.approx([1, 1])


def compared(gains):
    """The comparison of rows whose AP exceeds that of the row `ours` by given gains, one a patient."""
    gains = {"ours": np.zeros_like(next(iter(gains.values()))), **gains}
    return compare_patients(
        pd.concat(
            pd.DataFrame({"experiment": name, "participant_id": names(len(gain)), "patient_ap": np.asarray(gain)})
            for name, gain in gains.items()
        ),
        "ours",
    ).set_index("experiment")


@pytest.mark.parametrize(("n_patient", "n_other", "floor"), [(8, 8, 0.0625), (8, 7, 0.0546875), (8, 6, 0.046875)])
def test_the_smallest_p_after_holm_is_that_of_the_test_times_the_comparisons(n_patient, n_other, floor):
    """Rows that beat the reference in every patient, by as clear a margin as can be: they reach it, and go no lower."""
    table = compared({f"row-{n}": np.full(n_patient, 0.5) for n in range(n_other)})
    assert table["p_holm_floor"].tolist() == table["p_holm"].tolist() == [floor] * n_other


def test_a_patient_without_a_difference_raises_the_smallest_p_of_its_row_alone():
    table = compared({"all differ": np.full(6, 0.1), "two alike": np.array([0.1, 0.1, 0.1, 0.1, 0, 0])})
    # 2 / 2^6 times 2, then 2 / 2^4 times 1
    assert table["p_holm_floor"].tolist() == [0.0625, 0.125]
    assert (table["p_holm"] >= table["p_holm_floor"]).all()


def test_experiments_are_compared_with_the_reference_in_pairs_of_patients():
    base = np.random.default_rng(7).uniform(0.1, 0.6, size=8)
    gains = {"ours": np.zeros(8), "better": np.linspace(0.05, 0.2, 8), "same": np.tile([0.1, -0.1], 4)}
    patients = pd.concat(
        pd.DataFrame({"experiment": name, "participant_id": names(8), "patient_ap": base + gain}).sample(
            frac=1, random_state=0
        )
        for name, gain in gains.items()
    )
    table = compare_patients(patients, "ours")
    assert list(table) == COMPARISON_COLUMNS
    assert table["experiment"].tolist() == ["better", "same"]
    better, same = table.to_dict("records")
    assert better["difference"] == pytest.approx(gains["better"].mean())
    assert 0.05 < better["ci_low"] < better["difference"] < better["ci_high"] < 0.2
    assert (better["p"], better["p_holm"]) == (2 / 256, 4 / 256)
    assert (same["difference"], same["p"]) == (pytest.approx(0), 1)
    assert (better["n_patient"], better["reference"]) == (8, "ours")


def test_sessions_of_a_patient_count_once():
    rows = [(e, f"sub-{i % 3}", 0.1 * i + gain) for e, gain in (("a", 0), ("b", 0.2)) for i in range(6)]
    table = compare_patients(pd.DataFrame(rows, columns=["experiment", "participant_id", "patient_ap"]), "a")
    assert table["n_patient"].tolist() == [3]
    assert table["difference"].tolist() == pytest.approx([0.2])
    assert table[["p", "p_holm", "p_holm_floor"]].eq(0.25).all(axis=None), "2 of 2^3 flips"


def test_without_a_patient_there_is_nothing_to_compare():
    empty = pd.DataFrame(columns=["experiment", "participant_id", "patient_ap"])
    assert compare_patients(empty, "a").empty

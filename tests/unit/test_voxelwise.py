"""Voxel metrics from histograms, against scikit-learn on the values themselves."""

from itertools import combinations_with_replacement as drawn_again
from itertools import pairwise

import numpy as np
import pytest
from sklearn import metrics
from sklearn.metrics import average_precision_score, f1_score, jaccard_score, recall_score, roc_auc_score

from stfpm3d.evaluation.voxels import ScanVoxels
from stfpm3d.evaluation.voxelwise import (
    PooledVoxels,
    dice_curve,
    overlap,
    precision_recall_curve,
    quantile_threshold,
    roc_curve,
    thin,
    youden_bin,
)
from stfpm3d.imaging.ranking import BINS, auroc, average_precision, bin_value, histogram, value_bins


@pytest.fixture(scope="module")
def product_map():
    """Values and truth of a skewed map: products of three block distances over many decades, 0.4 % lesion."""
    rng = np.random.default_rng(0)
    lesion = rng.random(400_000) < 0.004
    blocks = rng.lognormal(mean=-5, sigma=1.2, size=(3, lesion.size)) * np.where(lesion, 5.0, 1.0)
    return blocks.prod(axis=0).astype(np.float32), lesion


def counts(values, lesion):
    return histogram(values[~lesion]), histogram(values[lesion])


def patient(values, lesion, **changes):
    normal, lesion_counts = counts(values, lesion)
    nothing = np.zeros_like(normal)
    scan = ScanVoxels(
        scan={"participant_id": "sub-01"},
        group="patient",
        split="test",
        normal=normal,
        lesion=lesion_counts,
        lesion_outside=0,
        normal_in_crop=nothing,
        lesion_in_crop=nothing,
        anomaly_map=values.reshape(-1, 1, 1),
        lesion_mask=lesion.reshape(-1, 1, 1),
    )
    return scan._replace(**changes)


def test_bins_keep_the_order_of_values_of_either_sign():
    values = np.array([-np.float32(3e38), -1.5, -1e-30, -0.0, 0.0, 1e-38, 2e-12, 1.0, 1.01, 3e38], dtype=np.float32)
    bins = value_bins(values)
    assert (np.diff(bins.astype(int)) >= 0).all()
    assert bins[3] == bins[4], "both zeros are one value"
    assert len(np.unique(bins)) == values.size - 1
    assert bins.max() < BINS


@pytest.mark.parametrize("value", [-7.3, -1e-9, 0.0, 2.5e-11, 1.0, 640.0])
def test_a_bin_begins_within_a_fifth_of_a_percent_of_its_values(value):
    (index,) = value_bins(np.array([value]))
    assert bin_value(int(index)) <= np.float32(value)
    assert bin_value(int(index)) == pytest.approx(value, rel=0.002)
    assert value_bins(np.array([bin_value(int(index))])) == index


def test_areas_equal_scikit_learn_on_a_product_map(product_map):
    values, lesion = product_map
    normal, lesion_counts = counts(values, lesion)
    expected = average_precision_score(lesion, values)
    assert 0.05 < expected < 0.95
    assert average_precision(normal, lesion_counts) == pytest.approx(expected, abs=1e-3)
    assert auroc(normal, lesion_counts) == pytest.approx(roc_auc_score(lesion, values), abs=1e-3)


def test_areas_equal_scikit_learn_on_signed_values_with_ties():
    rng = np.random.default_rng(1)
    lesion = rng.random(20_000) < 0.05
    values = np.round(rng.normal(size=lesion.size) + lesion) / 2
    normal, lesion_counts = counts(values, lesion)
    assert average_precision(normal, lesion_counts) == pytest.approx(average_precision_score(lesion, values), abs=1e-9)
    assert auroc(normal, lesion_counts) == pytest.approx(roc_auc_score(lesion, values), abs=1e-9)


def test_headline_threshold_leaves_one_percent_of_healthy_voxels_above(product_map):
    values, lesion = product_map
    healthy = values[~lesion]
    threshold = bin_value(quantile_threshold(histogram(healthy), 0.99))
    assert 0.0098 < (healthy >= threshold).mean() <= 0.01
    assert threshold == pytest.approx(np.quantile(healthy, 0.99), rel=0.005)


def test_one_patients_sensitivity_dice_and_iou_at_a_threshold_are_scikit_learns(product_map):
    values, lesion = product_map
    threshold = quantile_threshold(histogram(values[~lesion]), 0.99)
    called = values >= bin_value(threshold)
    measured = overlap(*counts(values, lesion), threshold)
    expected = {"sensitivity": recall_score, "dice": f1_score, "iou": jaccard_score}
    assert measured == {name: pytest.approx(score(lesion, called)) for name, score in expected.items()}


def test_voxels_are_pooled_over_patients_and_intervals_are_of_patients_drawn_again(product_map):
    values, lesion = (part[:60_000] for part in product_map)
    cuts = [0, 10_000, 30_000, 60_000]
    parts = [(values[start:end], lesion[start:end]) for start, end in pairwise(cuts)]
    pooled = PooledVoxels()
    for part in parts:
        pooled.add(patient(*part))
    found = pooled.metrics(["a", "b", "c"])
    assert found["voxel_auprc"].value == pytest.approx(average_precision_score(lesion, values), abs=1e-3)
    assert found["prevalence"].value == pytest.approx(lesion.mean())
    # No draw of three patients is rarer than 1 in 27, so the interval ends at the least and the greatest.
    drawn = [[np.concatenate(side) for side in zip(*draw, strict=True)] for draw in drawn_again(parts, 3)]
    areas = [average_precision_score(truth, scores) for scores, truth in drawn]
    assert found["voxel_auprc"][1:] == pytest.approx((min(areas), max(areas)), abs=2e-3)


@pytest.mark.parametrize("sign", [1, -1], ids=["a map", "an inverted map"])
def test_youdens_threshold_is_scikit_learns_over_the_values_that_occur(product_map, sign):
    values, lesion = sign * product_map[0], product_map[1]
    false_positive_rate, true_positive_rate, thresholds = metrics.roc_curve(lesion, values, drop_intermediate=False)
    expected = thresholds[1:][np.argmax((true_positive_rate - false_positive_rate)[1:])]
    found = bin_value(youden_bin(*counts(values, lesion)))
    at_found, at_best = (
        (values >= cut) @ (lesion / lesion.sum() - ~lesion / (~lesion).sum()) for cut in (found, expected)
    )
    assert at_found == pytest.approx(at_best, abs=1e-3)
    assert found == pytest.approx(expected, rel=0.05)


def test_oracle_dice_is_the_best_over_all_thresholds():
    values = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
    lesion = np.array([False, False, True, False, True, True])
    assert dice_curve(*counts(values, lesion)).max() == pytest.approx(6 / 7)  # from 0.3 on: 3 hits, 1 false alarm
    pooled = PooledVoxels()
    pooled.add(patient(values, lesion))
    assert pooled.metrics(["sub-01"])["dice_oracle"].value == pytest.approx(6 / 7)
    assert np.isnan(overlap(*counts(values, lesion), None)["dice"])


def test_mean_dice_stands_against_the_share_of_healthy_voxels_above():
    pooled = PooledVoxels()
    pooled.add(patient(np.array([1.0, 2.0, 3.0, 4.0]), np.array([False, False, True, True])))
    pooled.add(patient(np.array([1.0, 4.0]), np.array([True, False])))
    rate, dice = pooled.dice_by_rate(histogram(np.array([1.0, 1.0, 2.0, 4.0])))
    assert rate.tolist() == [1 / 4, 1 / 4, 2 / 4, 1], "at thresholds of 4, 3, 2 and 1"
    first, second = np.array([2 / 3, 1, 4 / 5, 2 / 3]), np.array([0, 0, 0, 2 / 3])
    assert dice == pytest.approx((first + second) / 2)


def test_the_thinned_dice_curve_keeps_its_peak(product_map):
    values, lesion = product_map
    pooled = PooledVoxels()
    pooled.add(patient(values, lesion))
    rate, dice = pooled.dice_by_rate(histogram(values[~lesion]))
    assert rate.size <= 500
    assert dice.max() == pytest.approx(pooled.dice_sum.max(), abs=1e-2)
    assert (rate[-1], dice[-1]) == pytest.approx((1, 2 * lesion.sum() / (lesion.size + lesion.sum())))


def test_lesion_outside_the_brain_mask_is_reported_and_such_a_patient_counts_nowhere_else():
    values, lesion = np.array([0.1, 0.2, 0.3, 0.9]), np.array([False, False, False, True])
    pooled = PooledVoxels()
    pooled.add(patient(values, lesion, lesion_outside=2))
    pooled.add(patient(values, np.zeros(4, dtype=bool), lesion_outside=1))
    found = pooled.metrics(["sub-01"])
    assert found["lesion_outside_mask"].value == pytest.approx(3 / 4)
    assert found["prevalence"].value == pytest.approx(1 / 4)


def test_thinned_curves_keep_their_ends_and_their_area(product_map):
    normal, lesion_counts = counts(*product_map)
    false_positive_rate, true_positive_rate = roc_curve(normal, lesion_counts)
    x, y = thin((false_positive_rate, true_positive_rate), along=false_positive_rate + true_positive_rate)
    assert x.size <= 500
    assert (x[0], y[0], x[-1], y[-1]) == (0, 0, 1, 1)
    assert np.trapezoid(y, x) == pytest.approx(auroc(normal, lesion_counts), abs=1e-3)
    recall, precision = thin(curve := precision_recall_curve(normal, lesion_counts), along=curve[0])
    assert recall.size <= 500
    assert np.trapezoid(precision, recall) == pytest.approx(average_precision(normal, lesion_counts), abs=5e-3)

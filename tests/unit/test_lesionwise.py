"""Lesions found and false alarms, on components that were counted by hand, against SimpleITK's components and against
panoptica's own evaluator.
"""

import numpy as np
import panoptica
import pytest
import SimpleITK as sitk
from scipy import ndimage

from stfpm3d.evaluation.lesionwise import FROC_RATES, LesionwiseTest, components, found_lesions, match
from stfpm3d.evaluation.voxels import ScanVoxels
from stfpm3d.imaging.ranking import histogram, value_bins

SHAPE = (20, 20, 20)
VOXEL_ML = 0.01
MIN_ML = 0.08  # eight voxels


def box(*corner, edge=2):
    """A cube of `edge` voxels (eight by default) as a mask."""
    mask = np.zeros(SHAPE, dtype=bool)
    mask[tuple(slice(start, start + edge) for start in corner)] = True
    return mask


def bin_of(value):
    return int(value_bins(np.array([value]))[0])


def scan(name, anomaly_map, lesion_mask=None):
    """A test scan whose brain is the whole box."""
    group = "healthy" if lesion_mask is None else "patient"
    truth = np.zeros(SHAPE, dtype=bool) if lesion_mask is None else lesion_mask
    nothing = histogram(np.zeros(0))
    return ScanVoxels(
        scan={"participant_id": name},
        group=group,
        split="test",
        normal=histogram(anomaly_map[~truth]),
        lesion=histogram(anomaly_map[truth]),
        lesion_outside=0,
        normal_in_crop=nothing,
        lesion_in_crop=nothing,
        anomaly_map=np.asarray(anomaly_map, dtype=np.float32),
        lesion_mask=truth,
    )


def measured(*scans, threshold=1.0, froc=(), min_ml=MIN_ML):
    test = LesionwiseTest(bin_of(threshold), [bin_of(value) for value in froc], voxel_ml=VOXEL_ML, min_lesion_ml=min_ml)
    for each in scans:
        test.add(each)
    return test


def found(called, lesion_mask, min_voxels=1):
    """Which lesions are found, and how many components count, for masks."""
    match_ = match(components(called, min_voxels), components(lesion_mask), min_voxels)
    return match_.detected.tolist(), match_.n_component


def test_components_are_simple_itks_with_full_connectivity():
    noise = ndimage.gaussian_filter(np.random.default_rng(0).normal(size=(32, 30, 28)), 1)
    mask = noise > np.quantile(noise, 0.95)
    image = sitk.GetImageFromArray(mask.astype(np.uint8))
    labels = sitk.RelabelComponent(sitk.ConnectedComponent(image, True), minimumObjectSize=8)
    expected = sitk.GetArrayFromImage(labels)
    ours = components(mask, 8)
    assert expected.max() > 20
    np.testing.assert_array_equal(ours > 0, expected > 0)
    pairs = {*zip(ours[ours > 0].tolist(), expected[ours > 0].tolist(), strict=True)}
    assert len(pairs) == expected.max() == ours.max()


def test_voxels_that_share_a_corner_are_one_lesion_and_specks_are_none():
    assert components(box(0, 0, 0) | box(2, 2, 2), 8).max() == 1
    assert components(box(0, 0, 0) | box(3, 3, 3), 8).max() == 2
    assert components(box(0, 0, 0) | box(3, 3, 3, edge=1), 8).max() == 1


def test_a_lesion_is_found_by_its_best_piece_and_other_pieces_are_false_alarms():
    lesion = box(4, 4, 4, edge=6)
    assert found(box(4, 4, 4), lesion) == ([False], 1), "8 of 216 voxels are less than a tenth"
    assert found(box(4, 4, 4, edge=3), lesion) == ([True], 1), "27 are more"
    assert found(box(4, 4, 4, edge=3) | box(8, 8, 8) | box(4, 8, 4), lesion) == ([True], 3)


def test_a_component_on_several_lesions_finds_the_one_it_overlaps_most():
    bar = np.zeros(SHAPE, dtype=bool)
    bar[0, 0] = True
    lesion = np.zeros(SHAPE, dtype=bool)
    lesion[0, 0, :3] = lesion[0, 0, 10:15] = True
    assert found(bar, lesion) == ([False, True], 1), "an IoU of 3 / 20 and one of 5 / 20"


def test_a_map_that_calls_everything_finds_nothing():
    assert found(np.ones(SHAPE, dtype=bool), box(0, 0, 0) | box(10, 10, 10)) == ([False, False], 1)


def test_a_lesion_is_found_from_an_iou_of_a_tenth_on():
    bar = np.zeros(SHAPE, dtype=bool)
    bar[0, 0, :20] = True
    lesion = np.zeros(SHAPE, dtype=bool)
    lesion[0, 0, :2] = True
    assert found(bar, lesion) == ([True], 1)
    lesion[0, 0, 1] = False
    assert found(bar, lesion) == ([False], 1)


def test_what_finds_a_lesion_too_small_to_count_is_neither_a_hit_nor_a_false_alarm():
    speck = box(5, 5, 5, edge=1)
    assert found(box(5, 5, 5), speck, min_voxels=8) == ([], 0), "an IoU of 1 / 8"
    assert found(box(5, 5, 5, edge=3), speck, min_voxels=8) == ([], 1), "1 / 27: a false alarm beside a speck"
    test = measured(scan("a", box(5, 5, 5) * 1.0, speck))
    (patient,) = test.patients
    assert patient == {"participant_id": "a", "n_lesion": 0, "n_detected": 0, "n_component": 0}
    assert np.isnan(test.metrics()["lesion_recall"].value)


@pytest.mark.parametrize("seed", range(4))
def test_counts_and_f1_are_those_of_panopticas_evaluator_on_random_blobs(seed):
    rng = np.random.default_rng(seed)
    smooth = ndimage.gaussian_filter(rng.normal(size=(2, 40, 44, 36)), (0, 2, 2, 2))
    lesion_mask = smooth[0] > np.quantile(smooth[0], 0.95)
    called = smooth[0] + 0.7 * smooth[1] > np.quantile(smooth[0], 0.96)
    panoptica.disable_citation_reminder()  # printed by the evaluator alone
    evaluator = panoptica.Panoptica_Evaluator(
        expected_input=panoptica.InputType.SEMANTIC,
        instance_approximator=panoptica.ConnectedComponentsInstanceApproximator(),
        instance_matcher=panoptica.NaiveThresholdMatching(panoptica.Metric.IOU, matching_threshold=0.1),
        instance_metrics=[panoptica.Metric.IOU],
    )
    expected = evaluator.evaluate(called.astype(np.uint8), lesion_mask.astype(np.uint8))["ungrouped"]
    assert min(expected.tp, expected.fp, expected.fn) > 3

    test = measured(scan("a", called * 1.0, lesion_mask), min_ml=0)
    (patient,) = test.patients
    assert patient["n_detected"] == expected.tp
    assert patient["n_component"] == expected.tp + expected.fp
    assert patient["n_lesion"] == expected.tp + expected.fn
    assert test.metrics()["lesion_f1"].value == pytest.approx(expected.rq)


@pytest.mark.parametrize("seed", range(4))
def test_the_lesions_that_pair_are_panopticas_among_many_equal_pairs(seed):
    rng = np.random.default_rng(seed)
    matching = panoptica.NaiveThresholdMatching(panoptica.Metric.IOU, matching_threshold=0.1)
    called, lesions = (components(rng.random((24, 24, 24)) < 0.06) for _ in range(2))
    pairs = matching.match_instances(panoptica.UnmatchedInstancePair(called, lesions)).matched_instances
    ours = np.flatnonzero(found_lesions(called, lesions)) + 1
    assert len(pairs) > 10
    assert ours.tolist() == sorted(pairs)


@pytest.fixture
def three_patients():
    """Five lesions, of which three are found; three of seven components hit."""
    return [
        scan("a", (box(0, 0, 0) | box(6, 0, 0) | box(6, 6, 6)) * 1.0, box(0, 0, 0) | box(12, 12, 12, edge=4)),
        scan("b", (box(0, 0, 0, edge=3) | box(4, 0, 0)) * 1.0, box(0, 0, 0, edge=5)),
        scan("c", (box(10, 0, 0, edge=3) | box(0, 0, 10)) * 1.0, box(10, 0, 0, edge=3) | box(16, 16, 16, edge=3)),
    ]


def test_recall_precision_and_f1_are_over_the_lesions_and_components_of_all_patients(three_patients):
    test = measured(*three_patients)
    metrics = test.metrics()
    assert metrics["lesion_recall"].value == pytest.approx(3 / 5)
    assert metrics["lesion_precision"].value == pytest.approx(3 / 7)
    assert metrics["lesion_f1"].value == pytest.approx(2 * 3 / (5 + 7))
    for name in ("lesion_recall", "lesion_precision", "lesion_f1"):
        assert metrics[name].ci_low < metrics[name].value < metrics[name].ci_high
    assert metrics["lesion_recall"].ci_low == pytest.approx(1 / 2), "patients a and c alone find one of two"
    assert metrics["lesion_recall"].ci_high == pytest.approx(1), "patient b alone finds all"
    assert metrics["lesion_f1"].ci_low == pytest.approx(2 / 5), "patient a alone"


def test_lesions_are_listed_with_their_volumes_and_recall_is_told_by_size(three_patients):
    test = measured(*three_patients)
    listed = [(row["participant_id"], row["lesion"], row["volume_ml"], row["detected"]) for row in test.lesions]
    assert listed == [
        ("a", 1, pytest.approx(0.08), 1),
        ("a", 2, pytest.approx(0.64), 0),
        ("b", 1, pytest.approx(1.25), 1),
        ("c", 1, pytest.approx(0.27), 1),
        ("c", 2, pytest.approx(0.27), 0),
    ]
    found = test.metrics()
    # By volume: 0.08 found and 0.27 found; 0.27 and 0.64 missed; 1.25 found.
    assert [found[f"lesion_recall_{size}"].value for size in ("small", "medium", "large")] == [1, 0, 1]


def test_froc_counts_false_components_over_healthy_scans_and_patients():
    lesion = box(0, 0, 0) | box(6, 0, 0)
    patient = scan("p", 3.0 * box(0, 0, 0) + 1.0 * box(6, 0, 0) + 2.0 * box(0, 10, 0), lesion)
    healthy = scan("h", 1.0 * (box(0, 0, 0) | box(6, 6, 6)))
    test = measured(patient, healthy, froc=[1.0, 2.0, 3.0])
    curve = test.froc()
    assert curve is not None
    rates, sensitivities = curve
    assert rates.tolist() == [0, 1 / 2, 3 / 2]
    assert sensitivities.tolist() == [1 / 2, 1 / 2, 1]
    values = {name: found.value for name, found in test.metrics().items() if name.startswith("froc")}
    assert values["froc_0.125"] == values["froc_1"] == 1 / 2
    assert values["froc_2"] == values["froc_8"] == 1
    assert values["froc_mean"] == pytest.approx((4 * 0.5 + 3 * 1) / len(FROC_RATES))


def test_a_segmentation_has_one_operating_point_and_no_curve(three_patients):
    test = measured(*three_patients)
    assert test.froc() is None
    assert np.isnan(test.metrics()["froc_mean"].value)


def test_a_map_that_calls_nothing_has_no_precision_and_no_f1_to_speak_of():
    metrics = measured(scan("a", np.zeros(SHAPE), box(0, 0, 0)), scan("b", np.zeros(SHAPE), box(3, 3, 3))).metrics()
    assert metrics["lesion_recall"].value == metrics["lesion_f1"].value == 0
    assert np.isnan(metrics["lesion_precision"].value)

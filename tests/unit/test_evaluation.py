"""An experiment's table of results, from maps and masks on disk."""

import tracemalloc

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import average_precision_score, f1_score, recall_score, roc_auc_score

from stfpm3d.evaluation.comparison import compare_metrics
from stfpm3d.evaluation.experiment import evaluate_experiment
from stfpm3d.evaluation.protocol import METRIC_COLUMNS
from stfpm3d.imaging.volumes import Volume, load_mask, load_volume, save_volume
from stfpm3d.maps.form import image_score
from stfpm3d.runtime.errors import InputError

SHAPE = (12, 14, 12)
AFFINE = np.diag([2.0, 2.0, 2.0, 1.0])


@pytest.fixture
def brain_mask():
    brain = np.zeros(SHAPE, dtype=bool)
    brain[2:-2, 2:-2, 2:-2] = True
    return Volume(brain, AFFINE)


@pytest.fixture
def scans(tmp_path, brain_mask):
    """Three healthy scans and two patients in each split; voxels outside the brain hold values that must not count."""
    rng = np.random.default_rng(3)
    rows = []
    for split in ("val", "test"):
        for number in range(5):
            group = "healthy" if number < 3 else "patient"
            name = f"sub-{split}{number}"
            lesion = np.zeros(SHAPE, dtype=bool)
            if group == "patient":
                lesion[1:5, 4:8, 4:7] = True  # one of its four layers lies outside the brain
                save_volume(tmp_path / f"{name}_lesion.nii.gz", Volume(lesion, AFFINE), dtype=np.uint8)
            data = rng.exponential(size=SHAPE) ** 3 * np.where(lesion, 8, 1)
            data[~brain_mask.data] = rng.uniform(1e5, 1e6)
            anomaly_map = Volume(data.astype(np.float32), AFFINE)
            save_volume(tmp_path / f"{name}.nii.gz", anomaly_map)
            mask = str(tmp_path / f"{name}_lesion.nii.gz") if group == "patient" else None
            score = image_score(anomaly_map, brain_mask)
            rows.append((name, group, split, str(tmp_path / f"{name}.nii.gz"), score, mask))
    return pd.DataFrame(rows, columns=["participant_id", "group", "split", "map", "score", "lesion_mask"])


def value(metrics, metric, split="test", protocol="strict"):
    return metrics.set_index(["protocol", "split", "metric"])["value"][protocol, split, metric]


def brain_voxels(scans, brain_mask, *, split, group):
    for scan in scans[(scans["split"] == split) & (scans["group"] == group)].to_dict("records"):
        values = load_volume(scan["map"]).data[brain_mask.data]
        truth = load_mask(scan["lesion_mask"]).data[brain_mask.data] if group == "patient" else values < 0
        yield values, truth


def test_every_number_equals_scikit_learn_on_the_brain_voxels(scans, brain_mask):
    metrics = evaluate_experiment("demo", scans, brain_mask).metrics
    patients = list(brain_voxels(scans, brain_mask, split="test", group="patient"))
    values, truth = (np.concatenate(parts) for parts in zip(*patients, strict=True))
    assert value(metrics, "voxel_auprc") == pytest.approx(average_precision_score(truth, values), abs=1e-3)
    assert value(metrics, "voxel_auroc") == pytest.approx(roc_auc_score(truth, values), abs=1e-3)
    assert value(metrics, "prevalence") == pytest.approx(truth.mean())
    assert value(metrics, "lesion_outside_mask") == pytest.approx(1 / 4)

    test = scans[scans["split"] == "test"]
    assert value(metrics, "image_auroc") == roc_auc_score(test["group"] == "patient", test["score"])
    assert value(metrics, "image_ap") == average_precision_score(test["group"] == "patient", test["score"])

    healthy = np.concatenate([values for values, _ in brain_voxels(scans, brain_mask, split="val", group="healthy")])
    threshold = value(metrics, "threshold", "val")
    assert (healthy >= threshold).mean() == pytest.approx(0.01, abs=1 / healthy.size)
    dice = np.mean([f1_score(truth, values >= threshold) for values, truth in patients])
    assert value(metrics, "dice") == pytest.approx(dice)
    assert value(metrics, "dice") <= value(metrics, "dice_oracle")


def test_the_table_has_the_promised_columns_and_counts_the_scans_behind_each_number(scans, brain_mask):
    metrics, curves, *_ = evaluate_experiment("demo", scans, brain_mask)
    assert list(metrics) == METRIC_COLUMNS
    assert set(metrics["protocol"]) == {"strict", "paper"}
    paper = metrics[metrics["protocol"] == "paper"]
    assert paper[["ci_low", "ci_high"]].isna().all(axis=None)
    counted = metrics[["protocol", "split", "metric", "n_healthy", "n_patient"]].itertuples(index=False, name=None)
    assert set(counted) >= {
        ("strict", "test", "image_auroc", 3, 2),
        ("strict", "test", "voxel_auprc", 0, 2),
        ("strict", "val", "threshold", 3, 0),
        ("paper", "test", "image_auroc", 2, 2),  # the third healthy scan is in no whole block
        ("paper", "test", "dice", 0, 2),
        ("paper", "val", "threshold", 0, 2),
    }
    assert set(curves["curve"]) == {"image_roc", "roc", "pr", "froc", "dice"}


def test_patients_do_not_move_the_threshold(scans, brain_mask):
    metrics = evaluate_experiment("demo", scans, brain_mask).metrics
    without_patients = evaluate_experiment("demo", scans[scans["group"] == "healthy"], brain_mask).metrics
    assert value(without_patients, "threshold", "val") == value(metrics, "threshold", "val")
    assert np.isnan(value(without_patients, "image_auroc"))
    assert np.isnan(value(without_patients, "voxel_auprc"))


def test_patients_without_a_lesion_mask_count_in_the_image_metrics_alone(scans, brain_mask):
    metrics = evaluate_experiment("demo", scans.assign(lesion_mask=None), brain_mask).metrics
    assert not np.isnan(value(metrics, "image_auroc"))
    assert np.isnan([value(metrics, name) for name in ("voxel_auprc", "dice", "lesion_outside_mask")]).all()


def test_one_threshold_for_all_is_set_by_healthy_validation_scans_whatever_the_order_of_the_table(scans, brain_mask):
    measured = evaluate_experiment("demo", scans, brain_mask)
    shuffled = evaluate_experiment("demo", scans.sample(frac=1, random_state=1), brain_mask)
    keys = ["protocol", "split", "metric"]
    expected, found = (table.metrics.set_index(keys)["value"].sort_index() for table in (measured, shuffled))
    pd.testing.assert_series_equal(found, expected)


def test_sensitivity_and_dice_stand_at_healthy_false_positive_rates(scans, brain_mask):
    metrics = evaluate_experiment("demo", scans, brain_mask).metrics
    healthy = np.concatenate([values for values, _ in brain_voxels(scans, brain_mask, split="val", group="healthy")])
    patients = list(brain_voxels(scans, brain_mask, split="test", group="patient"))
    for percent in (1, 5):
        threshold = np.quantile(healthy, 1 - percent / 100)
        called = [(truth, values >= threshold) for values, truth in patients]
        expected = {"sensitivity": recall_score, "dice": f1_score}
        for name, score in expected.items():
            mean = np.mean([score(*pair) for pair in called])
            assert value(metrics, f"{name}_at_{percent}") == pytest.approx(mean, abs=0.02), name
    assert value(metrics, "dice_at_1") == value(metrics, "dice")


def test_false_alarms_are_the_volume_above_the_threshold_in_healthy_test_scans(scans, brain_mask):
    metrics = evaluate_experiment("demo", scans, brain_mask).metrics
    threshold = value(metrics, "threshold", "val")
    healthy = [values for values, _ in brain_voxels(scans, brain_mask, split="test", group="healthy")]
    volumes_ml = [(values >= threshold).sum() * 0.008 for values in healthy]
    row = metrics[metrics["metric"] == "healthy_fp_ml"].iloc[0]
    assert row["value"] == pytest.approx(np.mean(volumes_ml))
    assert row["ci_low"] == pytest.approx(min(volumes_ml))
    assert row["ci_high"] == pytest.approx(max(volumes_ml))
    assert (row["n_healthy"], row["n_patient"]) == (3, 0)
    patients = list(brain_voxels(scans, brain_mask, split="test", group="patient"))
    false_ml = [((values >= threshold) & ~truth.astype(bool)).sum() * 0.008 for values, truth in patients]
    assert value(metrics, "patient_fp_ml") == pytest.approx(np.mean(false_ml)) and min(false_ml) > 0


def with_eight_validation_patients(scans):
    """Each of the two four times."""
    patients = scans[(scans["split"] == "val") & (scans["group"] == "patient")]
    more = [patients.assign(participant_id=patients["participant_id"] + f"-{copy}") for copy in range(4)]
    return pd.concat([scans.drop(patients.index), *more], ignore_index=True)


def test_the_best_validation_threshold_asks_for_eight_patients(scans, brain_mask):
    few = evaluate_experiment("demo", scans, brain_mask).metrics
    assert np.isnan([value(few, "dice_val"), value(few, "threshold_val", "val")]).all()
    metrics = evaluate_experiment("demo", with_eight_validation_patients(scans), brain_mask).metrics
    threshold = value(metrics, "threshold_val", "val")
    val = list(brain_voxels(scans, brain_mask, split="val", group="patient"))
    dice = [np.mean([f1_score(truth, values >= cut) for values, truth in val]) for cut in (threshold, threshold * 1.2)]
    assert dice[0] == pytest.approx(value(metrics, "dice_oracle", "val"))
    assert dice[0] > dice[1]
    test = brain_voxels(scans, brain_mask, split="test", group="patient")
    assert value(metrics, "dice_val") == pytest.approx(
        np.mean([f1_score(truth, values >= threshold) for values, truth in test])
    )


def test_every_test_patient_and_every_lesion_has_its_row(scans, brain_mask):
    sessions = scans.assign(session_id="ses-1")
    metrics, _, patients, lesions = evaluate_experiment("demo", sessions, brain_mask)
    assert patients["participant_id"].tolist() == lesions["participant_id"].tolist() == ["sub-test3", "sub-test4"]
    assert (patients["session_id"] == "ses-1").all()
    assert patients["lesion_ml"].tolist() == lesions["volume_ml"].tolist() == pytest.approx([3 * 4 * 3 * 0.008] * 2)
    for name in ("patient_ap", "dice", "iou", "sensitivity_at_1"):
        assert patients[name].mean() == pytest.approx(value(metrics, name)), name
    assert value(metrics, "lesion_recall") == lesions["detected"].mean() == patients["n_detected"].sum() / 2


def test_the_dice_curve_goes_through_the_headline_and_needs_healthy_validation_voxels(scans, brain_mask):
    metrics, curves, *_ = evaluate_experiment("demo", scans, brain_mask, protocols=["strict"])
    for split in ("val", "test"):
        curve = curves[(curves["split"] == split) & (curves["curve"] == "dice")]
        dice = np.interp(0.01, curve["x"], curve["y"])
        assert dice == pytest.approx(value(metrics, "dice", split), abs=0.02)
    patients, segmented = scans[scans["group"] == "patient"], scans.assign(score=np.nan)
    for quantile, some in ((0.99, patients), (0.99, scans.drop(patients.index)), (None, segmented)):
        found = evaluate_experiment("demo", some, brain_mask, healthy_quantile=quantile, protocols=["strict"])
        assert "dice" not in set(found.curves["curve"])


def permuted(test):
    """The test scans with one another's groups and masks."""
    order = [4, 0, 1, 2, 3]
    return test.assign(**{name: test[name].to_numpy()[order] for name in ("group", "lesion_mask")})


@pytest.mark.parametrize(
    "change",
    [permuted, lambda test: test.iloc[:1], lambda test: test.iloc[-1:]],
    ids=["permuted", "a healthy scan alone", "a patient alone"],
)
def test_no_fitted_number_has_seen_a_test_scan(scans, brain_mask, change):
    scans = with_eight_validation_patients(scans)
    is_test = scans["split"] == "test"
    changed = pd.concat([scans[~is_test], change(scans[is_test])])
    before, after = (evaluate_experiment("demo", table, brain_mask) for table in (scans, changed))
    thresholds = before.metrics[before.metrics["metric"].str.startswith("threshold")]
    assert thresholds["value"].notna().all()
    assert thresholds[["protocol", "split"]].value_counts().to_dict() == {("strict", "val"): 2, ("paper", "val"): 1}
    for tables in ((after.metrics, before.metrics), (after.curves, before.curves)):
        found, expected = (table[table["split"] == "val"].reset_index(drop=True) for table in tables)
        pd.testing.assert_frame_equal(found, expected, check_exact=True)
    assert value(after.metrics, "image_auroc") != value(before.metrics, "image_auroc"), "the test scans did change"


def test_what_is_measured_of_a_test_patient_does_not_depend_on_the_other_test_scans(scans, brain_mask):
    scans = with_eight_validation_patients(scans)
    is_other = (scans["split"] == "test") & (scans["participant_id"] != "sub-test4")
    for name in ("patients", "lesions"):
        alone, among = (getattr(evaluate_experiment("demo", of, brain_mask), name) for of in (scans[~is_other], scans))
        expected = among[among["participant_id"] == "sub-test4"].reset_index(drop=True)
        pd.testing.assert_frame_equal(alone, expected, check_exact=True)


def peak_bytes(scans, brain_mask):
    tracemalloc.start()
    evaluate_experiment("stfpm", scans, brain_mask)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def test_memory_does_not_grow_with_the_number_of_scans(scans, brain_mask):
    """One scan's histograms have 8 MB: kept of four times as many scans they would be 240 MB more."""
    copies = [scans.assign(participant_id=scans["participant_id"] + f"copy{number}") for number in range(4)]
    assert peak_bytes(pd.concat(copies), brain_mask) < 1.2 * peak_bytes(scans, brain_mask)


def test_a_map_on_another_grid_is_refused(scans, brain_mask):
    shifted = Volume(brain_mask.data, brain_mask.affine + np.array([[0, 0, 0, 1.0]] + [[0] * 4] * 3))
    with pytest.raises(InputError, match=r"sub-val0.* lies elsewhere than the template's brain mask"):
        evaluate_experiment("demo", scans, shifted)


def test_experiments_on_different_scans_are_not_compared(scans, brain_mask):
    metrics = evaluate_experiment("demo", scans, brain_mask).metrics
    both = compare_metrics([metrics, metrics.assign(experiment="other")])
    assert list(both) == METRIC_COLUMNS
    assert len(both) == 2 * len(metrics)
    fewer = evaluate_experiment("other", scans.drop(index=9), brain_mask).metrics
    with pytest.raises(InputError, match="different numbers of scans"):
        compare_metrics([metrics, fewer])

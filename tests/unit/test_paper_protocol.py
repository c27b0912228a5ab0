"""The paper's own protocol, from maps and masks on disk, against scikit-learn on the voxels themselves."""

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as sklearn_metrics
from sklearn.metrics import f1_score, jaccard_score, roc_curve

from stfpm3d.evaluation.comparison import compare_metrics
from stfpm3d.evaluation.experiment import evaluate_experiment
from stfpm3d.evaluation.imagewise import equal_blocks
from stfpm3d.imaging.volumes import Volume, load_mask, load_volume, save_volume

SHAPE = (12, 13, 14)
AFFINE = np.diag([2.0, 2.0, 2.0, 1.0])


@pytest.fixture
def brain_mask():
    brain = np.zeros(SHAPE, dtype=bool)
    brain[3:-3, 3:-3, 3:-3] = True
    return Volume(brain, AFFINE)


@pytest.fixture
def scans(tmp_path, brain_mask):
    """One healthy scan and three patients a split; maps are powers of two, so that no bin of a histogram rounds them,
    0 outside the brain, and a lesion reaches out of it.
    """
    rng = np.random.default_rng(1)
    rows = []
    for split in ("val", "test"):
        for number in range(4):
            path, group = tmp_path / f"{split}{number}", "patient" if number else "healthy"
            lesion = np.zeros(SHAPE, dtype=bool)
            if group == "patient":
                lesion[2:6, 4:8, 4 : 6 + number] = True
                save_volume(f"{path}_lesion.nii.gz", Volume(lesion, AFFINE), dtype=np.uint8)
            exponents = rng.integers(-4, 3, SHAPE) + number * lesion
            data = np.where(brain_mask.data, np.exp2(exponents), 0).astype(np.float32)
            save_volume(f"{path}.nii.gz", Volume(data, AFFINE))
            mask = f"{path}_lesion.nii.gz" if group == "patient" else None
            rows.append((f"sub-{split}{number}", group, split, f"{path}.nii.gz", rng.random(), mask))
    return pd.DataFrame(rows, columns=["participant_id", "group", "split", "map", "score", "lesion_mask"])


def roc_auc_score(truth, values):
    return float(sklearn_metrics.roc_auc_score(truth, values))


def paper_values(metrics, split="test"):
    rows = metrics[(metrics["protocol"] == "paper") & (metrics["split"] == split)]
    return rows.set_index("metric")["value"]


def whole_volumes(scans, split):
    patients = scans[(scans["split"] == split) & (scans["group"] == "patient")]
    return [
        (load_mask(scan.lesion_mask).data.ravel(), load_volume(scan.map).data.ravel()) for scan in patients.itertuples()
    ]


def test_each_patients_whole_volume_is_scored_at_the_mean_of_the_validation_patients_youden_thresholds(
    scans, brain_mask
):
    youden = []
    for truth, values in whole_volumes(scans, "val"):
        false_positive_rate, true_positive_rate, thresholds = roc_curve(truth, values)
        youden.append(thresholds[np.argmax(true_positive_rate - false_positive_rate)])
    assert len(set(youden)) > 1
    threshold = np.mean(youden)
    test = whole_volumes(scans, "test")
    metrics = evaluate_experiment("e", scans, brain_mask).metrics
    found = paper_values(metrics)
    assert paper_values(metrics, "val")["threshold"] == pytest.approx(threshold, rel=0.002)
    assert found["voxel_auroc"] == pytest.approx(np.mean([roc_auc_score(*scan) for scan in test]))
    assert found["dice"] == pytest.approx(np.mean([f1_score(truth, values >= threshold) for truth, values in test]))
    assert found["iou"] == pytest.approx(np.mean([jaccard_score(truth, values >= threshold) for truth, values in test]))


def test_detection_is_the_mean_over_whole_blocks_of_the_smaller_groups_size(scans, brain_mask):
    metrics = evaluate_experiment("e", scans, brain_mask).metrics
    test = scans[scans["split"] == "test"]
    (healthy,) = test.loc[test["group"] == "healthy", "score"]
    above = test.loc[test["group"] == "patient", "score"] > healthy
    assert paper_values(metrics)["image_auroc"] == pytest.approx(above.mean())  # blocks of one against one
    assert paper_values(metrics)["image_ap"] == pytest.approx(np.where(above, 1, 0.5).mean())


@pytest.mark.parametrize(("n_healthy", "n_patient", "blocks"), [(7, 3, 2), (3, 3, 1), (2, 9, 4), (4, 0, 0)])
def test_blocks_hold_the_smaller_group_whole_and_share_no_scan_of_the_larger(n_healthy, n_patient, blocks):
    groups = ["healthy"] * n_healthy + ["patient"] * n_patient
    table = pd.DataFrame({"participant_id": [f"sub-{number}" for number in range(len(groups))], "group": groups})
    found = equal_blocks(table)
    assert len(found) == blocks
    smaller, larger = ("healthy", "patient") if n_healthy < n_patient else ("patient", "healthy")
    for block in found:
        assert block["group"].value_counts().to_dict() == dict.fromkeys(
            ("healthy", "patient"), min(n_healthy, n_patient)
        )
        assert set(table.loc[table["group"] == smaller, "participant_id"]) <= set(block.index)
    cut = [name for block in found for name in block.index[block["group"] == larger]]
    assert len(cut) == len(set(cut))
    shuffled = equal_blocks(table.sample(frac=1, random_state=0))
    assert [set(block.index) for block in shuffled] == [set(block.index) for block in found], "the table's order"


def test_the_brain_mask_alone_looks_good_on_whole_volumes(scans, brain_mask, tmp_path):
    save_volume(tmp_path / "mask.nii.gz", Volume(brain_mask.data.astype(np.float32), AFFINE))
    bare = scans.assign(map=str(tmp_path / "mask.nii.gz"), score=1.0)
    metrics, curves, *_ = evaluate_experiment("mask", bare, brain_mask, healthy_quantile=None, protocols=["paper"])
    assert set(metrics["protocol"]) == {"paper"} and curves.empty
    found = paper_values(metrics)
    truth = [truth for truth, _ in whole_volumes(scans, "test")]
    brain = brain_mask.data.ravel()
    auroc = np.mean([roc_auc_score(lesion, brain) for lesion in truth])
    assert auroc > 0.7
    assert found["voxel_auroc"] == pytest.approx(auroc)
    assert found["dice"] == pytest.approx(np.mean([f1_score(lesion, brain) for lesion in truth]))
    assert found["image_auroc"] == 0.5


def test_a_segmentation_is_measured_as_it_is_and_detects_nothing(scans, brain_mask, tmp_path):
    """Its lesions are the voxels from 2 on: no threshold is fitted, and none of its missing scores counts."""
    binary = scans.assign(score=np.nan)
    for index, scan in scans.iterrows():
        path = tmp_path / f"{scan['participant_id']}_binary.nii.gz"
        save_volume(path, Volume(load_volume(scan["map"]).data >= 2, AFFINE))
        binary.loc[index, "map"] = str(path)
    metrics, curves, *_ = evaluate_experiment("segmentation", binary, brain_mask, healthy_quantile=None)
    found = paper_values(metrics)
    expected = [(truth, values >= 2) for truth, values in whole_volumes(scans, "test")]
    assert found["dice"] == pytest.approx(np.mean([f1_score(*pair) for pair in expected]))
    assert found["voxel_auroc"] == pytest.approx(np.mean([roc_auc_score(*pair) for pair in expected]))
    strict = metrics[(metrics["protocol"] == "strict") & (metrics["split"] == "test")].set_index("metric")["value"]
    brain = brain_mask.data.ravel()
    assert strict["dice"] == pytest.approx(
        np.mean([f1_score(truth[brain], called[brain]) for truth, called in expected])
    )
    image = metrics[metrics["metric"].str.startswith("image")]
    assert image["value"].isna().all() and (image["n_patient"] > 0).all()
    assert set(metrics.loc[metrics["metric"] == "threshold", "value"]) == {1.0}
    assert "image_roc" not in set(curves["curve"])

    continuous = evaluate_experiment("maps", scans, brain_mask).metrics
    compare_metrics([continuous, metrics])


def test_without_patients_there_is_nothing_to_measure(scans, brain_mask):
    metrics = evaluate_experiment("e", scans[scans["group"] == "healthy"], brain_mask).metrics
    assert metrics.loc[metrics["protocol"] == "paper", "value"].isna().all()

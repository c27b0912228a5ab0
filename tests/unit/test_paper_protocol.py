"""The paper's own protocol, from maps and masks on disk, against scikit-learn on the voxels themselves."""

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics as sklearn_metrics
from sklearn.metrics import f1_score, jaccard_score, roc_curve

from stfpm3d.evaluation.comparison import compare_metrics
from stfpm3d.evaluation.experiment import evaluate_experiment
from stfpm3d.evaluation.imagewise import equal_blocks
from stfpm3d.imaging.grid import inside_crop, network_grid
from stfpm3d.imaging.template import brain_mask as brain_mask_1mm
from stfpm3d.imaging.template import build_template
from stfpm3d.imaging.volumes import Volume, load_mask, load_volume, save_volume

SHAPE = (12, 13, 14)
AFFINE = np.diag([2.0, 2.0, 2.0, 1.0])
CROP = np.zeros(SHAPE, dtype=bool)
CROP[2:-2, 4:-1, 2:-2] = True


@pytest.fixture
def brain_mask():
    brain = np.zeros(SHAPE, dtype=bool)
    brain[3:-3, 3:-3, 3:-3] = True
    return Volume(brain, AFFINE)


@pytest.fixture
def scans(tmp_path, brain_mask):
    """One healthy scan and three patients a split; maps are powers of two, so that no bin of a histogram rounds them,
    and 0 outside the brain. A lesion reaches out of the brain and of the crop, and so does the brain of the crop.
    """
    rng = np.random.default_rng(1)
    rows = []
    for split in ("val", "test"):
        for number in range(4):
            path, group = tmp_path / f"{split}{number}", "patient" if number else "healthy"
            lesion = np.zeros(SHAPE, dtype=bool)
            if group == "patient":
                lesion[1:6, 3:8, 4 : 6 + number] = True
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


def cropped(scans, split):
    """Truth and map of each patient's voxels in the crop."""
    patients = scans[(scans["split"] == split) & (scans["group"] == "patient")]
    return [
        (load_mask(scan.lesion_mask).data[CROP], load_volume(scan.map).data[CROP]) for scan in patients.itertuples()
    ]


def test_each_patients_crop_is_scored_at_the_mean_of_the_validation_patients_youden_thresholds(scans, brain_mask):
    youden = []
    for truth, values in cropped(scans, "val"):
        false_positive_rate, true_positive_rate, thresholds = roc_curve(truth, values)
        youden.append(thresholds[np.argmax(true_positive_rate - false_positive_rate)])
    assert len(set(youden)) > 1
    threshold = np.mean(youden)
    test = cropped(scans, "test")
    metrics = evaluate_experiment("e", scans, brain_mask, CROP).metrics
    found = paper_values(metrics)
    assert paper_values(metrics, "val")["threshold"] == pytest.approx(threshold, rel=0.002)
    assert found["voxel_auroc"] == pytest.approx(np.mean([roc_auc_score(*scan) for scan in test]))
    assert found["dice"] == pytest.approx(np.mean([f1_score(truth, values >= threshold) for truth, values in test]))
    assert found["iou"] == pytest.approx(np.mean([jaccard_score(truth, values >= threshold) for truth, values in test]))


def test_detection_is_the_mean_over_whole_blocks_of_the_smaller_groups_size(scans, brain_mask):
    metrics = evaluate_experiment("e", scans, brain_mask, CROP).metrics
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


def test_what_lies_outside_the_crop_has_no_say(scans, brain_mask):
    before = paper_values(evaluate_experiment("e", scans, brain_mask, CROP).metrics)
    for scan in scans.itertuples():
        anomaly_map = load_volume(scan.map)
        save_volume(scan.map, Volume(np.where(CROP, anomaly_map.data, 9).astype(np.float32), AFFINE))
        if scan.group == "patient":
            save_volume(scan.lesion_mask, Volume(load_mask(scan.lesion_mask).data & CROP, AFFINE), dtype=np.uint8)
    after = evaluate_experiment("e", scans, brain_mask, CROP).metrics
    pd.testing.assert_series_equal(paper_values(after), before, check_exact=True)

    save_volume(scans["lesion_mask"].iloc[-1], Volume(~CROP, AFFINE), dtype=np.uint8)
    counts = evaluate_experiment("e", scans, brain_mask, CROP).metrics.set_index(["protocol", "split", "metric"])
    assert counts["n_patient"]["paper", "test", "dice"] == 2, "a lesion outside the crop is none"


def test_the_bare_brain_mask_scores_what_its_volume_says(tmp_path):
    """The AUROC of a binary map is the mean of sensitivity and specificity. In the paper's crop of 156 mm (79 voxels of
    2 mm have their centres in it, the outermost on its faces) less than half of the voxels are brain, so that with the
    mask any lesion in the brain scores 0.77; in the whole MNI box it would be 0.89.
    """
    head = Volume(np.ones((97, 115, 97), dtype=np.float32), np.diag([2.0, 2, 2, 1]))
    head.affine[:3, 3] = [-96, -132, -78]
    mask = build_template(head, brain_mask_1mm(), 2.0).mask
    crop = inside_crop(mask, network_grid(mask, 156, 112))
    lesion = np.zeros(mask.shape, dtype=bool)
    lesion[60:70, 50:60, 40:50] = True
    assert mask.data[lesion].all() and crop[lesion].all()
    assert crop.sum() == 79**3
    save_volume(tmp_path / "lesion.nii.gz", Volume(lesion, mask.affine), dtype=np.uint8)
    save_volume(tmp_path / "mask.nii.gz", mask, dtype=np.uint8)
    bare = pd.DataFrame(
        {
            **{"participant_id": ["sub-1", "sub-2"], "group": "patient", "split": ["val", "test"], "score": np.nan},
            **{"map": str(tmp_path / "mask.nii.gz"), "lesion_mask": str(tmp_path / "lesion.nii.gz")},
        }
    )

    def auroc(counted):
        kind = {"healthy_quantile": None, "protocols": ["paper"]}
        metrics, curves, *_ = evaluate_experiment("mask", bare, mask, counted, **kind)
        assert set(metrics["protocol"]) == {"paper"} and curves.empty
        return paper_values(metrics)["voxel_auroc"]

    brain, rest = (mask.data & crop).sum() - 1000, 79**3 - 1000
    assert auroc(crop) == pytest.approx(1 - brain / rest / 2)
    assert auroc(crop) == pytest.approx(0.77, abs=0.005)
    assert auroc(None) == pytest.approx(0.89, abs=0.005)


def test_a_segmentation_is_measured_as_it_is_and_detects_nothing(scans, brain_mask, tmp_path):
    """Its lesions are the voxels from 2 on: no threshold is fitted, and none of its missing scores counts."""
    binary = scans.assign(score=np.nan)
    for index, scan in scans.iterrows():
        path = tmp_path / f"{scan['participant_id']}_binary.nii.gz"
        save_volume(path, Volume(load_volume(scan["map"]).data >= 2, AFFINE))
        binary.loc[index, "map"] = str(path)
    metrics, curves, *_ = evaluate_experiment("segmentation", binary, brain_mask, CROP, healthy_quantile=None)
    found = paper_values(metrics)
    expected = [(truth, values >= 2) for truth, values in cropped(scans, "test")]
    assert found["dice"] == pytest.approx(np.mean([f1_score(*pair) for pair in expected]))
    assert found["voxel_auroc"] == pytest.approx(np.mean([roc_auc_score(*pair) for pair in expected]))
    strict = metrics[(metrics["protocol"] == "strict") & (metrics["split"] == "test")].set_index("metric")["value"]
    patients = binary[(binary["split"] == "test") & (binary["group"] == "patient")]
    volumes = [(load_mask(scan.lesion_mask).data, load_volume(scan.map).data > 0) for scan in patients.itertuples()]
    in_brain = [(truth[brain_mask.data], called[brain_mask.data]) for truth, called in volumes]
    assert strict["dice"] == pytest.approx(np.mean([f1_score(*pair) for pair in in_brain]))
    image = metrics[metrics["metric"].str.startswith("image")]
    assert image["value"].isna().all() and (image["n_patient"] > 0).all()
    assert set(metrics.loc[metrics["metric"] == "threshold", "value"]) == {1.0}
    assert "image_roc" not in set(curves["curve"])

    continuous = evaluate_experiment("maps", scans, brain_mask, CROP).metrics
    compare_metrics([continuous, metrics])


def test_without_patients_there_is_nothing_to_measure(scans, brain_mask):
    metrics = evaluate_experiment("e", scans[scans["group"] == "healthy"], brain_mask, CROP).metrics
    assert metrics.loc[metrics["protocol"] == "paper", "value"].isna().all()

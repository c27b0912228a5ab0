"""The probes of the shortcut: data in which each must fire, and data in which it must keep silent."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import ndimage
from scipy.stats import mannwhitneyu
from sklearn.linear_model import RidgeClassifier
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold
from sklearn.preprocessing import StandardScaler

from stfpm3d.evaluation.protocol import metric_table
from stfpm3d.imaging.removal import write_copy
from stfpm3d.imaging.standardize import PERCENTILES
from stfpm3d.imaging.volumes import Volume, load_mask, load_volume, save_volume
from stfpm3d.maps.form import ScoredMap
from stfpm3d.probes import histogram
from stfpm3d.probes.copies import copy_table, measure_copies
from stfpm3d.probes.histogram import histogram_rows, intensity_histogram
from stfpm3d.probes.regions import region_patients, with_known_region
from stfpm3d.probes.separation import fires, removed_rows, separation
from stfpm3d.probes.sites import site_rates, site_row
from stfpm3d.probes.within import mirror_auroc, within_rows

SHAPE = (28, 32, 28)
AFFINE = np.array([[4.0, 0, 0, -54], [0, 4.0, 0, -62], [0, 0, 4.0, -54], [0, 0, 0, 1]])
LANDMARKS = np.array(PERCENTILES, dtype=float)


@pytest.fixture(scope="module")
def brain() -> Volume:
    """A ball-like brain of 4 mm voxels, some 0.8 litres, symmetric in x."""
    offset = (np.indices(SHAPE).T - (np.array(SHAPE) - 1) / 2) / np.array(SHAPE)
    return Volume(np.linalg.norm(offset, axis=-1).T < 0.48, AFFINE)


def scan_table(n_healthy: int, n_patient: int, **columns: object) -> pd.DataFrame:
    names = [f"sub-{n:02}" for n in range(n_healthy + n_patient)]
    groups = ["healthy"] * n_healthy + ["patient"] * n_patient
    table = {"scan_id": names, "participant_id": names, "group": groups}
    return pd.DataFrame({**table, **columns})


def by_metric(rows) -> dict[str, tuple[float, int, int]]:
    return {row.metric: (row.estimate.value, row.n_healthy, row.n_patient) for row in rows}


def test_groups_that_differ_fire_and_groups_that_do_not_keep_silent() -> None:
    rng = np.random.default_rng(0)
    noise = rng.normal(size=40)
    different = scan_table(20, 20, score=noise + np.repeat([0, 1.5], 20))
    found = by_metric(separation("probe", different))
    healthy, patients = (different.loc[different["group"] == name, "score"] for name in ("healthy", "patient"))
    expected = roc_auc_score(different["group"] == "patient", different["score"])
    assert found["probe"] == (pytest.approx(expected, rel=1e-12), 20, 20)
    assert found["probe_p"][0] == pytest.approx(mannwhitneyu(patients, healthy, alternative="greater").pvalue, abs=1e-3)
    assert fires(found["probe"][0], found["probe_p"][0])
    same = by_metric(separation("probe", scan_table(20, 20, score=noise)))
    assert not fires(same["probe"][0], same["probe_p"][0])
    lower = by_metric(separation("probe", different.assign(score=-different["score"])))
    assert lower["probe_p"][0] > 0.9, "healthy scans that score higher are no shortcut to patients"


def test_by_chance_a_probe_fires_in_one_of_twenty_cohorts() -> None:
    rng = np.random.default_rng(1)
    fired = 0
    for _ in range(40):
        scores = by_metric(separation("probe", scan_table(12, 12, score=rng.normal(size=24))))
        fired += fires(scores["probe"][0], scores["probe_p"][0])
    assert fired <= 5  # at most 2 are expected, and more than 5 have a chance of 1.4 %


def test_with_fewer_than_twelve_subjects_there_is_nothing_to_tell_and_sessions_are_no_subjects() -> None:
    few = scan_table(11, 30, score=np.arange(41.0))
    assert by_metric(separation("probe", few))["probe"][1:] == (11, 30)
    assert np.isnan([value for value, *_ in by_metric(separation("probe", few)).values()]).all()
    sessions = pd.concat([few, few.assign(score=few["score"] + 1)])
    assert by_metric(separation("probe", sessions))["probe"][1:] == (11, 30)
    assert np.isnan(by_metric(separation("probe", sessions))["probe"][0])
    assert not fires(np.nan, np.nan)


def test_both_groups_lose_the_same_regions_and_patients_without_a_mask_are_in_no_probe() -> None:
    table = scan_table(25, 13, lesion_mask=[None] * 25 + ["mask"] * 12 + [None])
    known = with_known_region(table)
    regions = region_patients(known)
    patients = set(table["scan_id"][25:37])
    assert set(regions) == {*table["scan_id"][:25], *patients}
    assert all(regions[patient] == patient for patient in patients)
    used = pd.Series([regions[scan] for scan in table["scan_id"][:25]]).value_counts()
    assert set(used.index) == patients and set(used) == {2, 3}
    assert regions == region_patients(known.sample(frac=1, random_state=0))
    assert region_patients(known.iloc[:-1]) == {} == region_patients(known.iloc[14:])


@pytest.fixture(scope="module")
def tissue(brain: Volume) -> Volume:
    """A stripped scan: smooth anatomy between 50 and 150, 0 outside the brain."""
    field = ndimage.gaussian_filter(np.random.default_rng(3).normal(size=SHAPE), 1.0)
    values = 100 + 20 * field / field[brain.data].std()
    return Volume(np.where(brain.data, values, 0).astype(np.float32), AFFINE)


def ball(centre: tuple[int, int, int], radius_mm: float) -> Volume:
    offset = (np.indices(SHAPE).T - np.array(centre)) * 4.0
    return Volume(radius_mm >= np.linalg.norm(offset, axis=-1).T, AFFINE)


def test_nothing_of_a_lesion_is_left_in_the_copy_that_lost_it(tmp_path: Path, brain: Volume, tissue: Volume) -> None:
    """Neither its voxels nor what it does to the standard scale: the copy is the healthy scan's, to the bit."""
    lesion = ball((9, 16, 14), 16)
    lesioned = Volume(np.where(lesion.data & brain.data, tissue.data + 300, tissue.data), AFFINE)
    mean = np.full(SHAPE, 0.25, dtype=np.float32)
    copies = []
    for name, scan in (("patient", lesioned), ("healthy", tissue)):
        paths = tmp_path / f"{name}.nii.gz", tmp_path / f"{name}_region.nii.gz"
        write_copy(scan, brain, lesion, *paths, landmarks=LANDMARKS, healthy_mean=mean)
        copies.append(load_volume(paths[0]).data)
    region = load_mask(tmp_path / "patient_region.nii.gz").data
    assert np.array_equal(copies[0], copies[1])
    assert (copies[0][region & brain.data] == 0.25).all()
    assert copies[0][brain.data & ~region].std() == pytest.approx(1, abs=1e-3)
    assert region[9, 16, 14 + 5] and not region[9, 16, 14 + 6], "16 mm of lesion and 4 mm of margin, voxels of 4 mm"


def test_a_score_far_from_the_region_sees_nothing_near_it(tmp_path: Path, brain: Volume) -> None:
    region = ball((9, 16, 14), 8)
    hot = np.zeros(SHAPE, dtype=np.float32)
    hot[9, 16, 14] = 9  # inside
    hot[9, 16, 14 + 3] = 7  # 4 mm from its edge
    hot[9, 16, 14 + 5] = 5  # 12 mm
    hot[22, 16, 14] = 3  # 44 mm
    hot[0, 0, 0] = 99  # no brain
    save_volume(tmp_path / "region.nii.gz", region, np.uint8)
    save_volume(tmp_path / "empty.nii.gz", Volume(np.zeros(SHAPE), AFFINE), np.uint8)
    masks = [tmp_path / "region.nii.gz", tmp_path / "empty.nii.gz"]
    files = {"images": masks, "masks": masks, "supports": masks, "controls": []}
    rows = [
        {"scan_id": name, "participant_id": name, "group": group}
        for name, group in (("sub-a", "healthy"), ("sub-b", "patient"))
    ]
    made = ScoredMap(Volume(hot, AFFINE), 0.0)
    table = measure_copies("removed", copy_table(rows, files), lambda _: made, brain)
    assert table[["score_6mm", "score_30mm"]].to_numpy().tolist() == [[5, 3], [9, 9]]
    assert table["group"].tolist() == ["healthy", "patient"]


def test_copies_tell_the_groups_apart_or_do_not_and_without_copies_the_subjects_are_counted() -> None:
    rng = np.random.default_rng(5)
    noise = rng.normal(size=30)
    scans = scan_table(15, 15, score_6mm=noise + np.repeat([0, 3], 15), score_30mm=noise)
    found = by_metric(removed_rows(scans))
    assert fires(found["probe_removed_6mm"][0], found["probe_removed_6mm_p"][0])
    assert not fires(found["probe_removed_30mm"][0], found["probe_removed_30mm_p"][0])
    nothing = by_metric(removed_rows(scan_table(2, 2)))
    assert all(np.isnan(value) and counts == [2, 2] for value, *counts in nothing.values())
    columns = metric_table("stfpm", "probes", removed_rows(scans))
    assert set(columns["protocol"]) == {"probes"} and set(columns["split"]) == {"test"}
    assert columns["ci_low"].notna().tolist() == [True, False, True, False], "a p has no interval"


def histogram_cohort(brain: Volume, noise_sd: tuple[float, float], lesions_known: bool) -> np.ndarray:
    """Histograms of 14 healthy scans and of 14 with a large bright lesion, from scanners that differ in their noise."""
    rng = np.random.default_rng(7)
    anatomy = np.digitize(ndimage.gaussian_filter(rng.normal(size=SHAPE), 1.5), [-0.06, 0.06]) * 60.0 + 60
    lesion = ball((9, 16, 14), 18)
    nowhere = Volume(np.zeros(SHAPE, dtype=bool), AFFINE)
    rows = []
    for is_patient in SCANS["group"] == "patient":
        scan = anatomy + rng.normal(0, noise_sd[is_patient], SHAPE) + rng.normal(0, 3)
        scan[lesion.data] += 150 * is_patient
        stripped = Volume(np.where(brain.data, scan, 0).astype(np.float32), AFFINE)
        rows.append(intensity_histogram(stripped, brain, lesion if lesions_known else nowhere, LANDMARKS))
    return np.array(rows)


SCANS = scan_table(14, 14)


@pytest.mark.parametrize(
    ("noise_sd", "lesions_known", "expected"), [((6, 9), True, True), ((6, 6), True, False), ((6, 6), False, True)]
)
def test_histograms_fire_on_another_scanner_and_keep_silent_on_lesions_that_are_left_out(
    brain: Volume, noise_sd: tuple[float, float], lesions_known: bool, expected: bool
) -> None:
    features = histogram_cohort(brain, noise_sd, lesions_known)
    found = by_metric(histogram_rows(SCANS, features))
    assert fires(found["probe_histogram"][0], found["probe_histogram_p"][0]) == expected, found
    assert found["probe_histogram"][1:] == (14, 14)
    is_patient = (SCANS["group"] == "patient").to_numpy()
    scores = np.empty(28)
    for train, test in StratifiedKFold(5, shuffle=True, random_state=0).split(features, is_patient):
        scaler = StandardScaler().fit(features[train])
        classifier = RidgeClassifier(10.0).fit(scaler.transform(features[train]), is_patient[train])
        scores[test] = classifier.decision_function(scaler.transform(features[test]))
    assert found["probe_histogram"][0] == roc_auc_score(is_patient, scores)


def test_histograms_of_noise_fire_in_one_of_twenty_cohorts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(histogram, "PERMUTATIONS", 199)
    rng = np.random.default_rng(4)
    found = [by_metric(histogram_rows(SCANS, rng.normal(size=(28, 32)))) for _ in range(40)]
    assert sum(fires(row["probe_histogram"][0], row["probe_histogram_p"][0]) for row in found) <= 5
    p_values = [row["probe_histogram_p"][0] for row in found]
    assert 0.35 < np.mean(p_values) < 0.65, "uniform"


def test_a_subjects_sessions_are_one_histogram() -> None:
    rng = np.random.default_rng(6)
    features = rng.normal(size=(28, 32))
    shift = rng.normal(size=(28, 32))
    twice = histogram_rows(pd.concat([SCANS, SCANS]), np.concatenate([features + shift, features - shift]))
    once = histogram_rows(SCANS, features)
    assert by_metric(twice)["probe_histogram"] == pytest.approx(by_metric(once)["probe_histogram"])


def test_too_few_subjects_have_no_histograms() -> None:
    found = by_metric(histogram_rows(scan_table(30, 11), np.empty(0)))
    assert np.isnan(found["probe_histogram"][0]) and np.isnan(found["probe_histogram_p"][0])
    assert found["probe_histogram"][1:] == (30, 11)


def saved(folder: Path, name: str, data: np.ndarray, dtype: type = np.float32) -> str:
    save_volume(folder / f"{name}.nii.gz", Volume(data, AFFINE), dtype)
    return str(folder / f"{name}.nii.gz")


def test_a_map_of_lesions_stands_out_within_patients_and_one_of_the_site_does_not(
    tmp_path: Path, brain: Volume
) -> None:
    rng = np.random.default_rng(9)
    lesion = ball((8, 16, 17), 10).data
    mask = saved(tmp_path, "lesion", lesion, np.uint8)
    values = {}
    for name, inside, everywhere in (("of lesions", 12, 0), ("of the site", 0, 12)):
        scans = []
        for n in range(8):
            is_patient = n >= 4
            data = rng.exponential(size=SHAPE) + is_patient * (inside * lesion + everywhere)
            group = "patient" if is_patient else "healthy"
            path = saved(tmp_path, f"map{n}{inside}", data)
            scans.append((f"sub-{n}", group, "test", path, mask if is_patient else None))
        table = pd.DataFrame(scans, columns=["participant_id", "group", "split", "map", "lesion_mask"])
        values[name] = by_metric(within_rows(table, brain))
    for metric in ("probe_slices", "probe_mirror"):
        assert values["of lesions"][metric][0] > 0.95
        assert values["of lesions"][metric][1:] == (0, 4)
    assert values["of the site"]["probe_mirror"][0] == pytest.approx(0.5, abs=0.05)
    slices, control = (values["of the site"][f"probe_slices{end}"][0] for end in ("", "_control"))
    assert slices == pytest.approx(control, abs=0.15)
    assert control > 0.6, "large slices have higher maxima and more lesions"
    assert values["of lesions"]["probe_slices_control"][1:] == (4, 4)


@pytest.mark.parametrize("affine", [AFFINE, AFFINE * [[-1], [1], [1], [1]]])
def test_a_lesions_mirrored_place_is_on_the_other_side_of_mni_space(affine: np.ndarray) -> None:
    lesion = ball((6, 10, 12), 7).data
    mirrored = lesion[::-1]  # x of AFFINE is symmetric about 0
    values = np.where(lesion, 2.0, np.where(mirrored, 1.0, 3.0))
    assert mirror_auroc(values, lesion, affine) == 1, "nothing else than the mirrored place is compared"
    assert mirror_auroc(-values, lesion, affine) == 0
    assert np.isnan(mirror_auroc(values, lesion | mirrored, affine)), "a lesion that is its own mirror image"
    assert np.isnan(mirror_auroc(np.where(mirrored, -np.inf, values), lesion, affine)), "no brain on the other side"


def test_a_site_whose_maps_are_brighter_has_false_alarms_at_the_others_threshold(tmp_path: Path, brain: Volume) -> None:
    rng = np.random.default_rng(11)
    gains = {"north": 1.0, "south": 1.0, "west": 3.0}
    rows, data = [], {}
    for site, gain in gains.items():
        for split in ("val", "test"):
            for n in range(2):
                name = f"{site}{split}{n}"
                data[name] = gain * rng.exponential(size=SHAPE).astype(np.float32)
                rows.append((name, "healthy", split, site, saved(tmp_path, name, data[name])))
    scans = pd.DataFrame(rows, columns=["participant_id", "group", "split", "site", "map"])
    rates = site_rates(scans, brain, 0.99).set_index("site")
    for site in gains:
        others = [data[f"{other}val{n}"][brain.data] for other in gains if other != site for n in range(2)]
        tested = np.concatenate([data[f"{site}test{n}"][brain.data] for n in range(2)])
        expected = (tested >= np.quantile(np.concatenate(others), 0.99)).mean()
        assert rates["fpr"][site] == pytest.approx(expected, rel=0.02)
    assert rates[["n_healthy_val_others", "n_healthy_test"]].to_numpy().tolist() == [[4, 2]] * 3
    assert rates["fpr"]["west"] > 0.15 and site_row(rates).estimate.value == rates["fpr"].max()
    even = site_rates(scans[scans["site"] != "west"], brain, 0.99)
    assert float(even["fpr"].max()) < 0.015
    alone = site_rates(scans[scans["site"] == "west"], brain, 0.99)
    assert alone["fpr"].isna().tolist() == [True] and np.isnan(site_row(alone).estimate.value)
    unmeasured = site_rates(scans[scans["split"] == "val"], brain, 0.99)  # beside a table of test patients alone
    assert unmeasured.empty and np.isnan(site_row(unmeasured).estimate.value)

"""Synthetic lesions: their volumes and places, the families that are kept apart, and what is measured on them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import ndimage
from sklearn.metrics import average_precision_score

from stfpm3d.imaging.lesions import (
    SIZES_ML,
    blob_lesion,
    drawn_volume_ml,
    grown_lesion,
    lesion_generator,
    real_lesion,
    size_of,
    with_lesion,
    write_lesions,
)
from stfpm3d.imaging.volumes import Volume, load_mask, load_volume, save_volume
from stfpm3d.maps.form import ScoredMap
from stfpm3d.probes.copies import measure_copies
from stfpm3d.probes.synthetic import detected_lesions, detection_level, synthetic_metrics
from stfpm3d.runtime.errors import InputError

SHAPE = (32, 36, 32)
AFFINE = np.array([[4.0, 0, 0, -62], [0, 4.0, 0, -70], [0, 0, 4.0, -62], [0, 0, 0, 1]])


@pytest.fixture(scope="module")
def support() -> Volume:
    """A ball-like brain of 4 mm voxels, 1.1 litres."""
    offset = (np.indices(SHAPE).T - (np.array(SHAPE) - 1) / 2) / np.array(SHAPE)
    return Volume(np.linalg.norm(offset, axis=-1).T < 0.49, AFFINE)


@pytest.fixture(scope="module")
def scan(support: Volume) -> Volume:
    """Smooth tissue of unit SD in the brain, and -3 around it."""
    field = ndimage.gaussian_filter(np.random.default_rng(0).normal(size=SHAPE), 1.5)
    values = field / field[support.data].std()
    return Volume(np.where(support.data, values, -3).astype(np.float32), AFFINE)


@pytest.mark.parametrize("volume_ml", [0.5, 7.0, 50.0])
def test_lesions_have_their_volume_and_lie_in_the_brain(scan: Volume, support: Volume, volume_ml: float) -> None:
    for seed in range(4):
        grown = grown_lesion(scan, support, volume_ml, np.random.default_rng(seed))
        blob = blob_lesion(support, volume_ml, np.random.default_rng(seed))
        for lesion in (grown, blob):
            assert np.count_nonzero(lesion) == round(volume_ml / scan.voxel_ml)
            assert not (lesion & ~support.data).any()
        assert ndimage.label(grown)[1] == 1  # it grew from one place


def test_a_front_follows_the_tissue(support: Volume) -> None:
    """In a brain whose halves differ in intensity, lesions stay on the side on which they began."""
    halves = np.where(support.data, np.sign(np.indices(SHAPE)[0] - SHAPE[0] / 2 + 0.5), -3).astype(np.float32)
    halves += np.random.default_rng(0).normal(0, 1e-3, SHAPE)
    shares = []
    for seed in range(6):
        values = halves[grown_lesion(Volume(halves, AFFINE), support, 20, np.random.default_rng(seed))]
        shares.append(max((values > 0).mean(), (values < 0).mean()))
    assert np.mean(shares) > 0.9


@pytest.mark.parametrize("sign", [1, -1])
def test_a_lesion_shifts_its_tissue_and_leaves_the_rest_of_the_scan_alone(
    scan: Volume, support: Volume, sign: int
) -> None:
    rng = np.random.default_rng(1)
    lesion = grown_lesion(scan, support, 20, rng)
    changed = with_lesion(scan, support, lesion, sign, rng)
    difference = changed.data - scan.data
    assert 0.7 < sign * np.mean(difference[lesion]) < 3.3
    near = ndimage.binary_dilation(lesion, np.ones((3, 3, 3), dtype=bool), iterations=2) & support.data
    assert np.array_equal(changed.data[~near], scan.data[~near])
    assert np.ptp(difference[lesion]) > 0.2  # texture, and the edge's partial volume


def test_every_scan_gets_small_medium_and_large_lesions_of_its_own(
    tmp_path: Path, scan: Volume, support: Volume
) -> None:
    def written(scan_id: str, seed: int) -> list[Volume]:
        images, masks = ([tmp_path / f"{n}_{kind}.nii.gz" for n in range(3)] for kind in ("image", "mask"))
        write_lesions(scan, support, images, masks, scan_id=scan_id, sign=1, seed=seed)
        assert all(not np.array_equal(load_volume(image).data, scan.data) for image in images)
        return [load_mask(path) for path in masks]

    first = written("sub-a", 0)
    assert [size_of(mask.data.sum() * mask.voxel_ml) for mask in first] == ["small", "medium", "large"]
    assert all(np.array_equal(a.data, b.data) for a, b in zip(first, written("sub-a", 0), strict=True))
    for others in (written("sub-b", 0), written("sub-a", 1)):
        assert not any(np.array_equal(a.data, b.data) for a, b in zip(first, others, strict=True))


def test_drawn_volumes_are_log_uniform_within_their_size() -> None:
    volumes = np.array([drawn_volume_ml(1, lesion_generator(0, f"sub-{n}", 1)) for n in range(2000)])
    low, high = SIZES_ML["medium"]
    assert volumes.min() >= low and volumes.max() <= high
    assert np.median(volumes) == pytest.approx(np.sqrt(low * high), rel=0.05)


def test_a_real_mask_is_brought_to_the_grid_and_one_outside_the_brain_is_named(
    tmp_path: Path, scan: Volume, support: Volume
) -> None:
    fine = np.diag([2.0, 2.0, 2.0, 1.0])
    fine[:3, 3] = -20
    save_volume(tmp_path / "lesion.nii.gz", Volume(np.ones((20, 10, 10)), fine), np.uint8)  # 16 ml
    image, mask = tmp_path / "image.nii.gz", tmp_path / "mask.nii.gz"
    settings = {"scan_id": "sub-a", "sign": 1, "seed": 0}
    write_lesions(scan, support, [image], [mask], **settings, given=[tmp_path / "lesion.nii.gz"])
    lesion = load_mask(mask)
    assert lesion.data.sum() * lesion.voxel_ml == pytest.approx(16, abs=0.5)
    fine[:3, 3] = 500
    save_volume(tmp_path / "far.nii.gz", Volume(np.ones((20, 10, 10)), fine), np.uint8)
    with pytest.raises(InputError, match=r"far\.nii\.gz: no voxel of this lesion mask lies inside the brain"):
        real_lesion(tmp_path / "far.nii.gz", support)


def test_a_lesion_is_detected_up_to_the_level_that_a_tenth_of_it_reaches() -> None:
    assert detection_level(np.arange(20.0)) == 18  # two of twenty voxels
    assert detection_level(np.arange(3.0)) == 2


def test_a_lesion_is_measured_beside_its_control(tmp_path: Path, scan: Volume, support: Volume) -> None:
    rng = np.random.default_rng(0)
    lesion = grown_lesion(scan, support, 20, rng)
    control = rng.random(SHAPE, np.float32)
    found = control + 0.3 * lesion
    save_volume(tmp_path / "mask.nii.gz", Volume(lesion, AFFINE), np.uint8)
    save_volume(tmp_path / "control.nii.gz", Volume(control, AFFINE))
    table = pd.DataFrame(
        {
            "scan_id": ["sub-a"],
            "participant_id": ["sub-a"],
            "lesion": [0],
            "image": "image",
            "support": "support",
            "mask": tmp_path / "mask.nii.gz",
            "control": tmp_path / "control.nii.gz",
            "score_control": [7.5],  # a method's own, not always the maximum
        }
    )
    made = ScoredMap(Volume(found, AFFINE), 9.5)
    (row,) = measure_copies("synthetic", table, lambda _: made, support).to_dict("records")
    inside = lesion[support.data]
    for name, values in (("", found), ("_control", control)):
        assert row[f"ap{name}"] == pytest.approx(average_precision_score(inside, values[support.data]))
        assert (values[lesion] >= row[f"level{name}"]).mean() == pytest.approx(0.1, abs=1 / lesion.sum())
    assert (row["score"], row["score_control"]) == (9.5, 7.5)
    assert row["volume_ml"] == pytest.approx(20, abs=scan.voxel_ml)


def test_sensitivity_is_counted_by_size_and_detection_of_scans_against_themselves() -> None:
    lesions = pd.DataFrame(
        {
            "participant_id": ["sub-a", "sub-a", "sub-a", "sub-b", "sub-b", "sub-b"],
            "lesion": [0, 1, 2, 0, 1, 2],
            "volume_ml": [1, 5, 20, 1.9, 2.0, 60],
            "ap": [0.0, 0.5, 1.0, 0.1, 0.6, 0.8],
            "ap_control": [0.01] * 6,
            "level": [1.0, 3.0, 4.0, 2.0, 1.0, 9.0],
            "level_control": [1.0, 0.5, 2.5, 0.5, 0.5, 0.5],
            "score": [5.0, 6.0, 7.0, 2.0, 3.0, 9.0],
            "score_control": [4.0, 4.0, 4.0, 3.0, 3.0, 3.0],
        }
    )
    metrics = synthetic_metrics("stfpm", detected_lesions(lesions, 2.0)).set_index("metric")
    expected = {
        "synthetic_ap": 0.5,
        "synthetic_ap_control": 0.01,
        "synthetic_sensitivity": 4 / 6,
        "synthetic_sensitivity_small": 0.5,
        "synthetic_sensitivity_medium": 0.5,
        "synthetic_sensitivity_large": 1.0,
        "synthetic_sensitivity_control": 1 / 6,
        # Six scans with a lesion against two without (4 and 3): 2 beats none, 3 ties with one, the others beat both.
        "synthetic_auroc_paired": (4 * 2 + 0.5) / 12,
    }
    assert metrics["value"].to_dict() == pytest.approx(expected)
    assert set(metrics["n_healthy"]) == {2} and set(metrics["split"]) == {"test"}


def test_without_a_threshold_nothing_is_called_detected_or_missed() -> None:
    lesions = pd.DataFrame({"volume_ml": [1.0], "level": [1.0], "level_control": [0.0]})
    table = detected_lesions(lesions, np.nan)
    assert table[["detected", "detected_control"]].isna().all(axis=None)

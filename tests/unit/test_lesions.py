"""Synthetic lesions in healthy validation scans, by which a student's epoch is chosen."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import average_precision_score

from stfpm3d.imaging.lesions import grown_lesion, lesion_generator
from stfpm3d.imaging.volumes import Volume
from stfpm3d.learning import lesioned_scans
from stfpm3d.learning.lesioned_scans import LESIONS_PER_SCAN, LesionedScans, lesion_aps
from stfpm3d.learning.training import ScanDataset

SIZE = 24


@pytest.fixture
def brain() -> Volume:
    """A cube of 4 mm voxels with a margin."""
    mask = np.zeros((SIZE, SIZE, SIZE), dtype=bool)
    mask[2:-2, 2:-2, 2:-2] = True
    return Volume(mask, np.diag([4.0, 4.0, 4.0, 1.0]))


@pytest.fixture
def scans(tmp_path: Path, brain: Volume) -> ScanDataset:
    """Three scans of noise in the brain."""
    paths = [tmp_path / f"sub-{index}.npy" for index in range(3)]
    for index, path in enumerate(paths):
        np.save(
            path, np.where(brain.data, np.random.default_rng(index).normal(size=brain.shape), -3).astype(np.float16)
        )
    return ScanDataset(paths)


def test_each_healthy_scan_comes_with_small_and_large_lesions_that_are_always_the_same(
    scans: ScanDataset, brain: Volume
) -> None:
    lesioned = LesionedScans(scans, [1, 2], brain, -1, seed=0)
    assert len(lesioned) == 2 * LESIONS_PER_SCAN
    volumes = []
    for item, (index, scan, lesion) in enumerate(lesioned[i] for i in range(len(lesioned))):
        clean = scans[[1, 2][item % 2]][1]
        assert index == 3 + item  # no clean scan's index
        assert (scan - clean)[0, lesion].mean() < -0.5
        assert (scan != clean).sum() < 8 * lesion.sum() + 100
        assert not lesion[~torch.from_numpy(brain.data)].any()
        assert torch.equal(scan, lesioned[item][1])
        volumes.append(lesion.sum().item() * brain.voxel_ml)
    # Quarters of the range from 0.5 to 50 ml in its logarithm, each by its middle.
    assert volumes == pytest.approx([0.5 * 100 ** (n / 8) for n in (1, 3, 5, 7)], abs=brain.voxel_ml)


def test_lesions_are_made_once_for_all_epochs(
    scans: ScanDataset, brain: Volume, monkeypatch: pytest.MonkeyPatch
) -> None:
    lesioned, again = (LesionedScans(scans, [1, 2], brain, 1, seed=0) for _ in range(2))
    monkeypatch.delattr(lesioned_scans, "blob_lesion")
    for item in range(len(lesioned)):
        index, scan, lesion = lesioned[item]
        assert index == again[item][0] and torch.equal(scan, again[item][1]) and torch.equal(lesion, again[item][2])


def test_the_lesions_of_validation_and_test_differ_for_the_same_scan_seed_and_volume(
    scans: ScanDataset, brain: Volume
) -> None:
    _, _, chosen = LesionedScans(scans, [0], brain, 1, seed=0)[1]
    volume_ml = chosen.sum().item() * brain.voxel_ml
    scan = Volume(scans[0][1][0].numpy(), brain.affine)
    overlaps = [
        (grown_lesion(scan, brain, volume_ml, lesion_generator(0, f"sub-{n}", n)) & chosen.numpy()).sum()
        for n in range(10)
    ]
    # A fifteenth of the brain: two places of such a size that are drawn apart seldom share more than a third.
    assert np.median(overlaps) < chosen.sum().item() / 3


def test_average_precision_is_each_scans_own_inside_the_brain(brain: Volume) -> None:
    rng = np.random.default_rng(0)
    lesions = rng.random((2, *brain.shape)) < 0.05
    # Over many decades, as products of three blocks are, and higher in lesions.
    maps = np.exp(4 * rng.standard_normal(lesions.shape) + 3 * lesions).astype(np.float32)
    expected = [average_precision_score(lesions[n][brain.data], maps[n][brain.data]) for n in range(2)]
    measured = lesion_aps(*(torch.from_numpy(array) for array in (maps, lesions, brain.data)))
    assert measured.tolist() == pytest.approx(expected, abs=1e-3)

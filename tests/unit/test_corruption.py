from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from stfpm3d.imaging.volumes import Volume
from stfpm3d.learning.corruption import (
    CORRUPTIONS,
    LESION_RADIUS_MM,
    LESIONS,
    RAGGEDNESS,
    CorruptedScans,
    with_lesions,
)
from stfpm3d.learning.training import ScanDataset

SPACING_MM = 4.0


@pytest.fixture
def brain() -> Volume:
    """A ball of 40 mm in a cube of 40 voxels of 4 mm."""
    distance_mm = np.linalg.norm(np.indices((40, 40, 40)) - 20, axis=0) * SPACING_MM
    return Volume(distance_mm < 40, np.diag([SPACING_MM, SPACING_MM, SPACING_MM, 1]))


@pytest.mark.parametrize("kind", CORRUPTIONS)
def test_only_brain_is_corrupted_and_each_epoch_differently(tmp_path, brain, kind):
    scan = np.random.default_rng(0).normal(size=brain.shape).astype(np.float16)
    np.save(tmp_path / "scan.npy", scan)
    scans = ScanDataset([tmp_path / "scan.npy"])
    first, again, next_epoch = (CorruptedScans(scans, [0], brain, kind, seed=0, epoch=epoch)[0] for epoch in (0, 0, 1))
    index, clean, corrupted = first
    assert index == 0 and (clean[0].numpy() == scan.astype(np.float32)).all()
    changed = (corrupted != clean)[0].numpy()
    assert changed.any() and not changed[~brain.data].any()
    assert (corrupted == again[2]).all() and (corrupted != next_epoch[2]).any()


def test_lesions_are_one_to_three_blobs_of_the_sizes_that_are_promised(brain):
    scan = np.zeros(brain.shape, dtype=np.float32)
    largest_mm = LESION_RADIUS_MM[1] * (1 + 5 * RAGGEDNESS)
    for seed in range(20):
        changed = with_lesions(scan, brain, np.random.default_rng(seed)) != 0
        volume_mm3 = changed.sum() * SPACING_MM**3
        assert 0 < volume_mm3 < LESIONS[1] * 4 / 3 * np.pi * largest_mm**3
        assert ndimage.label(changed, np.ones((3, 3, 3)))[1] <= 3 * LESIONS[1]  # an outline may tear at the brain's rim

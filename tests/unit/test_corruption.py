from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import ndimage
from scipy.stats import rankdata

from stfpm3d.imaging.grid import NetworkGrid
from stfpm3d.imaging.standardize import PERCENTILES
from stfpm3d.imaging.volumes import Volume
from stfpm3d.learning.corruption import (
    LESION_RADIUS_MM,
    LESIONS,
    RAGGEDNESS,
    CorruptedScans,
    Corruption,
    OtherAcquisitions,
    corrupter,
    with_lesions,
)
from stfpm3d.learning.training import ScanDataset
from stfpm3d.simulation.scan import Simulation
from stfpm3d.simulation.space import space_of

SPACING_MM = 4.0


@pytest.fixture
def brain() -> Volume:
    """A ball of 40 mm in a cube of 40 voxels of 4 mm."""
    distance_mm = np.linalg.norm(np.indices((40, 40, 40)) - 20, axis=0) * SPACING_MM
    return Volume(distance_mm < 40, np.diag([SPACING_MM, SPACING_MM, SPACING_MM, 1]))


@pytest.fixture
def acquisitions(brain: Volume) -> OtherAcquisitions:
    """Of a study of T1w scans whose landmarks are its z-norm's own percentiles."""
    space = space_of(NetworkGrid((40, 40, 40), brain.affine))
    return OtherAcquisitions(Simulation(space, torch.linspace(-2, 2, len(PERCENTILES)), "T1w"), [brain.data])


@pytest.mark.parametrize("kind", ["noise", "lesions"])
def test_only_brain_is_corrupted_and_each_epoch_differently(tmp_path: Path, brain: Volume, kind: Corruption) -> None:
    scan = np.random.default_rng(0).normal(size=brain.shape).astype(np.float16)
    np.save(tmp_path / "scan.npy", scan)
    scans = ScanDataset([tmp_path / "scan.npy"])
    first, again, next_epoch = (
        CorruptedScans(scans, [0], corrupter(kind, brain, None), seed=0, epoch=epoch)[0] for epoch in (0, 0, 1)
    )
    index, clean, corrupted = first
    assert index == 0 and (clean[0].numpy() == scan.astype(np.float32)).all()
    changed = (corrupted != clean)[0].numpy()
    assert changed.any() and not changed[~brain.data].any()
    assert (corrupted == again[2]).all() and (corrupted != next_epoch[2]).any()


def test_another_acquisition_is_standardized_as_the_scan_and_keeps_its_order(
    tmp_path: Path, brain: Volume, acquisitions: OtherAcquisitions
) -> None:
    depth_mm = 40 - np.linalg.norm(np.indices(brain.shape) - 20, axis=0) * SPACING_MM
    scan = np.where(brain.data, (depth_mm - depth_mm[brain.data].mean()) / depth_mm[brain.data].std(), -3.0)
    np.save(tmp_path / "scan.npy", scan.astype(np.float16))
    scans = ScanDataset([tmp_path / "scan.npy"])
    first, again, later = (CorruptedScans(scans, [0], acquisitions, seed=0, epoch=epoch)[0] for epoch in (0, 0, 1))
    assert (first[2] == again[2]).all() and (first[2] != later[2]).any()
    assert (first[1][0].numpy() == scan.astype(np.float16)).all()
    for _, _, seen in (first, later):
        values = seen[0].numpy()
        within = brain.data & (depth_mm > 12)  # another stripping moves the surface
        assert abs(values[brain.data].mean()) < 0.5
        assert np.corrcoef(rankdata(values[within]), rankdata(scan[within]))[0, 1] > 0.8


def test_lesions_are_one_to_three_blobs_of_the_sizes_that_are_promised(brain: Volume) -> None:
    scan = np.zeros(brain.shape, dtype=np.float32)
    largest_mm = LESION_RADIUS_MM[1] * (1 + 5 * RAGGEDNESS)
    for seed in range(20):
        changed = with_lesions(scan, brain, np.random.default_rng(seed)) != 0
        volume_mm3 = changed.sum() * SPACING_MM**3
        assert 0 < volume_mm3 < LESIONS[1] * 4 / 3 * np.pi * largest_mm**3
        assert ndimage.label(changed, np.ones((3, 3, 3)))[1] <= 3 * LESIONS[1]  # an outline may tear at the brain's rim

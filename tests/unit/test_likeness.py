"""Another contrast than the bundle's is told from the standardized brain."""

from __future__ import annotations

import numpy as np
import pytest

from stfpm3d.imaging.volumes import Volume
from stfpm3d.prediction.likeness import check_likeness, likeness, read_healthy_mean
from stfpm3d.runtime.errors import InputError

AFFINE = np.eye(4)


@pytest.fixture
def healthy(tmp_path):
    """White matter, grey matter and CSF of T2w: -1, 0 and 2, and a voxel that one scan alone holds."""
    mean = np.repeat(np.array([-1.0, 0, 2, 100], dtype=np.float32), [4, 4, 4, 1])[None, None]
    n = np.where(mean == 100, 1, 5)
    np.savez(tmp_path / "statistics.npz", mean=mean, sd=np.ones_like(mean), n=n)
    return read_healthy_mean(tmp_path / "statistics.npz")


def scan(*tissues: float) -> tuple[Volume, Volume]:
    data = np.repeat(np.array([*tissues, 0], dtype=np.float32), [4, 4, 4, 1])[None, None]
    return Volume(data, AFFINE), Volume(np.ones(data.shape, dtype=bool), AFFINE)


def test_a_scan_of_the_same_contrast_is_like_the_mean_whatever_its_scale(healthy) -> None:
    assert likeness(*scan(-2, 0, 4), healthy) == pytest.approx(1)


def test_the_inverted_contrast_is_negative(healthy) -> None:
    assert likeness(*scan(1, 0, -2), healthy) == pytest.approx(-1)


def test_half_of_the_least_in_validation_is_enough(healthy) -> None:
    check_likeness(0.41, 0.8, "T2w", "sub-1: a.nii")
    with pytest.raises(InputError, match=r"sub-1: a.nii does not look like the T2w scans .* is 0.39, expected 0.40"):
        check_likeness(0.39, 0.8, "T2w", "sub-1: a.nii")
    with pytest.raises(InputError):
        check_likeness(float("nan"), 0.8, "T2w", "sub-1: a.nii")

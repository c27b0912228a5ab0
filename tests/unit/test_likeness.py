"""Another contrast than the bundle's is told from the standardized brain."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from stfpm3d.imaging.volumes import Volume
from stfpm3d.prediction.likeness import check_likeness, check_suffix, likeness, read_healthy_mean
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


SIGNALS = {  # of white matter, grey matter and CSF
    "T2w": (310, 440, 980),
    "T2w of another scanner": (400, 480, 560),
    "FLAIR": (310, 440, 80),
    "FLAIR of weak contrast": (400, 450, 150),
    "T1w": (440, 310, 80),
}


@pytest.mark.parametrize("contrast", SIGNALS)
def test_of_the_contrasts_of_one_anatomy_only_that_of_the_training_is_like_it(contrast, tmp_path) -> None:
    """People's folds differ, and CSF is the least of the three tissues; scans are noisy, and one has a lesion."""
    rng = np.random.default_rng(0)
    fields = [ndimage.gaussian_filter(rng.normal(size=(40, 40, 40)), 2) for _ in range(8)]
    people = [np.digitize(fields[0] + 0.5 * field, [0.0, 0.08]) for field in fields[1:]]  # 0 WM, 1 GM, 2 CSF
    trained = np.stack([_acquired(person, SIGNALS["T2w"], rng) for person in people[1:]])
    assert 0.05 < np.mean(people[0] == 2) < 0.2
    np.savez(tmp_path / "statistics.npz", mean=trained.mean(axis=0).astype(np.float32), n=np.full((40, 40, 40), 6))
    given = _acquired(people[0], SIGNALS[contrast], rng)
    given[8:16, 8:16, 8:16] = given.max()
    found = likeness(Volume(given, AFFINE), Volume(given > -9, AFFINE), read_healthy_mean(tmp_path / "statistics.npz"))
    if contrast.startswith("T2w"):
        check_likeness(found, 0.98, "T2w", "sub-1: a.nii")
    else:
        with pytest.raises(InputError, match="does not look like the T2w scans"):
            check_likeness(found, 0.98, "T2w", "sub-1: a.nii")
        assert found < 0.5


def _acquired(tissue: np.ndarray, signal: tuple[float, float, float], rng: np.random.Generator) -> np.ndarray:
    """A scan of tissues (X, Y, Z), blurred and noisy, in SDs."""
    data = ndimage.gaussian_filter(np.array(signal, dtype=np.float32)[tissue], 0.7) + rng.normal(0, 40, tissue.shape)
    return ((data - data.mean()) / data.std()).astype(np.float32)


def test_a_scan_may_be_a_fifth_less_like_than_the_least_in_validation(healthy) -> None:
    check_likeness(0.65, 0.8, "T2w", "sub-1: a.nii")
    with pytest.raises(InputError, match=r"sub-1: a.nii does not look like the T2w scans .* is 0.63, expected 0.64"):
        check_likeness(0.63, 0.8, "T2w", "sub-1: a.nii")
    with pytest.raises(InputError):
        check_likeness(float("nan"), 0.8, "T2w", "sub-1: a.nii")


def test_a_name_may_tell_the_contrast_too() -> None:
    for name in ("sub-1_T2w.nii.gz", "head_T2.nii", "sub-1_T1w_copy.nii"):
        check_suffix(name, "T2w", "sub-1")
    with pytest.raises(InputError, match=r"^sub-1: a_FLAIR.nii is a FLAIR scan by its name, .* was trained on T2w"):
        check_suffix("a_FLAIR.nii", "T2w", "sub-1: a_FLAIR.nii")

"""Another contrast than the bundle's is told from the standardized brain, and a lesion is none."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from stfpm3d.imaging.standardize import PERCENTILES, standardize
from stfpm3d.imaging.volumes import Volume
from stfpm3d.prediction.likeness import HealthyMean, check_likeness, check_suffix, contrast_limits, likeness
from stfpm3d.runtime.errors import InputError

SHAPE = (36, 44, 36)
AFFINE = np.diag([4.0, 4, 4, 1])
AFFINE[:3, 3] = (-70, -86, -70)
BRAIN = np.linalg.norm((np.indices(SHAPE).T * 4 + AFFINE[:3, 3]) / (68, 84, 68), axis=-1).T < 1
LEFT = BRAIN & (np.arange(SHAPE[0]) < SHAPE[0] // 2)[:, None, None]
SIGNALS = {  # of white matter, grey matter and CSF
    "T1w": (440, 310, 80),
    "T2w": (310, 440, 980),
    "FLAIR": (310, 440, 80),
    "PD": (700, 850, 760),
}
WEAK = {"T1w": (440, 370, 250), "T2w": (400, 480, 560), "FLAIR": (400, 450, 150)}


def people(count: int) -> list[NDArray[np.int64]]:
    """Tissues (X, Y, Z) of people whose folds differ: white matter, grey matter and CSF, of which there is least."""
    rng = np.random.default_rng(0)
    shared, *own = (ndimage.gaussian_filter(rng.normal(size=SHAPE), 2) for _ in range(count + 1))
    levels = [shared + 0.5 * field for field in own]
    return [np.digitize(level, np.quantile(level[BRAIN], (0.45, 0.88))) for level in levels]


def acquired(tissue: NDArray[np.int64], signal: tuple[float, float, float]) -> NDArray[np.float64]:
    """A scan (X, Y, Z), blurred, noisy and biased, the bias a third of its signal from side to side."""
    bias = np.linspace(0.85, 1.15, SHAPE[1])[:, None]
    noise = np.random.default_rng(1).normal(0, 30, SHAPE)
    return ndimage.gaussian_filter(np.array(signal, dtype=float)[tissue], 0.7) * bias + noise


def standardized(scan: NDArray[np.float64]) -> Volume:
    landmarks = np.interp(PERCENTILES, (1, 99), (0, 100))
    return Volume(standardize(np.where(BRAIN, scan, 0).astype(np.float32), BRAIN, landmarks), AFFINE)


PATIENT, *HEALTHY = people(7)
SUPPORT = Volume(BRAIN, AFFINE)


def trained_on(contrast: str) -> HealthyMean:
    scans = [standardized(acquired(person, SIGNALS[contrast])).data for person in HEALTHY]
    return HealthyMean(np.mean(scans, axis=0), BRAIN)


def of_half_a_hemisphere(scan: NDArray[np.float64], value: float) -> NDArray[np.float64]:
    """The scan with a ball of that value in the left hemisphere, as large as half of it."""
    distance = np.linalg.norm(np.indices(SHAPE).T - (8, 22, 18), axis=-1).T
    return np.where(LEFT & (distance <= np.median(distance[LEFT])), value, scan)


@pytest.mark.parametrize(
    ("trained", "others"),
    [("T1w", ["T2w", "FLAIR", "PD"]), ("T2w", ["T1w", "FLAIR"]), ("FLAIR", ["T1w", "T2w"])],  # PD has T2w's order
)
def test_of_the_contrasts_of_one_anatomy_only_that_of_the_training_is_like_it(trained: str, others: list[str]) -> None:
    def found(signal: tuple[float, float, float]) -> float:
        return likeness(standardized(acquired(PATIENT, signal)), SUPPORT, healthy)

    healthy, limits = trained_on(trained), contrast_limits(1)
    assert min(found(SIGNALS[trained]), found(WEAK[trained])) > limits.usual
    assert max(found(SIGNALS[other]) for other in others) < limits.refused
    negative = standardized(1000 - acquired(PATIENT, SIGNALS[trained]))
    assert likeness(negative, SUPPORT, healthy) < 0.1


@pytest.mark.parametrize("value", [-200, 80, 310, 440, 1500], ids=["void", "fluid", "grey", "white", "enhancing"])
@pytest.mark.parametrize("trained", ["T1w", "T2w", "FLAIR"])
def test_a_lesion_of_half_a_hemisphere_is_no_other_contrast(trained: str, value: float) -> None:
    scan = of_half_a_hemisphere(acquired(PATIENT, SIGNALS[trained]), value)
    found = likeness(standardized(scan), SUPPORT, trained_on(trained))
    assert check_likeness(found, 1, trained, "sub-1: a.nii") == ""


def test_a_lesion_does_not_hide_another_contrast() -> None:
    for contrast in ("T2w", "FLAIR", "PD"):
        scan = of_half_a_hemisphere(acquired(PATIENT, SIGNALS[contrast]), 900)
        assert likeness(standardized(scan), SUPPORT, trained_on("T1w")) < contrast_limits(1).refused


def test_a_finer_grid_has_the_same_likeness() -> None:
    """At 1 mm every other voxel is looked at along each axis."""

    def finer(data: NDArray) -> NDArray:
        return data.repeat(4, 0).repeat(4, 1).repeat(4, 2)

    scan, healthy = standardized(acquired(PATIENT, SIGNALS["T1w"])), trained_on("T1w")
    affine = np.diag([1.0, 1, 1, 1])
    affine[:3, 3] = AFFINE[:3, 3] - 1.5
    finer_mean = HealthyMean(finer(healthy.mean), finer(BRAIN))
    found = likeness(Volume(finer(scan.data), affine), Volume(finer(BRAIN), affine), finer_mean)
    assert found == pytest.approx(likeness(scan, SUPPORT, healthy), abs=0.03)


def test_where_nothing_can_be_compared_nothing_is_alike() -> None:
    healthy, scan = trained_on("T1w"), standardized(acquired(PATIENT, SIGNALS["T1w"]))
    assert likeness(scan, SUPPORT, healthy._replace(known=np.zeros(SHAPE, dtype=bool))) == 0
    assert likeness(scan, SUPPORT, healthy._replace(mean=np.ones(SHAPE, dtype=np.float32))) == 0


@pytest.mark.parametrize("least", [-0.3, 0.0, 0.2, 0.69, 0.8, 1.0])
def test_a_scan_of_validation_that_sets_a_limit_passes_without_a_note(least: float) -> None:
    assert check_likeness(least, least, "T2w", "sub-1: a.nii") == ""


def test_what_is_unusual_gets_a_note_and_what_is_another_contrast_is_refused() -> None:
    assert check_likeness(0.85, 1, "T2w", "sub-1: a.nii") == ""
    assert "in 72.0% of its places" in check_likeness(0.72, 1, "T2w", "sub-1: a.nii")
    with pytest.raises(InputError, match=r"sub-1: a.nii does not look like the T2w scans .* in 69.0% .* 70.0% or more"):
        check_likeness(0.69, 1, "T2w", "sub-1: a.nii")
    with pytest.raises(InputError):
        check_likeness(float("nan"), 1, "T2w", "sub-1: a.nii")


def test_a_name_may_tell_the_contrast_too() -> None:
    for name in ("sub-1_T2w.nii.gz", "head_T2.nii", "sub-1_T1w_copy.nii"):
        check_suffix(name, "T2w", "sub-1")
    with pytest.raises(InputError, match=r"^sub-1: a_FLAIR.nii is a FLAIR scan by its name, .* was trained on T2w"):
        check_suffix("a_FLAIR.nii", "T2w", "sub-1: a_FLAIR.nii")

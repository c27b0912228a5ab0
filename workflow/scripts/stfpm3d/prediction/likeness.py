"""Whether a scan is of the contrast that an experiment was trained on, as its standardized brain shows."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stfpm3d.imaging.volumes import Volume
from stfpm3d.runtime.errors import InputError
from stfpm3d.study.bids_names import CONTRAST, stem

BINS = 16
LEAST_SHARE = 0.8
"""Of the least likeness in validation that a scan must have."""


class HealthyMean(NamedTuple):
    """Mean of healthy training scans (X, Y, Z), in SDs of the brain, and where two or more of them hold a voxel."""

    mean: NDArray[np.float32]
    known: NDArray[np.bool_]


def read_healthy_mean(statistics: Path | str) -> HealthyMean:
    """Take the mean from the statistics of the z-score (.npz, see `maps.baselines`)."""
    with np.load(statistics) as arrays:
        return HealthyMean(arrays["mean"], arrays["n"] >= 2)


def likeness(image: Volume, support: Volume, healthy: HealthyMean) -> float:
    """Correlation of a standardized scan's mean intensity with the healthy mean's, over `BINS` classes of the latter.

    The classes have equal widths between the 1st and the 99th percentile of the healthy mean, and each counts alike: so
    cerebrospinal fluid, a few percent of the brain, weighs as much as what surrounds it. A contrast that orders the
    tissues otherwise is told by it, whatever its unit: T1w against a mean of T2w is negative, and FLAIR, which differs
    from T2w in the fluid alone, is near or below 0. Means over classes leave nothing of noise and little of a lesion.
    """
    shared = support.data & healthy.known
    if not shared.any():
        return 0.0
    expected, found = healthy.mean[shared], image.data[shared]
    low, high = np.percentile(expected, [1, 99])
    if not high > low:
        return 0.0
    classes = np.clip((expected - low) / (high - low) * BINS, 0, BINS - 1).astype(int)
    counts = np.bincount(classes, minlength=BINS)
    means = [np.bincount(classes, values, BINS)[counts > 0] / counts[counts > 0] for values in (found, expected)]
    return float(np.corrcoef(means)[0, 1])


def check_suffix(image: Path | str, modality: str, who: str) -> None:
    """Raise `InputError` when a scan's name, by its suffix of BIDS, says that it is of another contrast."""
    named = CONTRAST.search(stem(Path(image)))
    if named and named[1] != modality:
        raise InputError(
            f"{who} is a {named[1]} scan by its name, and the bundle was trained on {modality}; give a {modality} scan,"
            " or correct the name."
        )


def check_likeness(found: float, least: float, modality: str, who: str) -> None:
    """Raise `InputError` when a scan is far less like the healthy mean than any scan of validation.

    Parameters
    ----------
    found
        The scan's `likeness`.
    least
        The least of the validation scans', patients among them.
    modality, who
        For the message: the bundle's contrast, and the scan and its file.
    """
    if not found >= LEAST_SHARE * least:
        raise InputError(
            f"{who} does not look like the {modality} scans that the bundle was trained on: its correlation with their"
            f" healthy mean is {found:.2f}, expected {LEAST_SHARE * least:.2f} or more ({least:.2f} at least in"
            f" validation); give a {modality} scan, or look at how it was registered."
        )

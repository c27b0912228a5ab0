"""Whether a scan is of the contrast that an experiment was trained on, as its standardized brain shows."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stfpm3d.imaging.volumes import Volume
from stfpm3d.runtime.errors import InputError

LEAST_SHARE = 0.5
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
    """Correlation of a standardized scan with the healthy mean, over the brain that both hold.

    Another contrast swaps the order of the tissues, whatever its unit: T1w against a mean of T2w is negative.
    """
    shared = support.data & healthy.known
    return float(np.corrcoef(image.data[shared], healthy.mean[shared])[0, 1]) if shared.sum() > 1 else 0.0


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

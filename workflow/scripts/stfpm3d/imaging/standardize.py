"""Intensity standardization: Nyúl's piecewise-linear histogram matching, then z-normalization over brain voxels.

L.G. Nyúl, J.K. Udupa, X. Zhang, New variants of a method of MRI scale standardization, IEEE TMI 19, 2000.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stfpm3d.runtime.errors import InputError

PERCENTILES = (1, 10, 20, 25, 30, 40, 50, 60, 70, 75, 80, 90, 99)
"""The percentiles that landmarks stand for; those of torchio and of the authors' code."""
MIN_SPREAD = 0.05
"""Least interquartile range of a brain in SDs; real brains have about 1."""
MIN_WIDTH = 1e-6
"""Least share of the scale between two percentiles that differ; single precision has seven digits."""
KNOTS = [index for index, percentile in enumerate(PERCENTILES) if percentile not in (25, 75)]
"""The landmarks between which torchio interpolates: the deciles and the two ends."""


def read_landmarks(path: Path | str) -> NDArray[np.float64]:
    """The landmark of each of `PERCENTILES` from the table of the rule `landmarks`."""
    return np.loadtxt(path, skiprows=1)[:, 1]


def apply_landmarks(
    data: NDArray[np.float32], mask: NDArray[np.bool_], landmarks: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Map intensities so that the percentiles inside `mask` fall on the landmarks.

    The end segments are extended linearly.
    """
    percentiles, targets = np.percentile(data[mask], PERCENTILES)[KNOTS], landmarks[KNOTS]
    width = np.diff(percentiles)
    distinct = width > MIN_WIDTH * width.sum()  # a quantised scan's percentiles may coincide
    slopes = np.divide(np.diff(targets), width, out=np.zeros_like(width), where=distinct)
    segment = np.searchsorted(percentiles[1:-1], data, side="right")
    return (targets[segment] + slopes[segment] * (data - percentiles[segment])).astype(np.float32)


def standardize(
    data: NDArray[np.float32], mask: NDArray[np.bool_], landmarks: NDArray[np.float64], subject: str = ""
) -> NDArray[np.float32]:
    """Nyúl-standardize and z-normalize a stripped scan over its brain voxels.

    The brain has mean 0 and SD 1. Outside the brain stands the z value of the standard scale's 0, one constant.

    Raises
    ------
    InputError
        When the brain has no contrast, or a few voxels hide it.
    """
    standard = apply_landmarks(data, mask, landmarks)
    mean, sd = float(standard[mask].mean(dtype=np.float64)), float(standard[mask].std(dtype=np.float64))
    if not sd > 0:
        raise InputError(f"{subject}: all brain voxels have one intensity; look at the scan, or exclude it.")
    low, high = np.percentile(standard[mask], (25, 75))
    if high - low < MIN_SPREAD * sd:
        raise InputError(
            f"{subject}: a few extreme voxels hide all contrast between the others (interquartile range"
            f" {(high - low) / sd:.2g} SD, expected {MIN_SPREAD:g} or more); clip them, or exclude the scan."
        )
    return ((np.where(mask, standard, 0) - mean) / sd).astype(np.float32)

"""How well a registered scan lies on the template: figures, and which scans stand out by them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from stfpm3d.imaging.similarity import correlation_ratio
from stfpm3d.imaging.volumes import Volume, filled

OUTLIER_Z = 3.5
"""A robust z beyond this is an outlier (Iglewicz and Hoaglin, How to Detect and Handle Outliers, 1993)."""
LEAST_DEVIATION = 0.005
"""Scans that hardly differ are not set apart by their last digits; many whole heads have a coverage of 1."""
LEAST_SCANS = 5
"""Of fewer scans the median and the deviation say too little about any one of them."""
FIGURES = ("correlation_ratio", "coverage", "dice")


class Alignment(NamedTuple):
    """A scan's figures; higher is better."""

    correlation_ratio: float
    """How well the scan's intensities tell the template's inside its brain mask, from 0 to 1, for any contrast."""
    coverage: float
    """Share of the template's brain that the scan's field of view (or its own brain) holds."""
    dice: float
    """Overlap of a stripped scan's own brain with the template's mask; NaN for a whole head."""


def measure_alignment(image: Volume, head: Volume, brain_mask: Volume, *, skull_stripped: bool) -> Alignment:
    """Compare a registered scan (0 outside its field of view or its brain) with the template, all on the MNI grid."""
    own = filled(image.data != 0)
    shared = own & brain_mask.data
    sizes = own.sum() + brain_mask.data.sum()
    return Alignment(
        correlation_ratio=correlation_ratio(image.data[shared], head.data[shared]),
        coverage=float(shared.sum() / brain_mask.data.sum()),
        dice=float(2 * shared.sum() / sizes) if skull_stripped else np.nan,
    )


def robust_z(values: pd.Series) -> pd.Series:
    """Distance below the median in robust standard deviations, 0 above it.

    A scan that lies better than the others is no outlier. The deviation is 1.4826 x the median absolute deviation, at
    least `LEAST_DEVIATION`. NaN where values are missing, and everywhere if fewer than `LEAST_SCANS` are known.
    """
    if values.count() < LEAST_SCANS:
        return pd.Series(np.nan, index=values.index)
    below = values.median() - values
    deviation = max(1.4826 * below.abs().median(), LEAST_DEVIATION)
    return (below / deviation).clip(lower=0)


def flag_outliers(figures: pd.DataFrame) -> pd.DataFrame:
    """Add `z`, the worst of a scan's robust z within its kind (`skull_stripped`), and `outlier`.

    The worst scan comes first, and last those of a kind with too few to tell, whose z is NaN.
    """
    kinds = figures["skull_stripped"]
    z = pd.concat([figures[name].groupby(kinds).transform(robust_z) for name in FIGURES], axis=1).max(axis=1)
    return figures.assign(z=z, outlier=z > OUTLIER_Z).sort_values("z", ascending=False, kind="stable")

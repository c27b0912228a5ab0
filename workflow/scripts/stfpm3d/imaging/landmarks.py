"""The landmarks of Nyúl's standard scale, fitted by torchio; `imaging.standardize` applies them without it.

L.G. Nyúl, J.K. Udupa, X. Zhang, New variants of a method of MRI scale standardization, IEEE TMI 19, 2000.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torchio.transforms import HistogramStandardization

from stfpm3d.runtime.errors import InputError


def fit_landmarks(images: Sequence[Path | str], masks: Sequence[Path | str]) -> NDArray[np.float64]:
    """Fit the standard scale on training scans: the mean position of each percentile inside the brain, from 0 to 100.

    Parameters
    ----------
    images, masks
        Skull-stripped scans and their brain masks, in the same order.

    Returns
    -------
    One landmark for each of `imaging.standardize.PERCENTILES`, increasing.

    Raises
    ------
    InputError
        When two landmarks coincide.
    """
    landmarks = HistogramStandardization.train(list(images), mask_path=list(masks), progress=sys.stderr.isatty())
    if not np.all(np.diff(landmarks) > 0):
        raise InputError(
            f"Nyúl landmarks do not increase ({np.round(landmarks, 2)}); do the scans have few grey values?"
        )
    return np.asarray(landmarks, dtype=np.float64)

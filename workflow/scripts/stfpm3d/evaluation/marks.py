"""What a map marks in one scan at the headline threshold: how much, how much of it falsely, and where."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stfpm3d.evaluation.lesionwise import components


class Marks(NamedTuple):
    """Volumes in ml, inside the template's brain; a false component is one that touches no lesion."""

    marked_ml: float
    false_ml: float
    """What is marked outside the lesion."""
    rim_ml: float
    """What of that lies along the crop's faces."""
    n_false: int
    n_rim: int
    """False components of which at least half lies there."""


def marks(
    marked: NDArray[np.bool_], lesion: NDArray[np.bool_], rim: NDArray[np.bool_], *, voxel_ml: float, min_voxels: int
) -> Marks:
    """Measure one scan.

    Parameters
    ----------
    marked, lesion
        What lies at or above the threshold, and the truth (X, Y, Z; MNI grid), both inside the brain.
    rim
        The voxels along the crop's faces (`imaging.grid.crop_rim`).
    voxel_ml
        Volume of a voxel.
    min_voxels
        Smaller components do not count as such.
    """
    false = marked & ~lesion
    labels = components(marked, min_voxels)
    volumes = np.bincount(labels.ravel())
    alone = np.bincount(labels[lesion], minlength=volumes.size) == 0
    at_rim = 2 * np.bincount(labels[rim], minlength=volumes.size) >= volumes
    return Marks(
        marked_ml=float(marked.sum() * voxel_ml),
        false_ml=float(false.sum() * voxel_ml),
        rim_ml=float((false & rim).sum() * voxel_ml),
        n_false=int(alone[1:].sum()),
        n_rim=int((alone & at_rim)[1:].sum()),
    )

"""What surrounds the head or the brain in a scan as it came: its value, its extent, and what that says of the scan."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from stfpm3d.imaging.volumes import Volume
from stfpm3d.runtime.errors import InputError

MAX_BRAIN_ML = 2500.0
"""No brain is larger, and adult heads are at least twice as large (44 real scans: brains 1100-1900 ml, heads 5000 ml
and more)."""
MIN_FREE_SHARE = 0.95
"""Least share of background on the faces of a stripped brain's bounding box (real ones: 0.99); the neck, or a slab's
cut, leaves less."""
MAX_LESION_ML = 700.0
"""No lesion is larger; a brain mask is."""


def background_value(data: NDArray) -> float:
    """The one value around the object (X, Y, Z): what most voxels of the volume's faces have, or 0 if they differ."""
    values, counts = np.unique(_faces(data), return_counts=True)
    commonest = counts.argmax()
    return float(values[commonest]) if counts[commonest] > 0.5 * counts.sum() else 0.0


def zero_background(scan: Volume) -> Volume:
    """The scan with its intensities shifted so that the background is 0, as later stages take it to be.

    Whole numbers that stand for nothing (-1, -1024) and the shift of a z-normalised scan vanish; a scan whose
    background is noise stays as it is.
    """
    value = background_value(scan.data)
    return scan if value == 0 else Volume(scan.data - np.float32(value), scan.affine)


def check_skull_stripped(scan: Volume, skull_stripped: bool, subject: str, path: Path | str) -> None:
    """Raise `InputError` when a scan with background 0 is plainly not what its `skull_stripped` column says."""
    foreground = np.asarray(ndimage.binary_fill_holes(scan.data != 0))
    volume_ml = float(foreground.sum() * scan.voxel_ml)
    if skull_stripped and volume_ml > MAX_BRAIN_ML:
        raise InputError(
            f"{subject}: {path} is no skull-stripped brain: {volume_ml:.0f} ml differ from the background, expected at"
            f" most {MAX_BRAIN_ML:.0f}; set skull_stripped to false, or set everything outside the brain to 0."
        )
    if skull_stripped or volume_ml > MAX_BRAIN_ML or not foreground.any():
        return
    box = foreground[ndimage.find_objects(foreground.astype(np.uint8))[0]]
    if 1 - _faces(box).mean() >= MIN_FREE_SHARE:
        raise InputError(
            f"{subject}: {path} is skull-stripped: only {volume_ml:.0f} ml differ from the background, expected a whole"
            f" head of more than {MAX_BRAIN_ML:.0f}; set skull_stripped to true."
        )


def check_lesion(lesion: Volume, scan: Volume, subject: str, path: Path | str) -> None:
    """Raise `InputError` when a mask on the grid of its scan (background 0) cannot be that scan's lesion."""
    if not lesion.data.any():
        raise InputError(f"{subject}: {path} is empty; expected a lesion: write n/a where a patient has no mask.")
    volume_ml = float(lesion.data.sum() * lesion.voxel_ml)
    if volume_ml > MAX_LESION_ML:
        raise InputError(
            f"{subject}: {path} marks {volume_ml:.0f} ml, expected a lesion of at most {MAX_LESION_ML:.0f};"
            " is it a brain mask? Give the lesion's, or n/a."
        )
    outside = float((scan.data[lesion.data] == 0).mean())
    if outside > 0.5:
        raise InputError(
            f"{subject}: {outside:.0%} of the lesion in {path} lies on its scan's background; give this scan's own"
            " mask."
        )


def _faces(data: NDArray) -> NDArray:
    """All voxels of the six faces of (X, Y, Z), edges several times."""
    return np.concatenate([np.take(data, side, axis).ravel() for axis in range(3) for side in (0, -1)])

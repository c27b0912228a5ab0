"""Affine registration to the MNI template: ANTs estimates the transform, SimpleITK applies it.

The fixed image follows the scan. A whole head is registered to the whole-head template and a skull-stripped scan to
the brain-only template; the other way round the scalp is fitted to the brain's outline, or the brain is blown up to
the head's.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import SimpleITK as sitk

from stfpm3d.imaging.volumes import Volume, resample_like, to_sitk
from stfpm3d.study.errors import InputError
from stfpm3d.study.files import replacing

if TYPE_CHECKING:
    import ants


def estimate_transform(moving: Volume, fixed: Volume, output: Path | str, *, seed: int, subject: str = "") -> None:
    """Estimate the affine transform of `moving` to `fixed` (ANTs' `AffineFast`) and write it as an ITK file.

    The transform maps points of the fixed (MNI) space to the moving (native) space, as ITK resampling wants it.
    One thread and a fixed seed make it reproducible.

    Raises
    ------
    InputError
        When ANTs finds no transform.
    """
    os.environ["ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"] = "1"  # ITK reads it once, when ants is imported
    import ants
    from ants.config import set_ants_deterministic

    set_ants_deterministic(seed_value=seed + 1)  # 0 would mean the clock
    with tempfile.TemporaryDirectory() as folder:
        try:
            found = ants.registration(
                fixed=_to_ants(fixed),
                moving=_to_ants(moving),
                type_of_transform="AffineFast",
                outprefix=f"{folder}/",
            )
        except (RuntimeError, ValueError) as error:
            raise InputError(
                f"{subject}: registration to the template failed ({error}); look at the scan's orientation."
            ) from error
        (affine,) = found["fwdtransforms"]
        with replacing(output) as temporary:
            shutil.copyfile(affine, temporary)


def apply_transform(volume: Volume, reference: Volume, transform_file: Path | str) -> Volume:
    """Bring a native image (linear) or mask (nearest) to the grid of `reference` in one interpolation; 0 outside the
    scan.
    """
    transform = sitk.ReadTransform(str(transform_file))
    return resample_like(volume, reference, nearest=volume.data.dtype == bool, transform=transform)


def _to_ants(volume: Volume) -> ants.ANTsImage:
    import ants

    image = to_sitk(volume)
    direction = (volume.affine[:3, :3] / volume.spacing_mm) * [[-1], [-1], [1]]
    return ants.from_numpy(volume.data, origin=image.GetOrigin(), spacing=image.GetSpacing(), direction=direction)

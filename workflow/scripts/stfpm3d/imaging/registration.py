"""Registration to the MNI template: ANTs estimates the transform, SimpleITK applies it.

The fixed image follows the scan. A whole head is registered to the whole-head template and a skull-stripped scan to
the brain-only template; the other way round the scalp is fitted to the brain's outline, or the brain is blown up to
the head's.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import SimpleITK as sitk

from stfpm3d.imaging.volumes import Volume, antialiased_resample, resample_like, to_sitk
from stfpm3d.runtime.errors import InputError
from stfpm3d.runtime.files import replacing

if TYPE_CHECKING:
    import ants


Kind = Literal["AffineFast", "Rigid", "Affine", "SyN"]
LEVELS_MM = (6, 4, 2, 1)
"""Voxel edges of ANTs' levels. ANTs counts them in voxels of the fixed image, which suits 1 mm: on a 2 mm grid its
`AffineFast` would stop at 8 mm, too coarse for a third of the awkward scans tried."""
MIN_COVERAGE = 0.75
"""Least share of the template's brain in the field of view of a scan that is taken to lie there."""
ITERATIONS = (2100, 1200, 1200, 10)
SIGMAS_MM = (3, 2, 1, 0)


def estimate_transform(
    moving: Volume, fixed: Volume, outputs: Sequence[Path | str], *, kind: Kind, seed: int, subject: str = ""
) -> None:
    """Estimate the transform of `moving` to `fixed` and write it as ITK files.

    One thread and a fixed seed make it reproducible.

    Parameters
    ----------
    outputs
        First the matrix (.mat), which maps points of the fixed (MNI) space to the moving (native) space, as ITK
        resampling wants it. `SyN` alone has two displacement fields (.nii.gz, mm) besides: from MNI points to those
        that the matrix takes to the native space, and back.
    kind
        `AffineFast` is an affine transform at the two coarse levels; `SyN` adds a warp to it.

    Raises
    ------
    InputError
        When ANTs finds no transform.
    """
    os.environ["ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"] = "1"  # ITK reads it once, when ants is imported
    import ants
    from ants.config import set_ants_deterministic

    set_ants_deterministic(seed_value=seed + 1)  # 0 would mean the clock
    images: dict[str, Any] = {"fixed": _to_ants(fixed), "moving": _to_ants(moving)}
    linear = kind if kind in ("Rigid", "Affine") else "Affine"
    fast = kind in ("AffineFast", "SyN")
    with tempfile.TemporaryDirectory() as folder:
        try:
            found = ants.registration(
                **images,
                type_of_transform=linear,
                outprefix=f"{folder}/",
                **_levels(float(fixed.spacing_mm.min()), fast),
            )
            if kind == "SyN":
                start = found["fwdtransforms"]
                found = ants.registration(
                    **images, type_of_transform="SyNOnly", outprefix=f"{folder}/warp", initial_transform=start
                )
        except (RuntimeError, ValueError) as error:
            raise InputError(
                f"{subject}: registration to the template failed ({error}); look at the scan's orientation."
            ) from error
        *warp, matrix = found["fwdtransforms"]
        inverse_warp = found["invtransforms"][1:]
        for estimated, output in zip([matrix, *warp, *inverse_warp], outputs, strict=True):
            with replacing(output) as temporary:
                shutil.copyfile(estimated, temporary)


def write_identity(scan: Volume, brain_mask: Volume, output: Path | str, who: str = "") -> None:
    """Write the transform of a scan that lies in the template's space already, where nothing is to be estimated.

    Parameters
    ----------
    scan
        On any grid of the template's space.
    brain_mask
        The template's, above 0 in the brain.
    output
        The matrix (.mat), as `estimate_transform` writes it.
    who
        The subject and its file, for the message.

    Raises
    ------
    InputError
        When the scan's field of view leaves out more than a quarter of the template's brain.
    """
    field_of_view = resample_like(Volume(np.ones(scan.shape, dtype=bool), scan.affine), brain_mask, nearest=True)
    share = float(field_of_view.data[brain_mask.data > 0].mean())
    if share < MIN_COVERAGE:
        raise InputError(
            f"{who} covers {share:.0%} of the template's brain, expected {MIN_COVERAGE:.0%} or more of a scan that lies"
            " in its space (registration.transform none); choose another transform, or correct the scan's affine."
        )
    with replacing(output) as temporary:
        sitk.WriteTransform(sitk.AffineTransform(3), str(temporary))


def read_transform(files: Sequence[Path | str]) -> sitk.Transform:
    """The transform from MNI points to native points (LPS mm), of the files that `estimate_transform` wrote."""
    matrix = sitk.ReadTransform(str(files[0]))
    if len(files) == 1:
        return matrix
    warp = sitk.DisplacementFieldTransform(sitk.ReadImage(str(files[1]), sitk.sitkVectorFloat64))
    return sitk.CompositeTransform([matrix, warp])  # the last is applied first


def apply_transform(volume: Volume, reference: Volume, files: Sequence[Path | str]) -> Volume:
    """Bring a native image (linear, or means over coarser voxels) or mask (nearest) to the grid of `reference` in one
    interpolation; 0 outside the scan, and where the scan is 0 at a voxel's centre: a stripped scan keeps its outline.
    """
    transform = read_transform(files)
    if volume.data.dtype == bool:
        return resample_like(volume, reference, nearest=True, transform=transform)
    means = antialiased_resample(volume, reference, transform=transform)
    centres = resample_like(volume, reference, transform=transform)
    return Volume(np.where(centres.data == 0, 0, means.data), means.affine)


def _levels(spacing_mm: float, fast: bool) -> dict[str, Any]:
    """ANTs' settings for levels of `LEVELS_MM` on a grid of `spacing_mm`, those finer than the grid left out."""
    count = 2 if fast else max(2, sum(level >= spacing_mm for level in LEVELS_MM))
    return {
        "aff_shrink_factors": tuple(max(1, round(level / spacing_mm)) for level in LEVELS_MM[:count]),
        "aff_smoothing_sigmas": SIGMAS_MM[:count],
        "aff_iterations": ITERATIONS[:count],
        "smoothing_in_mm": True,
    }


def _to_ants(volume: Volume) -> ants.ANTsImage:
    import ants

    image = to_sitk(volume)
    direction = (volume.affine[:3, :3] / volume.spacing_mm) * [[-1], [-1], [1]]
    return ants.from_numpy(volume.data, origin=image.GetOrigin(), spacing=image.GetSpacing(), direction=direction)

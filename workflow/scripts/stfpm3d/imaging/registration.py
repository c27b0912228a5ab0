"""Registration to the MNI template: SimpleITK or ANTs estimates the transform, SimpleITK applies it.

The fixed image follows the scan. A whole head is registered to the whole-head template and a skull-stripped scan to
the brain-only template; the other way round the scalp is fitted to the brain's outline, or the brain is blown up to
the head's.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np
import SimpleITK as sitk

from stfpm3d.imaging.background import in_whole_numbers, without_outliers, without_padding
from stfpm3d.imaging.coarse import estimate_affine
from stfpm3d.imaging.placement import IN_PLACE, LIMITS, Placement, Target, doubtful, measure_placement, misplaced
from stfpm3d.imaging.refusals import fits_when_turned, unregistered, wrongly_turned
from stfpm3d.imaging.starts import STARTS, Start, write_start
from stfpm3d.imaging.volumes import Volume, antialiased_resample, resample_like, to_sitk
from stfpm3d.runtime.errors import InputError
from stfpm3d.runtime.files import replacing

if TYPE_CHECKING:
    import ants

log = logging.getLogger(__name__)

Linear = Literal["AffineFast", "Rigid", "Affine"]
Kind = Linear | Literal["SyN"]
LEVELS_MM = (6, 4, 2, 1)
"""Voxel edges of ANTs' levels. ANTs counts them in voxels of the fixed image, which suits 1 mm: on a 2 mm grid its
`AffineFast` would stop at 8 mm, too coarse for a third of the awkward scans tried."""
ITERATIONS = (2100, 1200, 1200, 10)
SIGMAS_MM = (3, 2, 1, 0)


class Registration(NamedTuple):
    """A transform that was found."""

    placement: Placement
    start: str
    starts: int
    """How many starts were tried."""


def register(
    scan: Volume,
    target: Target,
    outputs: Sequence[Path | str],
    *,
    kind: Kind | Literal["none"],
    seed: int,
    who: str = "",
) -> Registration:
    """Find the transform of `scan` to the template, make sure that it is one, and write it as ITK files.

    An affine transform is estimated on coarse copies first (`coarse`), which is cheap. Where its result lies beyond the
    limits of `placement`, or is less similar to the template than a registered scan is, the other orientations of the
    scan are tried (`refusals`), and the scan is refused where one fits. Then, and for the other kinds of transform,
    ANTs begins from one of the `STARTS` after the other, and the most similar result within the limits is taken.

    Parameters
    ----------
    scan
        Native grid, background 0.
    target
        What the scan is registered to.
    outputs
        First the matrix (.mat), which maps points of the fixed (MNI) space to the moving (native) space, as ITK
        resampling wants it. `SyN` alone has two displacement fields (.nii.gz, mm) besides: from MNI points to those
        that the matrix takes to the native space, and back.
    kind
        `AffineFast` is an affine transform at coarse levels; `SyN` adds a warp to it; `none` is the identity, of a scan
        that lies in the template's space already.
    seed
        With one thread it makes the result reproducible.
    who
        The subject and its file, for the message.

    Raises
    ------
    InputError
        When no start leads to a transform within the limits, or the scan fits in another orientation than its header's.
    """
    moving = in_whole_numbers(without_padding(without_outliers(scan)))
    tried: list[Registration] = []
    limits = IN_PLACE if kind == "none" else LIMITS
    with tempfile.TemporaryDirectory() as folder:
        matrices: list[Path] = []
        for number, (name, write_matrix) in enumerate(_attempts(moving, target, kind, seed)):
            matrix = Path(folder, f"{number}.mat")
            try:
                write_matrix(matrix)
            except (RuntimeError, ValueError) as error:  # what ITK and ANTs raise
                log.info("%s: %s", name, error)
                continue
            matrices.append(matrix)
            tried.append(Registration(measure_placement(scan, read_transform([matrix]), target), name, number + 1))
            log.info("%s: %s", *reversed(tried[-1][:2]))
            if not (misplaced(tried[-1].placement, limits) if kind == "none" else doubtful(tried[-1].placement)):
                break
            if len(tried) == 1:  # another start does not mend a header that is wrong
                turned = fits_when_turned(scan, moving, read_transform([matrix]), target, seed)
                if turned is not None:
                    raise InputError(wrongly_turned(who, *turned))
        found = [n for n, result in enumerate(tried) if not misplaced(result.placement, limits)]
        if not found:
            raise InputError(unregistered([result.placement for result in tried], kind, who))
        best = max(found, key=lambda n: tried[n].placement.similarity)
        files = [matrices[best]]
        if kind == "SyN":
            files = [Path(folder, Path(output).name) for output in outputs]
            try:
                estimate_warp(moving, target.image, matrices[best], files, seed=seed)
            except (RuntimeError, ValueError) as error:  # what ANTs raises
                log.info("warp: %s", error)
                raise InputError(unregistered([], kind, who)) from error
            tried[best] = tried[best]._replace(placement=measure_placement(scan, read_transform(files), target))
            if misplaced(tried[best].placement):
                raise InputError(unregistered([tried[best].placement], kind, who))
        for estimated, output in zip(files, outputs, strict=True):
            _keep(estimated, output)
    return tried[best]._replace(starts=tried[-1].starts)


def _attempts(
    moving: Volume, target: Target, kind: Kind | Literal["none"], seed: int
) -> Iterator[tuple[str, Callable[[Path], None]]]:
    """What is tried, the cheapest first: its name, and what writes its matrix."""
    if kind == "none":
        yield "identity", write_identity
        return
    if kind in ("AffineFast", "SyN"):
        yield "coarse copies", lambda path: sitk.WriteTransform(estimate_affine(moving, target, seed), str(path))
    linear = kind if kind in ("Rigid", "Affine") else "AffineFast"
    for start in STARTS:
        yield start.name, partial(estimate_linear, moving, target.image, kind=linear, seed=seed, start=start)


def estimate_linear(
    moving: Volume, fixed: Volume, output: Path | str, *, kind: Linear, seed: int, start: Start | None = None
) -> None:
    """Let ANTs estimate the matrix of `moving` to `fixed` from one start, and write it (see `register`).

    Raises
    ------
    RuntimeError, ValueError
        When ANTs finds none.
    """
    start = start or STARTS[0]
    with tempfile.TemporaryDirectory() as folder:
        found = _ants(
            moving,
            fixed,
            seed,
            type_of_transform="Affine" if kind == "AffineFast" else kind,
            outprefix=f"{folder}/",
            initial_transform=write_start(start, fixed, moving, f"{folder}/start.mat"),
            **_levels(float(fixed.spacing_mm.min()), kind == "AffineFast", start.smoothing),
        )
        _keep(found["fwdtransforms"][0], output)


def estimate_warp(
    moving: Volume, fixed: Volume, matrix: Path | str, outputs: Sequence[Path | str], *, seed: int
) -> None:
    """Let ANTs add the warp of SyN to a matrix, and write all files (see `register`)."""
    with tempfile.TemporaryDirectory() as folder:
        found = _ants(
            moving,
            fixed,
            seed,
            type_of_transform="SyNOnly",
            outprefix=f"{folder}/",
            initial_transform=[str(matrix)],
        )
        warp, affine = found["fwdtransforms"]
        inverse_warp = found["invtransforms"][1]
        for estimated, output in zip([affine, warp, inverse_warp], outputs, strict=True):
            _keep(estimated, output)


def _ants(moving: Volume, fixed: Volume, seed: int, **settings: Any) -> dict[str, list[str]]:
    """Run ANTs; it is imported where it is needed, since that takes seconds."""
    os.environ["ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"] = "1"  # ITK reads it once, when ants is imported
    import ants
    from ants.config import set_ants_deterministic

    set_ants_deterministic(seed_value=seed + 1)  # 0 would mean the clock
    return ants.registration(fixed=as_ants(fixed), moving=as_ants(moving), **settings)


def _keep(estimated: Path | str, output: Path | str) -> None:
    with replacing(output) as temporary:
        shutil.copyfile(estimated, temporary)


def write_identity(output: Path | str) -> None:
    """Write the matrix (.mat) of a scan that lies in the template's space already."""
    with replacing(output) as temporary:
        sitk.WriteTransform(sitk.AffineTransform(3), str(temporary))


def write_registration(output: Path | str, found: Registration) -> None:
    """Write the figures of a transform that was found, and the start that led to it (JSON)."""
    figures = {**found.placement._asdict(), "start": found.start, "starts": found.starts}
    with replacing(output) as temporary:
        temporary.write_text(json.dumps(figures, indent=1) + "\n", encoding="utf-8")


def read_transform(files: Sequence[Path | str]) -> sitk.Transform:
    """The transform from MNI points to native points (LPS mm), of the files that `register` wrote."""
    matrix = sitk.ReadTransform(str(files[0]))
    if len(files) == 1:
        return matrix
    warp = sitk.DisplacementFieldTransform(sitk.ReadImage(str(files[1]), sitk.sitkVectorFloat64))
    return sitk.CompositeTransform([matrix, warp])  # the last is applied first


def apply_transform(volume: Volume, reference: Volume, files: Sequence[Path | str]) -> Volume:
    """Bring a native image or mask to the grid of `reference` in one interpolation.

    An image is interpolated linearly, or by means over coarser voxels; a mask takes the nearest voxel. It is 0 outside
    the scan, and where the scan is 0 at a voxel's centre: a stripped scan keeps its outline.
    """
    transform = read_transform(files)
    if volume.data.dtype == bool:
        return resample_like(volume, reference, nearest=True, transform=transform)
    means = antialiased_resample(volume, reference, transform=transform)
    centres = resample_like(volume, reference, transform=transform)
    return Volume(np.where(centres.data == 0, 0, means.data), means.affine)


def _levels(spacing_mm: float, fast: bool, smoothing: float) -> dict[str, Any]:
    """ANTs' settings for levels of `LEVELS_MM` on a grid of `spacing_mm`, those finer than the grid left out."""
    count = 2 if fast else max(2, sum(level >= spacing_mm for level in LEVELS_MM))
    return {
        "aff_shrink_factors": tuple(max(1, round(level / spacing_mm)) for level in LEVELS_MM[:count]),
        "aff_smoothing_sigmas": tuple(smoothing * sigma for sigma in SIGMAS_MM[:count]),
        "aff_iterations": ITERATIONS[:count],
        "smoothing_in_mm": True,
    }


def as_ants(volume: Volume) -> ants.ANTsImage:
    """The same image as ANTs holds it."""
    import ants

    image = to_sitk(volume)
    direction = (volume.affine[:3, :3] / volume.spacing_mm) * [[-1], [-1], [1]]
    return ants.from_numpy(volume.data, origin=image.GetOrigin(), spacing=image.GetSpacing(), direction=direction)

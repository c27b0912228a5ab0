"""NIfTI headers, checked without reading voxels: cheap enough for every scan of a cohort before any job runs."""

from __future__ import annotations

import math
import os
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, cast

import nibabel as nib
import numpy as np
from nibabel import imageglobals
from nibabel.arrayproxy import ArrayProxy
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError, HeaderTypeError, SpatialImage
from numpy.typing import NDArray

from stfpm3d.runtime.errors import InputError

if TYPE_CHECKING:
    import pandas as pd  # every scan's job loads this module, none needs pandas

UNREADABLE = (
    ImageFileError,
    HeaderDataError,
    HeaderTypeError,
    OSError,
    EOFError,
    ValueError,
    OverflowError,
    zlib.error,
)
"""What nibabel raises on files that are damaged, or something else than an image."""
REFUSED_LEVEL = 30
"""nibabel's grade of header faults that it mends by a guess, such as a voxel size of 0 taken for 1 mm."""
EXTENT_MM = (20.0, 1000.0)
"""Least and greatest edge of a scan's box; outside it the header's unit is hardly the millimetre."""


def read_header(path: Path | str, subject: str = "") -> nib.Nifti1Image:
    """Open a 3D NIfTI image; its voxels are not read.

    Raises
    ------
    InputError
        When the file is missing or unreadable, is not 3D, or says nothing valid about where its voxels lie.
    """
    who = f"{subject}: {path}" if subject else str(path)
    if os.path.isdir(path):  # noqa: PTH112 - Path.is_dir raises where a folder is closed to this user
        raise InputError(f"{who} is a folder; give the path of a NIfTI file.")
    if not os.path.exists(path):  # noqa: PTH110 - so does Path.exists
        raise InputError(f"{who} does not exist or cannot be reached; correct its path.")
    try:
        with imageglobals.ErrorLevel(REFUSED_LEVEL):
            given = cast(SpatialImage, nib.load(path))
        affine = np.asarray(given.affine, dtype=np.float64)
        _check_affine(affine, given.header, who)
        image = nib.Nifti1Image.from_image(given)
    except PermissionError as error:
        raise InputError(f"{who} may not be read by this user; change the permissions of the file.") from error
    except UNREADABLE as error:
        if isinstance(error, InputError):
            raise
        raise unreadable(path, subject, error) from error
    shape = spatial_shape(image)
    if len(shape) != 3 or min(shape) < 2:
        raise InputError(f"{who} has shape {image.shape}; expected one 3D volume: extract it from the series first.")
    return image


def _check_affine(affine: NDArray[np.float64], header: object, who: str) -> None:
    if isinstance(header, nib.Nifti1Header) and not (header["sform_code"] or header["qform_code"]):
        raise InputError(
            f"{who} does not say how its voxels lie in the world (sform and qform are unset); expected either:"
            " convert the scan from DICOM again, or set its sform."
        )
    edges = np.linalg.norm(affine[:3, :3], axis=0)
    if not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) <= 1e-3 * edges.prod():
        raise InputError(f"{who} has no valid voxel-to-world matrix; repair its header (sform or qform).")


def unreadable(path: Path | str, subject: str, error: BaseException) -> InputError:
    """The sentence for a file that is no whole image."""
    who = f"{subject}: {path}" if subject else str(path)
    reason = " ".join(str(error).split()).rstrip(".")
    return InputError(
        f"{who} cannot be read as NIfTI ({reason}); expected a whole .nii or .nii.gz: copy or convert it anew."
    )


def _check_length(path: Path | str, image: nib.Nifti1Image, subject: str) -> None:
    """Raise `InputError` when a file is too short for its header, as a broken-off copy is; no voxel is read.

    An uncompressed file has a size. A gzip ends with the size of its content (RFC 1952: its last member's, modulo
    2^32), and a broken-off one with arbitrary bytes, which are nearly always a far larger number. A smaller number
    says nothing, since a file may have several members; so a few broken files are found only when they are read.
    """
    voxels = cast(ArrayProxy, image.dataobj)
    expected = voxels.offset + math.prod(voxels.shape) * voxels.dtype.itemsize
    name = str(path)
    if name.endswith(".nii"):
        broken = os.path.getsize(path) < expected  # noqa: PTH202 - as above
    elif name.endswith(".gz"):
        with Path(path).open("rb") as file:
            file.seek(-4, os.SEEK_END)
            broken = int.from_bytes(file.read(4), "little") > 2 * expected  # twice: trailing bytes are allowed
    else:
        broken = False
    if broken:
        raise unreadable(path, subject, EOFError("it ends before its last voxel"))


def spatial_shape(image: nib.Nifti1Image) -> tuple[int, ...]:
    """An image's shape without the single points of time or channel that some tools append."""
    shape = image.shape
    while len(shape) > 3 and shape[-1] == 1:
        shape = shape[:-1]
    return shape


def check_same_grid(
    shape: tuple[int, ...], affine: NDArray, image_shape: tuple[int, ...], image_affine: NDArray, who: str
) -> None:
    """Raise `InputError` unless a mask's and its image's shape and affine (to a tenth of a voxel) are the same."""
    if shape != image_shape:
        raise InputError(
            f"{who} has shape {shape}, its image {image_shape}; give this scan's own mask, resampled to the image."
        )
    if np.abs(affine - image_affine).max() > 0.1 * np.linalg.norm(image_affine[:3, :3], axis=0).min():
        raise InputError(
            f"{who} and its image differ in their voxel-to-world matrices; resample the mask to the image."
        )


def check_headers(participants: pd.DataFrame) -> None:
    """Check the headers of all images and lesion masks of a checked participants table.

    Raises
    ------
    InputError
        One sentence, on a line of its own, for each scan that cannot be used.
    """
    problems = []
    for scan in participants.to_dict("records"):
        try:
            _check_scan(scan["scan_id"], scan["image"], scan["lesion_mask"])
        except InputError as error:
            problems.append(str(error))
    if problems:
        raise InputError("\n".join(problems))


def _check_scan(scan_id: str, image_path: str, mask_path: str | None) -> None:
    image = read_header(image_path, scan_id)
    _check_length(image_path, image, scan_id)
    affine = np.asarray(image.affine, dtype=np.float64)
    extent_mm = np.linalg.norm(affine[:3, :3], axis=0) * spatial_shape(image)
    if extent_mm.min() < EXTENT_MM[0] or extent_mm.max() > EXTENT_MM[1]:
        raise InputError(
            f"{scan_id}: {image_path} measures {' x '.join(f'{edge:.3g}' for edge in extent_mm)} mm, expected"
            f" {EXTENT_MM[0]:g} to {EXTENT_MM[1]:g} along each axis; correct the voxel size in its header."
        )
    if mask_path is not None:
        mask = read_header(mask_path, scan_id)
        _check_length(mask_path, mask, scan_id)
        check_same_grid(
            spatial_shape(mask), np.asarray(mask.affine), spatial_shape(image), affine, f"{scan_id}: {mask_path}"
        )

"""NIfTI headers, checked without reading voxels: cheap enough for every scan of a cohort before any job runs."""

from __future__ import annotations

import itertools
import math
import os
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, cast

import nibabel as nib
import numpy as np
from nibabel import imageglobals
from nibabel.analyze import AnalyzeImage
from nibabel.arrayproxy import ArrayProxy
from nibabel.filebasedimages import ImageFileError
from nibabel.spatialimages import HeaderDataError, HeaderTypeError, SpatialImage
from numpy.typing import NDArray

from stfpm3d.imaging.packed import unpacked
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
CONTRADICTION = 0.01
"""Share by which two lengths that a header gives for one thing may differ; rounded voxel sizes differ by less."""
SAME_GRID_VOXELS = 0.45
"""How far apart, in voxels, two headers may put one corner of a volume. In a grid of 256 x 256 x 180 the rounding of a
sform moves a corner by 0.00002 voxels, that of a nearly half turn in a qform's quaternion by 0.44; a degree moves it by
1.1 or more, in small grids as well, and taking a voxel's corner for its centre by 0.5 along each axis."""


def read_header(path: Path | str, subject: str = "") -> nib.Nifti1Image:
    """Open a 3D NIfTI image; its voxels are not read.

    Raises
    ------
    InputError
        When the file is missing or unreadable, is not 3D, holds other than one real number a voxel, says nothing valid
        about where its voxels lie, or contradicts itself there.
    """
    who = f"{subject}: {path}" if subject else str(path)
    if os.path.isdir(path):  # noqa: PTH112 - Path.is_dir raises where a folder is closed to this user
        raise InputError(f"{who} is a folder; give the path of a NIfTI file.")
    if not os.path.exists(path):  # noqa: PTH110 - so does Path.exists
        raise InputError(f"{who} does not exist or cannot be reached; correct its path.")
    if not os.path.isfile(path):  # noqa: PTH113 - a pipe would be waited for without end
        raise InputError(f"{who} is a pipe or device; give the path of a NIfTI file.")
    try:
        with imageglobals.ErrorLevel(REFUSED_LEVEL):
            given = cast(SpatialImage, nib.load(path))
        _check_kind(given, who)
        _check_affine(np.asarray(given.affine, dtype=np.float64), cast(nib.Nifti1Header, given.header), who)
        image = nib.Nifti1Image.from_image(given)
    except PermissionError as error:
        raise InputError(f"{who} may not be read by this user; change the permissions of the file.") from error
    except UNREADABLE as error:
        if isinstance(error, InputError):
            raise
        raise unreadable(path, subject, error) from error
    return image


def _check_kind(given: SpatialImage, who: str) -> None:
    """Raise `InputError` unless an image is NIfTI of either version, 3D, and one real number a voxel."""
    if not isinstance(given, nib.Nifti1Pair):
        kind = "Analyze" if isinstance(given, AnalyzeImage) else type(given).__name__.removesuffix("Image")
        raise InputError(
            f"{who} is of the format {kind}, expected NIfTI, which says how its voxels lie in the world: convert the"
            " scan to NIfTI, from its DICOM files."
        )
    dtype = np.dtype(given.get_data_dtype())
    if dtype.kind not in "iuf":
        found = " and ".join(dtype.names) if dtype.names else str(dtype)
        raise InputError(
            f"{who} holds {found} in each voxel, expected one real number a voxel: export the scan again, in grey."
        )
    shape = spatial_shape(given)
    if len(shape) != 3 or min(shape) < 2:
        raise InputError(f"{who} has shape {given.shape}; expected one 3D volume: extract it from the series first.")


def _check_affine(affine: NDArray[np.float64], header: nib.Nifti1Header, who: str) -> None:
    if not (header["sform_code"] or header["qform_code"]):
        raise InputError(
            f"{who} does not say how its voxels lie in the world (sform and qform are unset); expected either:"
            " convert the scan from DICOM again, or set its sform."
        )
    edges = np.linalg.norm(affine[:3, :3], axis=0)
    if not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) <= 1e-3 * edges.prod():
        raise InputError(f"{who} has no valid voxel-to-world matrix; repair its header (sform or qform).")
    if header["sform_code"]:
        _check_sform(header, who)


def _check_sform(header: nib.Nifti1Header, who: str) -> None:
    """Raise `InputError` unless the sform, which is what counts, is a rotation and shift away from what else is said.

    Source: nifti1.h, methods 2 and 3. The qform has the voxel sizes of `pixdim`, and cannot shear.
    """
    sform, sizes_mm = np.asarray(header.get_sform())[:3, :3], np.asarray(header["pixdim"][1:4], dtype=np.float64)
    edges_mm = np.linalg.norm(sform, axis=0)
    change = sform @ np.linalg.inv(np.asarray(header.get_qform())[:3, :3]) if header["qform_code"] else np.eye(3)
    if np.linalg.det(change) < 0:
        problem = "its sform is a mirror image of its qform"
    elif np.abs(edges_mm / sizes_mm - 1).max() > CONTRADICTION:
        found, said = (" x ".join(f"{edge:.4g}" for edge in lengths) for lengths in (edges_mm, sizes_mm))
        whose = "its qform's pixdim" if header["qform_code"] else "its pixdim"
        problem = f"its voxels measure {found} mm by its sform and {said} mm by {whose}"
    elif np.abs(np.linalg.svd(change, compute_uv=False) - 1).max() > CONTRADICTION:
        problem = "its sform is sheared against its qform"
    else:
        return
    raise InputError(f"{who} contradicts itself: {problem}; one is wrong: convert the scan from DICOM again.")


def unreadable(path: Path | str, subject: str, error: BaseException) -> InputError:
    """The sentence for a file that is no whole image."""
    who = f"{subject}: {path}" if subject else str(path)
    reason = " ".join(str(error).split()).rstrip(".")
    return InputError(
        f"{who} cannot be read as NIfTI ({reason}); expected a whole .nii or .nii.gz, one real number a voxel: copy or"
        " convert it anew."
    )


def _check_length(path: Path | str, image: nib.Nifti1Image, subject: str) -> None:
    """Raise `InputError` when a file is too short for its header, as a broken-off copy is; no voxel of others is read.

    An uncompressed file has a size. A gzip ends with the size of its content (RFC 1952: its last member's, modulo
    2^32), and a broken-off one with arbitrary bytes, which are nearly always a far larger number; so does one with
    something behind its end, and which of the two it is tells its whole content. A smaller number says nothing, since
    a file may have several members; so a few broken files are found only when they are read.
    """
    voxels = cast(ArrayProxy, image.dataobj)
    expected = voxels.offset + math.prod(voxels.shape) * voxels.dtype.itemsize
    name = str(path).lower()
    found = expected
    try:
        if name.endswith((".nii", ".img")):
            found = os.path.getsize(path)  # noqa: PTH202 - as above
        elif name.endswith(".gz") and _size_at_end(path) > 2 * expected:  # twice: the content may be padded
            found = len(unpacked(path, subject))
    except (EOFError, zlib.error):
        found = 0
    if found < expected:
        raise unreadable(path, subject, EOFError("it ends before its last voxel"))


def _size_at_end(path: Path | str) -> int:
    """What a gzip file says of the size of its last member's content."""
    with Path(path).open("rb") as file:
        file.seek(-4, os.SEEK_END)
        return int.from_bytes(file.read(4), "little")


def spatial_shape(image: SpatialImage) -> tuple[int, ...]:
    """An image's shape without the single points of time or channel that some tools append."""
    shape = image.shape
    while len(shape) > 3 and shape[-1] == 1:
        shape = shape[:-1]
    return shape


def check_same_grid(
    shape: tuple[int, ...],
    affine: NDArray,
    reference_shape: tuple[int, ...],
    reference_affine: NDArray,
    who: str,
    reference: str = "its image",
) -> None:
    """Raise `InputError` unless an image lies on the grid of a reference: one shape, and the corners at one place.

    The eight corner voxels of the image are sought in the reference's grid, in voxels of which they may be
    `SAME_GRID_VOXELS` off: a turn or a scale that the elements of the matrices hardly show moves them most.
    """
    if shape != reference_shape:
        raise InputError(
            f"{who} has shape {shape}, {reference} {reference_shape}, expected the same grid; give the one that belongs"
            " to this scan, resampled to that grid."
        )
    corners = np.array([[*corner, 1] for corner in itertools.product(*((0, length - 1) for length in shape))]).T
    moved = np.linalg.solve(reference_affine, affine @ corners) - corners
    farthest = float(np.linalg.norm(moved[:3], axis=0).max())
    if farthest > SAME_GRID_VOXELS:
        raise InputError(
            f"{who} lies elsewhere than {reference}: by the two headers a corner of the volume is {farthest:.3g} voxels"
            f" off, expected {SAME_GRID_VOXELS} at most; resample it to the grid of {reference}, or, if only its header"
            " is wrong, copy the other header."
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

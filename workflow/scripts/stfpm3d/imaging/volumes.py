"""Volumes in world space: load and check, save, and resample NIfTI images.

World coordinates are RAS+ millimetres as in NIfTI; SimpleITK's LPS is confined to `to_sitk` and `from_sitk`.
"""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import NamedTuple

import nibabel as nib
import numpy as np
import SimpleITK as sitk
from nibabel.filebasedimages import ImageFileError
from numpy.typing import DTypeLike, NDArray

from stfpm3d.study.errors import InputError
from stfpm3d.study.files import replacing

RAS_TO_LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


class Volume(NamedTuple):
    """A 3D image: `data` (X, Y, Z) and `affine` (4, 4), which maps voxel indices to RAS+ mm."""

    data: NDArray
    affine: NDArray[np.float64]

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of voxels along each axis."""
        x, y, z = self.data.shape
        return x, y, z

    @property
    def spacing_mm(self) -> NDArray[np.float64]:
        """Voxel edge lengths (3,) in mm."""
        return np.linalg.norm(self.affine[:3, :3], axis=0)

    @property
    def voxel_ml(self) -> float:
        """Volume of one voxel in ml."""
        return float(abs(np.linalg.det(self.affine[:3, :3])) / 1000)


def load_volume(path: Path | str, subject: str = "") -> Volume:
    """Read a 3D NIfTI image as float32.

    Raises
    ------
    InputError
        When the file is missing or unreadable, is not 3D, has no valid affine, holds NaN or Inf, or is constant.
    """
    who = f"{subject}: " if subject else ""
    if not Path(path).is_file():
        raise InputError(f"{who}{path} does not exist or is not a file; correct its path in the participants table.")
    try:
        image = nib.Nifti1Image.from_image(nib.load(path))
        data = image.get_fdata(dtype=np.float32)
    except (ImageFileError, OSError, EOFError, ValueError, zlib.error) as error:
        raise InputError(
            f"{who}{path} cannot be read as NIfTI ({error}); expected a complete .nii or .nii.gz."
        ) from error
    while data.ndim > 3 and data.shape[-1] == 1:
        data = data[..., 0]
    if data.ndim != 3 or min(data.shape) < 2:
        raise InputError(
            f"{who}{path} has shape {image.shape}; expected one 3D volume: extract it from the series first."
        )
    affine = np.asarray(image.affine, dtype=np.float64)
    if not np.isfinite(affine).all() or abs(np.linalg.det(affine[:3, :3])) < 1e-6:
        raise InputError(f"{who}{path} has no valid voxel-to-world matrix; repair its header (sform or qform).")
    if not np.isfinite(data).all():
        raise InputError(f"{who}{path} holds NaN or infinite voxels; replace them before use.")
    if data.min() == data.max():
        raise InputError(f"{who}{path} is constant ({data.min():g} everywhere); expected a scan with contrast.")
    return Volume(data, affine)


def load_mask(path: Path | str, subject: str = "") -> Volume:
    """Read a label image as a boolean mask: every value above 0 is inside (BraTS' labels 1, 2 and 4 become one
    lesion).
    """
    volume = load_volume(path, subject)
    return Volume(volume.data > 0, volume.affine)


def check_same_grid(mask: Volume, image: Volume, subject: str, mask_path: Path | str) -> None:
    """Raise `InputError` unless mask and image have one shape and one affine (to a tenth of a voxel)."""
    if mask.shape != image.shape:
        raise InputError(
            f"{subject}: {mask_path} has shape {mask.shape}, its image {image.shape}; resample the mask to the image."
        )
    if np.abs(mask.affine - image.affine).max() > 0.1 * image.spacing_mm.min():
        raise InputError(
            f"{subject}: {mask_path} and its image differ in their affines; resample the mask to the image."
        )


def save_volume(path: Path | str, volume: Volume, dtype: DTypeLike = np.float32) -> None:
    """Write a volume as NIfTI, whole or not at all; masks are best written with `dtype=np.uint8`."""
    image = nib.Nifti1Image(np.asarray(volume.data, dtype=dtype), volume.affine)
    image.header.set_xyzt_units("mm")
    with replacing(path) as temporary:
        nib.save(image, temporary)


def to_sitk(volume: Volume) -> sitk.Image:
    """The same image as a SimpleITK image in LPS; masks become uint8, everything else float32."""
    affine = RAS_TO_LPS @ volume.affine
    spacing = volume.spacing_mm
    data = volume.data.astype(np.uint8 if volume.data.dtype == bool else np.float32, copy=False)
    image = sitk.GetImageFromArray(np.ascontiguousarray(data.transpose(2, 1, 0)))
    image.SetSpacing(spacing.tolist())
    image.SetOrigin(affine[:3, 3].tolist())
    image.SetDirection((affine[:3, :3] / spacing).ravel().tolist())
    return image


def from_sitk(image: sitk.Image) -> Volume:
    """A SimpleITK image (LPS) as a `Volume` (RAS+)."""
    affine = np.eye(4)
    affine[:3, :3] = np.reshape(image.GetDirection(), (3, 3)) * image.GetSpacing()
    affine[:3, 3] = image.GetOrigin()
    return Volume(sitk.GetArrayFromImage(image).transpose(2, 1, 0), RAS_TO_LPS @ affine)


def resample_like(
    volume: Volume,
    reference: Volume,
    *,
    nearest: bool = False,
    fill: float = 0.0,
    transform: sitk.Transform | None = None,
) -> Volume:
    """Resample `volume` onto the grid of `reference` in one interpolation (linear, or nearest for labels).

    `transform` maps points of the reference's space to the volume's space (ITK's convention, LPS mm); without it both
    share one world space. Voxels that fall outside `volume` get `fill`. The data type is float32, or bool when
    `volume` is a mask.
    """
    resampler = sitk.ResampleImageFilter()
    resampler.SetReferenceImage(to_sitk(Volume(np.zeros(reference.shape, dtype=bool), reference.affine)))
    resampler.SetInterpolator(sitk.sitkNearestNeighbor if nearest else sitk.sitkLinear)
    resampler.SetDefaultPixelValue(fill)
    if transform is not None:
        resampler.SetTransform(transform)
    data = from_sitk(resampler.Execute(to_sitk(volume))).data
    return Volume(data.astype(bool) if volume.data.dtype == bool else data, reference.affine)

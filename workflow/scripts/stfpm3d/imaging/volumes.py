"""Volumes in world space: load and check, save, and resample NIfTI images.

World coordinates are RAS+ millimetres as in NIfTI; SimpleITK's LPS is confined to `to_sitk` and `from_sitk`.
"""

from __future__ import annotations

from io import BytesIO
from pathlib import Path
from typing import NamedTuple, cast

import nibabel as nib
import numpy as np
import SimpleITK as sitk
from nibabel.arrayproxy import ArrayProxy
from numpy.typing import DTypeLike, NDArray

from stfpm3d.imaging import headers
from stfpm3d.imaging.packed import unpacked
from stfpm3d.runtime.errors import InputError
from stfpm3d.runtime.files import replacing

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
    volume = read_volume(path, subject)
    who = f"{subject}: {path}" if subject else str(path)
    low, high = float(volume.data.min()), float(volume.data.max())
    if low == high:
        raise InputError(f"{who} is constant ({low:g} everywhere); expected a scan with contrast: export it again.")
    return volume


def load_mask(path: Path | str, subject: str = "") -> Volume:
    """Read a label image as a boolean mask: every label above 0 is inside.

    BraTS' labels 1, 2 and 4 become one lesion. A mask may be empty.

    Raises
    ------
    InputError
        When the file is no 3D image, or holds other than whole numbers.
    """
    volume = read_volume(path, subject)
    if np.abs(volume.data - np.rint(volume.data)).max() > 1e-3:
        who = f"{subject}: {path}" if subject else str(path)
        raise InputError(f"{who} holds fractions; expected whole labels, 0 outside: threshold it first.")
    return Volume(volume.data > 0.5, volume.affine)


def read_volume(path: Path | str, subject: str = "") -> Volume:
    """Read a 3D NIfTI image as float32; it may be constant, unlike a scan (`load_volume`, which has the errors)."""
    image = headers.read_header(path, subject)
    try:
        with np.errstate(over="ignore", invalid="ignore"):  # values out of range are named below
            data = np.asarray(_voxels(image, subject), dtype=np.float32)
    except InputError:
        raise
    except headers.UNREADABLE as error:
        raise headers.unreadable(path, subject, error) from error
    if not np.isfinite(data).all():
        who = f"{subject}: {path}" if subject else str(path)
        raise InputError(f"{who} holds NaN or infinite voxels; replace them by the background's value.")
    return Volume(data.reshape(headers.spatial_shape(image)), np.asarray(image.affine, dtype=np.float64))


def _voxels(image: nib.Nifti1Image, subject: str) -> ArrayProxy:
    """The voxels of an image to be read; of a compressed one they are unpacked here.

    That is to the checksum at the file's end, which nibabel never reaches: damaged voxels would pass as a scan.
    """
    voxels = cast(ArrayProxy, image.dataobj)
    path = Path(voxels.file_like)
    if path.suffix.lower() != ".gz":
        return voxels
    return ArrayProxy(
        BytesIO(unpacked(path, subject)), (voxels.shape, voxels.dtype, voxels.offset, voxels.slope, voxels.inter)
    )


def check_same_grid(volume: Volume, reference: Volume, who: str, what: str = "its image") -> None:
    """Raise `InputError` unless a volume lies on the grid of a reference (`headers.check_same_grid`)."""
    headers.check_same_grid(volume.shape, volume.affine, reference.shape, reference.affine, who, what)


def save_volume(path: Path | str, volume: Volume, dtype: DTypeLike = np.float32) -> None:
    """Write a volume as NIfTI, whole or not at all; masks are best written with `dtype=np.uint8`."""
    image = nib.Nifti1Image(np.asarray(volume.data, dtype=dtype), volume.affine)
    image.header.set_xyzt_units("mm")
    with replacing(path) as temporary:
        nib.save(image, temporary)


def filled(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """A mask (X, Y, Z) and its holes, from which no way leads outside over the faces of voxels."""
    image = sitk.GetImageFromArray(mask.astype(np.uint8))
    return sitk.GetArrayFromImage(sitk.BinaryFillhole(image, foregroundValue=1)).astype(bool)


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


def coarse_copy(volume: Volume, mm: float) -> Volume:
    """Means over blocks of voxels, so that each is about `mm` wide; an axis that is coarser stays as it is."""
    return from_sitk(shrunk(to_sitk(volume), mm))


def shrunk(image: sitk.Image, mm: float) -> sitk.Image:
    """`coarse_copy` of an image (LPS)."""
    return sitk.BinShrink(image, [max(1, round(mm / spacing)) for spacing in image.GetSpacing()])


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


def antialiased_resample(
    volume: Volume, reference: Volume, *, fill: float = 0.0, transform: sitk.Transform | None = None
) -> Volume:
    """Linear interpolation onto the grid of `reference`; where that is coarser, each voxel is the mean over its volume.

    The mean is that of points as dense as the volume's voxels, so that no detail turns into a pattern that is not
    there, and a voxel at the brain's rim is brain and background by their shares. A grid that is as fine as the
    volume's finest axis, or finer, gets one point a voxel: the same as `resample_like`, whose parameters these are.
    """
    ratio = reference.spacing_mm / volume.spacing_mm.min()
    points = np.maximum(np.ceil(ratio - 1e-3), 1).astype(int)
    if (points == 1).all():
        return resample_like(volume, reference, fill=fill, transform=transform)
    affine = reference.affine @ np.diag([*1 / points, 1])
    affine[:3, 3] = reference.affine[:3] @ [*(1 / points - 1) / 2, 1]  # the first of a voxel's points
    dense = Volume(np.zeros(points * reference.shape, dtype=bool), affine)
    data = resample_like(volume, dense, fill=fill, transform=transform).data
    blocks = data.reshape([number for axis in zip(reference.shape, points, strict=True) for number in axis])
    return Volume(blocks.mean(axis=(1, 3, 5), dtype=np.float32), reference.affine)

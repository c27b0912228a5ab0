"""The network's grid: a box of MNI space, the crop.

Scans are cropped and scaled to it once, so that training reads arrays and transforms nothing.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stfpm3d.imaging.volumes import Volume, antialiased_resample, resample_like
from stfpm3d.runtime.files import replacing

POLES = (("left side", "right side"), ("occipital pole", "frontal pole"), ("underside", "vertex"))
"""What of a brain lies at the lower and at the upper end of each axis (RAS+)."""
STEP = 16
"""Voxels by which an edge of a box is shorter than a cube's, half of them at each end: the positions of ResNet blocks 1
and 2, at every 4th and 8th voxel, are then those of the cube."""

EVEN = 16
"""What the edges of a `midline_grid` are multiples of: a U-Net halves them four times."""


class NetworkGrid(NamedTuple):
    """A box of `shape` (X, Y, Z) equal voxels whose `affine` (4, 4) maps voxel indices to MNI RAS+ mm."""

    shape: tuple[int, int, int]
    affine: NDArray[np.float64]

    @property
    def reference(self) -> Volume:
        """An empty volume on this grid."""
        return Volume(np.zeros(self.shape, dtype=np.float32), self.affine)


def network_grid(
    brain_mask: Volume,
    crop_mm: float | Literal["brain"],
    size: int | None = None,
    *,
    voxels_per_mm: float | None = None,
    cube: bool = False,
) -> NetworkGrid:
    """Place the crop in MNI space (paper, 4.1: crop to 156³ mm, scale to 224³).

    A cube of `crop_mm` lies around the centre of the template's box. `brain` takes the smallest cube around the brain's
    bounding box and, unless a `cube` is wanted, leaves as many `STEP`s of voxels out as hold no brain. The longest edge
    has `size` voxels or, when that is None, the multiple of 8 that comes nearest to `voxels_per_mm`.
    """
    if crop_mm == "brain":
        corners = np.argwhere(brain_mask.data)
        low, high = corners.min(axis=0) - 0.5, corners.max(axis=0) + 0.5
        edges_mm = (high - low) * brain_mask.spacing_mm
    else:
        low, high = np.full(3, -0.5), np.asarray(brain_mask.shape) - 0.5
        edges_mm = np.full(3, crop_mm)
    edge_mm = float(edges_mm.max())
    if cube:
        edges_mm[:] = edge_mm
    if size is None:
        assert voxels_per_mm is not None
        size = max(16, 8 * round(edge_mm * voxels_per_mm / 8))
    centre = brain_mask.affine @ np.append((low + high) / 2, 1)
    spacing_mm = edge_mm / size
    x, y, z = (size - STEP * int((size - edge / spacing_mm) / STEP) for edge in edges_mm)
    affine = np.diag([spacing_mm] * 3 + [1.0])
    affine[:3, 3] = centre[:3] - spacing_mm * (np.array([x, y, z]) - 1) / 2
    return NetworkGrid((x, y, z), affine)


def midline_grid(brain_mask: Volume, spacing_mm: float) -> NetworkGrid:
    """Place a box around the whole brain so that voxel n/2 of n lies on the midline, x = 0.

    Its mirror image then lies on its own voxels. The edges are multiples of `EVEN` voxels; along y and z the first
    voxel lies on a voxel of the template, so that an equal spacing resamples nothing.
    """
    places = brain_mask.affine[:3, :3] @ np.argwhere(brain_mask.data).T + brain_mask.affine[:3, 3:]
    low, high = places.min(axis=1), places.max(axis=1)
    low[0], high[0] = -abs(places[0]).max(), abs(places[0]).max()
    shape = [EVEN * int(np.ceil(((high - low)[axis] / spacing_mm + 1) / EVEN)) for axis in range(3)]
    affine = np.diag([spacing_mm] * 3 + [1.0])
    for axis in (1, 2):
        margin = (shape[axis] - 1) * spacing_mm - (high - low)[axis]
        step = brain_mask.spacing_mm[axis]
        affine[axis, 3] = low[axis] - step * round(margin / 2 / step)
    affine[0, 3] = -shape[0] / 2 * spacing_mm
    return NetworkGrid((shape[0], shape[1], shape[2]), affine)


def inside_crop(reference: Volume, grid: NetworkGrid) -> NDArray[np.bool_]:
    """Which voxels (X, Y, Z) of the reference, such as the MNI grid, have their centres inside the crop."""
    to_index = np.linalg.inv(grid.affine) @ reference.affine
    edge = 0.5 + 1e-6  # a centre on the crop's face is inside, whatever the rounding
    inside = np.ones(reference.shape, dtype=bool)
    voxels = np.ogrid[tuple(slice(length) for length in reference.shape)]
    for (*weights, offset), length in zip(to_index[:3], grid.shape, strict=True):
        index = offset + sum(weight * places for weight, places in zip(weights, voxels, strict=True))
        inside &= (index >= -edge) & (index <= length - 1 + edge)
    return inside


def crop_rim(reference: Volume, grid: NetworkGrid, depth_mm: float) -> NDArray[np.bool_]:
    """Which voxels (X, Y, Z) of the reference lie inside the crop, at most `depth_mm` from one of its faces."""
    edges_mm = np.array(grid.shape) * grid.affine[0, 0]
    if edges_mm.min() <= 2 * depth_mm:
        return inside_crop(reference, grid)
    inner = grid.affine.copy()
    inner[:3, :3] *= 1 - 2 * depth_mm / edges_mm
    middle = np.append((np.array(grid.shape) - 1) / 2, 1)
    inner[:3, 3] += ((grid.affine - inner) @ middle)[:3]
    return inside_crop(reference, grid) & ~inside_crop(reference, NetworkGrid(grid.shape, inner))


def cut_poles(brain_mask: Volume, grid: NetworkGrid) -> dict[str, float]:
    """The share of the template's brain voxels beyond each face of the crop that cuts any off, the largest first."""
    places = brain_mask.affine[:3, :3] @ np.argwhere(brain_mask.data).T + brain_mask.affine[:3, 3:]
    edge = 0.5 + 1e-6
    last = np.array(grid.shape) - 1
    low, high = (grid.affine @ [*index, 1] for index in (np.full(3, -edge), last + edge))
    shares = {}
    for axis, names in enumerate(POLES):
        beyond = places[axis] < low[axis], places[axis] > high[axis]
        shares |= {name: float(cut.mean()) for name, cut in zip(names, beyond, strict=True) if cut.any()}
    return dict(sorted(shares.items(), key=lambda pole: -pole[1]))


def brain_cut_share(brain_mask: Volume, grid: NetworkGrid) -> float:
    """The share of the template's brain voxels whose centres lie outside the crop."""
    return float(1 - inside_crop(brain_mask, grid)[brain_mask.data].mean())


def to_network_grid(image: Volume, grid: NetworkGrid) -> NDArray[np.float16]:
    """A standardized scan on the network's grid, (X, Y, Z) float16; beyond the MNI grid stands the background.

    A grid coarser than the scan's gets means over its voxels (`antialiased_resample`).
    """
    background = float(image.data[0, 0, 0])  # a corner of the MNI grid is never brain
    return np.ascontiguousarray(antialiased_resample(image, grid.reference, fill=background).data, dtype=np.float16)


def mask_on_network_grid(brain_mask: Volume, grid: NetworkGrid) -> NDArray[np.bool_]:
    """The template's brain mask on the network's grid, (X, Y, Z)."""
    return np.ascontiguousarray(resample_like(brain_mask, grid.reference, nearest=True).data)


def write_grid(path: Path | str, grid: NetworkGrid, cut_share: float) -> None:
    """Write the crop's geometry and the share of brain that it cuts off as JSON."""
    content = {"shape": grid.shape, "affine": grid.affine.tolist(), "brain_cut_share": round(cut_share, 6)}
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def read_grid(path: Path | str) -> NetworkGrid:
    """Read the geometry that `write_grid` wrote."""
    content = json.loads(Path(path).read_text(encoding="utf-8"))
    return NetworkGrid(tuple(content["shape"]), np.array(content["affine"]))

"""The network's grid: a cube of MNI space.

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


class NetworkGrid(NamedTuple):
    """A cube of `size`³ voxels whose `affine` (4, 4) maps voxel indices to MNI RAS+ mm."""

    size: int
    affine: NDArray[np.float64]

    @property
    def reference(self) -> Volume:
        """An empty volume on this grid."""
        return Volume(np.zeros((self.size,) * 3, dtype=np.float32), self.affine)


def network_grid(
    brain_mask: Volume,
    crop_mm: float | Literal["brain"],
    size: int | None = None,
    *,
    voxels_per_mm: float | None = None,
) -> NetworkGrid:
    """Place the cube in MNI space (paper, 4.1: crop to 156³ mm, scale to 224³).

    A cube of `crop_mm` lies around the centre of the template's box; `brain` takes the smallest cube around the
    brain's bounding box. It has `size` voxels along its edge or, when that is None, the multiple of 8 that comes
    nearest to `voxels_per_mm`.
    """
    if crop_mm == "brain":
        corners = np.argwhere(brain_mask.data)
        low, high = corners.min(axis=0) - 0.5, corners.max(axis=0) + 0.5
        edge_mm = float(((high - low) * brain_mask.spacing_mm).max())
    else:
        low, high = np.full(3, -0.5), np.asarray(brain_mask.shape) - 0.5
        edge_mm = crop_mm
    if size is None:
        assert voxels_per_mm is not None
        size = max(16, 8 * round(edge_mm * voxels_per_mm / 8))
    centre = brain_mask.affine @ np.append((low + high) / 2, 1)
    spacing_mm = edge_mm / size
    affine = np.diag([spacing_mm] * 3 + [1.0])
    affine[:3, 3] = centre[:3] - spacing_mm * (size - 1) / 2
    return NetworkGrid(size, affine)


def inside_cube(reference: Volume, grid: NetworkGrid) -> NDArray[np.bool_]:
    """Which voxels (X, Y, Z) of the reference, such as the MNI grid, have their centres inside the cube."""
    to_index = np.linalg.inv(grid.affine) @ reference.affine
    edge = 0.5 + 1e-6  # a centre on the cube's face is inside, whatever the rounding
    inside = np.ones(reference.shape, dtype=bool)
    voxels = np.ogrid[tuple(slice(length) for length in reference.shape)]
    for *weights, offset in to_index[:3]:
        index = offset + sum(weight * places for weight, places in zip(weights, voxels, strict=True))
        inside &= (index >= -edge) & (index <= grid.size - 1 + edge)
    return inside


def cube_rim(reference: Volume, grid: NetworkGrid, depth_mm: float) -> NDArray[np.bool_]:
    """Which voxels (X, Y, Z) of the reference lie inside the cube, at most `depth_mm` from one of its faces."""
    edge_mm = grid.size * grid.affine[0, 0]
    if edge_mm <= 2 * depth_mm:
        return inside_cube(reference, grid)
    inner = grid.affine.copy()
    inner[:3, :3] *= 1 - 2 * depth_mm / edge_mm
    middle = np.append(np.full(3, (grid.size - 1) / 2), 1)
    inner[:3, 3] += ((grid.affine - inner) @ middle)[:3]
    return inside_cube(reference, grid) & ~inside_cube(reference, NetworkGrid(grid.size, inner))


def cut_poles(brain_mask: Volume, grid: NetworkGrid) -> dict[str, float]:
    """The share of the template's brain voxels beyond each face of the cube that cuts any off, the largest first."""
    places = brain_mask.affine[:3, :3] @ np.argwhere(brain_mask.data).T + brain_mask.affine[:3, 3:]
    edge = 0.5 + 1e-6
    low, high = (grid.affine @ [*(index,) * 3, 1] for index in (-edge, grid.size - 1 + edge))
    shares = {}
    for axis, names in enumerate(POLES):
        beyond = places[axis] < low[axis], places[axis] > high[axis]
        shares |= {name: float(cut.mean()) for name, cut in zip(names, beyond, strict=True) if cut.any()}
    return dict(sorted(shares.items(), key=lambda pole: -pole[1]))


def brain_cut_share(brain_mask: Volume, grid: NetworkGrid) -> float:
    """The share of the template's brain voxels whose centres lie outside the cube."""
    return float(1 - inside_cube(brain_mask, grid)[brain_mask.data].mean())


def to_network_grid(image: Volume, grid: NetworkGrid) -> NDArray[np.float16]:
    """A standardized scan on the network's grid, (S, S, S) float16; beyond the MNI grid stands the background.

    A grid coarser than the scan's gets means over its voxels (`antialiased_resample`).
    """
    background = float(image.data[0, 0, 0])  # a corner of the MNI grid is never brain
    return np.ascontiguousarray(antialiased_resample(image, grid.reference, fill=background).data, dtype=np.float16)


def mask_on_network_grid(brain_mask: Volume, grid: NetworkGrid) -> NDArray[np.bool_]:
    """The template's brain mask on the network's grid, (S, S, S)."""
    return np.ascontiguousarray(resample_like(brain_mask, grid.reference, nearest=True).data)


def write_grid(path: Path | str, grid: NetworkGrid, cut_share: float) -> None:
    """Write the cube's geometry and the share of brain that it cuts off as JSON."""
    content = {"size": grid.size, "affine": grid.affine.tolist(), "brain_cut_share": round(cut_share, 6)}
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def read_grid(path: Path | str) -> NetworkGrid:
    """Read the geometry that `write_grid` wrote."""
    content = json.loads(Path(path).read_text(encoding="utf-8"))
    return NetworkGrid(content["size"], np.array(content["affine"]))

"""Volumes on a box of MNI space: where their voxels lie, and what blurs, samples and varies smoothly over them.

All lengths are mm. Volumes are float32 (X, Y, Z); axes are those of MNI space (RAS+), and x = 0 is the midline.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from stfpm3d.imaging.grid import NetworkGrid
from stfpm3d.simulation.draws import Draws

Box = tuple[slice, ...]
LEAST_SIGMA = 0.15
"""Sigma in voxels below which a Gaussian changes nothing that can be seen."""


class Space(NamedTuple):
    """The centres of the voxels of a box, `places_mm` (X, Y, Z, 3), and their `spacing_mm`."""

    places_mm: Tensor
    spacing_mm: float

    @property
    def shape(self) -> tuple[int, int, int]:
        """Number of voxels along each axis."""
        x, y, z, _ = self.places_mm.shape
        return x, y, z

    def distance_mm(self, point_mm: Tensor) -> Tensor:
        """Distance (X, Y, Z) of each voxel to a point (3,)."""
        return (self.places_mm - point_mm).norm(dim=-1)

    def around(self, point_mm: Tensor, reach_mm: float) -> tuple[Box, Space]:
        """The part of the box within a cube of `reach_mm` on each side of a point, and that part's own space."""
        first = self.places_mm[0, 0, 0]
        low = ((point_mm - reach_mm - first) / self.spacing_mm).floor().int().tolist()
        high = ((point_mm + reach_mm - first) / self.spacing_mm).ceil().int().tolist()
        box = tuple(slice(max(a, 0), min(b + 1, n)) for a, b, n in zip(low, high, self.shape, strict=True))
        return box, Space(self.places_mm[box], self.spacing_mm)


def space_of(grid: NetworkGrid) -> Space:
    """The space of a network grid, whose axes are those of MNI space."""
    spacing_mm, origin = float(grid.affine[0, 0]), torch.from_numpy(grid.affine[:3, 3]).float()
    steps = torch.meshgrid(*(torch.arange(n, dtype=torch.float32) for n in grid.shape), indexing="ij")
    return Space(origin + spacing_mm * torch.stack(steps, dim=-1), spacing_mm)


def along(volume: Tensor, axis: int, matrix: Tensor) -> Tensor:
    """Multiply one of the last three axes (0, 1, 2) of a volume (..., X, Y, Z) by a matrix (out, in)."""
    return torch.movedim(torch.movedim(volume, axis - 3, -1) @ matrix.T, -1, axis - 3)


def blurred(volume: Tensor, space: Space, sigma_mm: float | Sequence[float]) -> Tensor:
    """A volume after a Gaussian of `sigma_mm`, one for all axes or one for each; at the border it is normalised."""
    each = sigma_mm if isinstance(sigma_mm, Sequence) else [sigma_mm] * 3
    for axis, sigma in enumerate(each):
        voxels = sigma / space.spacing_mm
        if voxels < LEAST_SIGMA:
            continue
        places = torch.arange(volume.shape[axis - 3]).float()
        kernel = torch.exp(-0.5 * ((places[:, None] - places) / voxels) ** 2)
        kernel = kernel * (kernel > 1e-4)
        volume = along(volume, axis, kernel / kernel.sum(dim=1, keepdim=True))
    return volume.contiguous()


def linear_sampling(n: int, step: float, offset: float) -> Tensor:
    """The matrix (n, samples) that interpolates n voxels linearly from samples `step` voxels apart.

    The first voxel lies at `offset`, a share of the step from 0 to 1, behind the first sample.
    """
    places = torch.arange(n) / step + offset
    before = places.long()
    rows, matrix = torch.arange(n), torch.zeros(n, int(before[-1]) + 2)
    matrix[rows, before] = 1 - (places - before)
    matrix[rows, before + 1] = places - before
    return matrix


def noise(space: Space, width_mm: float, draws: Draws, channels: int = 1) -> Tensor:
    """Random fields (channels, X, Y, Z), mean 0, SD 1, that vary over `width_mm`; within a voxel it is white noise."""
    if width_mm <= space.spacing_mm:
        return draws.white(channels, *space.shape)
    samplings = [linear_sampling(n, width_mm / space.spacing_mm, draws.uniform(0, 1)) for n in space.shape]
    field = draws.white(channels, *(sampling.shape[1] for sampling in samplings))
    for axis, sampling in enumerate(samplings):
        field = along(field, axis, sampling)
    return (field - field.mean()) / (field.std() + 1e-6)


def rotation(angles: Sequence[float]) -> Tensor:
    """The matrix (3, 3) that turns about the x, then the y, then the z axis by some angles in degrees."""
    (a, b, c), (d, e, f) = ([turn(math.radians(angle)) for angle in angles] for turn in (math.cos, math.sin))
    about_x = torch.tensor([[1, 0, 0], [0, a, -d], [0, d, a]])
    about_y = torch.tensor([[b, 0, e], [0, 1, 0], [-e, 0, b]])
    about_z = torch.tensor([[c, -f, 0], [f, c, 0], [0, 0, 1.0]])
    return about_z @ about_y @ about_x


def pulled(volumes: Tensor, space: Space, source_mm: Tensor) -> Tensor:
    """Volumes (C, X, Y, Z), each voxel taken linearly from the place `source_mm` (X, Y, Z, 3); edges go on."""
    first, last = space.places_mm[0, 0, 0], space.places_mm[-1, -1, -1]
    relative = 2 * (source_mm - first) / (last - first) - 1
    return F.grid_sample(volumes[None], relative.flip(-1)[None], align_corners=True, padding_mode="border")[0]

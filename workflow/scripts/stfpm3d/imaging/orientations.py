"""Whether a scan would fit the template better elsewhere, on coarse copies: turned as a cube is, or a little off."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from stfpm3d.imaging.similarity import local_similarity
from stfpm3d.imaging.volumes import Volume, coarse_copy, resample_like

COPY_MM = 4.0
VOXEL_MM = 8.0
"""Coarse enough for a turn to be recognised that is 20 degrees and 2 cm off, as turns about the middle are."""
BLOCK = 4
"""Edge of the blocks of `local_similarity`, in voxels."""
OFF_MM, OFF_DEG, OFF_SCALE = 20.0, 20.0, 1.25
"""How far off the neighbours of a transform are."""
AXES = ("left to right", "back to front", "bottom to top")


class Orientation(NamedTuple):
    """A turn, and how well a scan fits in it."""

    similarity: float
    """`local_similarity` in blocks of 32 mm, times the share of the brain that the scan shows."""
    turn: NDArray[np.int_]
    """(3, 3), of points in RAS+ mm: what the header's coordinates are to the true ones."""


class Fit(NamedTuple):
    """How well a scan fits the template where a transform puts it, and elsewhere."""

    similarity: float
    beside: float
    """The best of what lies 2 cm or 20 degrees off, or is scaled by 1.25."""
    orientations: list[Orientation]
    """The 23 others, the best first."""


def turns() -> list[NDArray[np.int_]]:
    """The 24 rotations (3, 3) that bring a cube onto itself; the first is the identity."""
    signed = itertools.product(itertools.permutations(range(3)), itertools.product((1, -1), repeat=3))
    matrices = [np.eye(3, dtype=int)[list(order)] * np.array(signs)[:, None] for order, signs in signed]
    return [matrix for matrix in matrices if np.linalg.det(matrix) > 0]


class Comparison:
    """A scan (background 0) beside the template, in a cube about the middle of the template's brain.

    The cube's turns interpolate nothing.
    """

    def __init__(self, scan: Volume, image: Volume, brain_mask: Volume) -> None:
        self.cube, self.scan = _cube(brain_mask), _coarse(scan)
        self.brain = resample_like(_coarse(brain_mask), self.cube).data > 0.5
        self.template = resample_like(_coarse(image), self.cube).data

    def fit(self, transform: sitk.Transform) -> Fit:
        """How well the scan fits where a transform of MNI points to its own puts it, and elsewhere."""
        as_it_is, *others = self._turned(transform)
        beside = max(self._similarity(self._cut(sitk.CompositeTransform([transform, step]))) for step in self._steps())
        return Fit(as_it_is.similarity, beside, _best_first(others))

    def rivals(self, transforms: Sequence[sitk.Transform]) -> list[Orientation]:
        """The 23 other orientations, the best first; each as it fits best from a transform, or a little off it."""
        astray = itertools.product(transforms, self._steps())
        near = [*transforms, *(sitk.CompositeTransform([transform, step]) for transform, step in astray)]
        found = zip(*(self._turned(each)[1:] for each in near), strict=True)
        return _best_first([max(same, key=lambda one: one.similarity) for same in found])

    def _turned(self, transform: sitk.Transform) -> list[Orientation]:
        data = self._cut(transform)
        return [Orientation(self._similarity(_turned(data, turn)), turn) for turn in turns()]

    def _cut(self, transform: sitk.Transform) -> NDArray:
        return resample_like(self.scan, self.cube, transform=transform).data

    def _similarity(self, data: NDArray) -> float:
        shared = self.brain & (data > 0)
        return float(shared.sum() / self.brain.sum() * local_similarity(data, self.template, shared, BLOCK))

    def _steps(self) -> list[sitk.Transform]:
        """Maps of MNI points (LPS mm) that lead a little astray: moves, turns and scalings about the cube's middle."""
        centre = self.cube.affine @ [*(np.array(self.cube.shape) - 1) / 2, 1]
        middle = (centre[:3] * [-1, -1, 1]).tolist()
        steps: list[sitk.Transform] = []
        for axis, sign in itertools.product(np.eye(3), (-1, 1)):
            steps.append(sitk.TranslationTransform(3, (sign * OFF_MM * axis).tolist()))
            steps.append(sitk.VersorTransform(axis.tolist(), float(sign * np.deg2rad(OFF_DEG)), middle))
        for scale in (OFF_SCALE, 1 / OFF_SCALE):
            steps.append(sitk.AffineTransform((scale * np.eye(3)).ravel().tolist(), [0.0, 0.0, 0.0], middle))
        return steps


def describe(turn: NDArray[np.int_]) -> str:
    """A turn in words: of what the header calls x, y and z, what is true, and the mirror image that looks the same."""
    back = turn.T
    mirrored = np.diag([-1, 1, 1]) @ back
    return (
        f"turned by {_angle_and_axis(back)}, x, y, z of its affine being {_signed(back)}"
        f" (or mirrored, {_signed(mirrored)}, which looks the same)"
    )


def _angle_and_axis(turn: NDArray[np.int_]) -> str:
    """A rotation by 90, 120 or 180 degrees in words."""
    degrees = float(np.rad2deg(np.arccos((np.trace(turn) - 1) / 2)))
    if degrees < 179:
        axis = np.array([turn[2, 1] - turn[1, 2], turn[0, 2] - turn[2, 0], turn[1, 0] - turn[0, 1]])
    else:  # every column of this sum is a multiple of the axis
        axis = (turn + np.eye(3, dtype=int))[:, np.diag(turn).argmax()]
    along = np.flatnonzero(axis)
    if len(along) > 1:
        names = ["-"[: int(axis[n] < 0)] + "xyz"[n] for n in along]
        return f"{degrees:.0f} degrees about the diagonal of {', '.join(names)}"
    sign = 1 if degrees > 179 else np.sign(axis[along[0]])
    return f"{sign * degrees:.0f} degrees about {'xyz'[along[0]]} ({AXES[along[0]]})"


def _signed(matrix: NDArray[np.int_]) -> str:
    """The rows of a signed permutation as axes: "-x, -y, z"."""
    return ", ".join(("-" if row.sum() < 0 else "") + "xyz"[np.abs(row).argmax()] for row in matrix)


def _best_first(found: list[Orientation]) -> list[Orientation]:
    return sorted(found, key=lambda one: -one.similarity)


def _turned(data: NDArray, turn: NDArray[np.int_]) -> NDArray:
    """A cube (N, N, N) whose value at point p, from its middle, is the given one's at `turn` p."""
    order = np.abs(turn).argmax(axis=0)  # of the given axes, the one that each axis of the result runs along
    signs = turn[order, range(3)]
    return np.transpose(data, order)[tuple(slice(None, None, int(sign)) for sign in signs)]


def _cube(brain_mask: Volume) -> Volume:
    """An empty cube about the middle of the brain's box, of whole blocks, as large as the brain or larger."""
    places = np.argwhere(brain_mask.data)
    low, high = (brain_mask.affine @ [*place, 1] for place in (places.min(axis=0), places.max(axis=0)))
    size = int(np.ceil(np.abs(high - low).max() / (VOXEL_MM * BLOCK))) * BLOCK
    affine = np.diag([VOXEL_MM] * 3 + [1.0])
    affine[:3, 3] = ((low + high) / 2)[:3] - (size - 1) / 2 * VOXEL_MM
    return Volume(np.zeros((size,) * 3, dtype=bool), affine)


def _coarse(volume: Volume) -> Volume:
    return coarse_copy(Volume(volume.data.astype(np.float32), volume.affine), COPY_MM)

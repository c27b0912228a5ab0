"""Triplets of patches for the teacher: anchor, neighbour on the anchor's grid, negative from another subject."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from stfpm3d.learning.channels import stack_channels
from stfpm3d.runtime.errors import InputError

STEPS = np.array([step for step in product((-1, 0, 1), repeat=3) if any(step)])


def brain_voxels_per_patch(brain_mask: NDArray[np.bool_], patch_size: int) -> NDArray[np.int64]:
    """Count the brain voxels of every patch of `patch_size`^3 in a mask (X, Y, Z); the index is the patch's corner."""
    integral = np.pad(brain_mask.astype(np.int64), ((1, 0), (1, 0), (1, 0))).cumsum(0).cumsum(1).cumsum(2)
    for axis in range(3):
        upper = np.take(integral, range(patch_size, integral.shape[axis]), axis)
        integral = upper - np.take(integral, range(integral.shape[axis] - patch_size), axis)
    return integral


class PatchGrid:
    """Where patches with enough brain lie on the network grid; positions are corners, in voxels.

    Parameters
    ----------
    brain_mask: (X, Y, Z), the template's, which all scans share.
    patch_size: edge in voxels.
    min_brain_fraction: least share of brain in a patch, anchors, neighbours and negatives alike. With 0 neighbours and
        negatives may lie anywhere and, as in the paper's text, anchors wherever a voxel is brain.

    Raises
    ------
    InputError
        If no patch has enough brain and a neighbour with enough brain.
    """

    def __init__(self, brain_mask: NDArray[np.bool_], patch_size: int, min_brain_fraction: float) -> None:
        self.steps = STEPS * patch_size
        brain_voxels = brain_voxels_per_patch(brain_mask, patch_size)
        self.eligible = brain_voxels >= min_brain_fraction * patch_size**3
        self.corners = np.argwhere(self.eligible).astype(np.int16)
        anchors = self.corners[brain_voxels[self.eligible] > 0]  # one of background alone says nothing of where it is
        alone = np.ones(len(anchors), dtype=bool)
        for step in self.steps:
            alone[alone] = ~self._is_eligible(anchors[alone] + step)
        self.anchors = anchors[~alone]
        if len(self.anchors) == 0:
            raise InputError(
                f"No two neighbouring patches of {patch_size} voxels have at least {min_brain_fraction:.0%} brain on a "
                f"grid of {brain_mask.shape}: lower the teacher's patch_size or min_brain_fraction."
            )

    def draw(self, rng: np.random.Generator) -> tuple[NDArray, NDArray, NDArray]:
        """Corners (3,) of an anchor, of one of its up to 26 neighbours and, independently, of a negative."""
        anchor = self.anchors[rng.integers(len(self.anchors))]
        neighbours = anchor + self.steps
        neighbour = rng.choice(neighbours[self._is_eligible(neighbours)])
        return anchor, neighbour, self.corners[rng.integers(len(self.corners))]

    def _is_eligible(self, corners: NDArray) -> NDArray[np.bool_]:
        inside = ((corners >= 0) & (corners < self.eligible.shape)).all(axis=1)
        eligible = np.zeros(len(corners), dtype=bool)
        eligible[inside] = self.eligible[tuple(corners[inside].T)]
        return eligible


class TripletDataset(Dataset[Tensor]):
    """An epoch's triplets: item `index` holds those whose anchors lie in scan `index`.

    An item is float32 (triplets_per_scan, 3, C, p, p, p): anchor, neighbour, negative; the second channel is the
    atlas, if there is one. It is a function of (seed, epoch, index), so that a resumed training draws what an
    uninterrupted one would have drawn.

    Parameters
    ----------
    volumes: paths of scans, .npy (X, Y, Z) on the network grid; memory-mapped.
    subjects: whose scan each of them is, at least two different ones.
    atlas: (X, Y, Z) on the network grid, cut where each patch is cut, or None.
    """

    def __init__(
        self,
        volumes: Sequence[Path],
        subjects: Sequence[str],
        grid: PatchGrid,
        *,
        patch_size: int,
        triplets_per_scan: int,
        seed: int,
        epoch: int,
        atlas: NDArray | None = None,
    ) -> None:
        if len(set(subjects)) < 2:
            raise InputError(f"Triplets need scans of at least 2 subjects, not of {len(set(subjects))}: add subjects.")
        self.volumes = volumes
        self.subjects = np.asarray(subjects)
        self.grid = grid
        self.patch_size = patch_size
        self.triplets_per_scan = triplets_per_scan
        self.seed = seed
        self.epoch = epoch
        self.atlas = atlas

    def __len__(self) -> int:
        return len(self.volumes)

    def __getitem__(self, index: int) -> Tensor:
        rng = np.random.default_rng([self.seed, self.epoch, index])
        scan = np.load(self.volumes[index], mmap_mode="r")
        others = np.roll(np.arange(len(self.volumes)), -index)
        others = others[self.subjects[others] != self.subjects[index]]
        triplets = []
        for _ in range(self.triplets_per_scan):
            negative_scan = np.load(self.volumes[others[rng.integers(len(others))]], mmap_mode="r")
            anchor, neighbour, negative = self.grid.draw(rng)
            triplets.append([self._cut(scan, anchor), self._cut(scan, neighbour), self._cut(negative_scan, negative)])
        patches = np.array(triplets)
        if not np.isfinite(patches).all():
            raise InputError(
                f"{self.volumes[index]}, or a scan that its negatives come from, holds NaN or infinite voxels; remove"
                " the file and run again."
            )
        return torch.from_numpy(patches)

    def _cut(self, scan: NDArray, corner: NDArray) -> NDArray[np.float32]:
        x, y, z = (slice(start, start + self.patch_size) for start in corner.tolist())
        return stack_channels(scan[x, y, z], None if self.atlas is None else self.atlas[x, y, z])

"""What a denoising student sees instead of a healthy scan: smooth noise, blobs, or the scan of another scanner.

The teacher sees the clean scan. So the student learns to answer a lesion, or what only an acquisition differs by, with
the features of healthy tissue.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from stfpm3d.imaging.fields import smooth_noise, smoothstep
from stfpm3d.imaging.volumes import Volume
from stfpm3d.learning.training import ScanDataset
from stfpm3d.simulation.draws import Draws
from stfpm3d.simulation.scan import Healthy, Simulation

Corruption = Literal["noise", "lesions", "acquisition"]

NOISE_SIGMA_MM = (3.0, 12.0)
NOISE_SD = (0.2, 1.0)
LESIONS = (1, 3)
LESION_RADIUS_MM = (4.0, 20.0)
LESION_SHIFT_SD = (0.5, 3.0)
RAGGEDNESS = 0.3
"""SD of a lesion's outline, as a share of its radius."""


def with_noise(scan: NDArray, brain: Volume, rng: np.random.Generator) -> NDArray[np.float32]:
    """A scan (X, Y, Z) in SDs of its brain, plus a Gaussian random field of random width and strength in the brain."""
    field = smooth_noise(rng, brain, rng.uniform(*NOISE_SIGMA_MM))
    return (scan + brain.data * rng.uniform(*NOISE_SD) * field).astype(np.float32)


def with_lesions(scan: NDArray, brain: Volume, rng: np.random.Generator) -> NDArray[np.float32]:
    """A scan (X, Y, Z) in SDs of its brain, with one to three ragged blobs, each brighter or darker than it was."""
    corrupted = scan.astype(np.float32)
    spacing_mm = float(brain.spacing_mm[0])
    voxels = np.argwhere(brain.data)
    for _ in range(rng.integers(LESIONS[0], LESIONS[1] + 1)):
        radius_mm = np.exp(rng.uniform(*np.log(LESION_RADIUS_MM)))
        centre = voxels[rng.integers(len(voxels))]
        reach = int(np.ceil((1 + 3 * RAGGEDNESS) * radius_mm / spacing_mm)) + 1
        box = tuple(slice(max(0, c - reach), c + reach + 1) for c in centre)
        here = Volume(brain.data[box], brain.affine)
        offset_mm = np.indices(here.shape) + np.array(
            [[[[part.start - c]]] for part, c in zip(box, centre, strict=True)]
        )
        distance_mm = np.linalg.norm(offset_mm * spacing_mm, axis=0)
        outline_mm = radius_mm * (1 + RAGGEDNESS * smooth_noise(rng, here, radius_mm / 3))
        weight = here.data * smoothstep(-spacing_mm, spacing_mm, outline_mm - distance_mm)
        texture = 0.2 * smooth_noise(rng, here, 2 * spacing_mm)
        shift = rng.choice((-1, 1)) * rng.uniform(*LESION_SHIFT_SD)
        corrupted[box] += (weight * shift * (1 + texture)).astype(np.float32)
    return corrupted


Corrupter = Callable[[int, NDArray, np.random.Generator], NDArray[np.float32]]
"""Gives what is seen of a scan (X, Y, Z), whose index in the training is the first argument."""


@dataclass(frozen=True)
class OtherAcquisitions:
    """Each scan as a random scanner, sequence and stripping would give it; its shape stays.

    `supports` are the scans' brains, bool (X, Y, Z), by their index in the training.
    """

    simulation: Simulation
    supports: Sequence[NDArray[np.bool_]]

    def __call__(self, index: int, scan: NDArray, rng: np.random.Generator) -> NDArray[np.float32]:
        healthy = Healthy(torch.from_numpy(scan), torch.from_numpy(self.supports[index]))
        return self.simulation.reacquired(healthy, Draws(int(rng.integers(2**63))), float(rng.uniform())).numpy()


def corrupter(kind: Corruption, brain: Volume, acquisitions: OtherAcquisitions | None) -> Corrupter:
    """What corrupts scans; `brain` is the template's on the network grid, `acquisitions` those of "acquisition"."""
    if kind == "acquisition":
        assert acquisitions is not None
        return acquisitions
    corrupt = {"noise": with_noise, "lesions": with_lesions}[kind]
    return lambda _, scan, rng: corrupt(scan, brain, rng)


class CorruptedScans(Dataset[tuple[int, Tensor, Tensor]]):
    """An epoch's scans: (index, clean, corrupted), the tensors float32 (channels, X, Y, Z).

    The corruption, of the first channel, is a function of (seed, epoch, index), so that a resumed training sees what an
    uninterrupted one would have seen.

    Parameters
    ----------
    scans, indices: the clean scans, and which of them belong to the epoch.
    corrupt: gives what is seen of a scan.
    """

    def __init__(
        self, scans: ScanDataset, indices: Sequence[int], corrupt: Corrupter, *, seed: int, epoch: int
    ) -> None:
        self.scans, self.indices, self.corrupt = scans, indices, corrupt
        self.seed, self.epoch = seed, epoch

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, item: int) -> tuple[int, Tensor, Tensor]:
        index, clean = self.scans[self.indices[item]]
        rng = np.random.default_rng([self.seed, self.epoch, index])
        corrupted = clean.clone()
        corrupted[0] = torch.from_numpy(self.corrupt(index, clean[0].numpy(), rng))
        return index, clean, corrupted

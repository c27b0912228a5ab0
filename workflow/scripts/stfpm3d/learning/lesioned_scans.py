"""Healthy validation scans with synthetic lesions, by which a student's epoch can be chosen without any patient."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from sklearn.metrics import average_precision_score
from torch import Tensor
from torch.utils.data import Dataset

from stfpm3d.imaging.lesions import SIZES_ML, blob_lesion, with_lesion
from stfpm3d.imaging.volumes import Volume
from stfpm3d.learning.training import ScanDataset

LESIONS_PER_SCAN = 2
VOLUMES_ML = (SIZES_ML["small"][0], SIZES_ML["large"][1])
STREAM = 2**32
"""Sets the random numbers apart from those of (seed, epoch, index): no epoch has this number."""


class LesionedScans(Dataset[tuple[int, Tensor, Tensor]]):
    """Scans with one lesion each: (index, float32 (C, X, Y, Z), lesion (X, Y, Z)), made anew whenever they are read.

    Indices go on after those of the clean scans, so that a teacher's features are kept apart. The lesion, in the first
    channel, is a function of (seed, place in this set); the volumes are spread evenly over the logarithm.

    Parameters
    ----------
    scans, indices: the clean scans, and which of them are healthy validation scans.
    brain: the template's brain mask on the network grid.
    sign: 1 for bright lesions, -1 for dark ones.
    """

    def __init__(self, scans: ScanDataset, indices: Sequence[int], brain: Volume, sign: int, *, seed: int) -> None:
        self.scans, self.indices, self.brain, self.sign, self.seed = scans, indices, brain, sign, seed

    def __len__(self) -> int:
        return LESIONS_PER_SCAN * len(self.indices)

    def __getitem__(self, item: int) -> tuple[int, Tensor, Tensor]:
        _, scan = self.scans[self.indices[item % len(self.indices)]]
        rng = np.random.default_rng([self.seed, STREAM, item])
        low, high = VOLUMES_ML
        lesion = blob_lesion(self.brain, low * (high / low) ** ((item + 0.5) / len(self)), rng)
        clean = Volume(scan[0].numpy(), self.brain.affine)
        scan[0] = torch.from_numpy(with_lesion(clean, self.brain, lesion, self.sign, rng).data)
        return len(self.scans) + item, scan, torch.from_numpy(lesion)


def lesion_aps(maps: Tensor, lesions: Tensor, brain_mask: Tensor) -> Tensor:
    """Average precision (N,) of each map (N, X, Y, Z) for its lesion (N, X, Y, Z), over the brain (X, Y, Z)."""
    inside = zip(lesions[:, brain_mask].cpu().numpy(), maps[:, brain_mask].float().cpu().numpy(), strict=True)
    precisions = [average_precision_score(lesion, values) for lesion, values in inside]
    return torch.tensor(precisions, dtype=torch.float32, device=maps.device)

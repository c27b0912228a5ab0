"""What a segmenter learns from and is validated on: synthetic scans, each a function of (seed, epoch, index)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.utils.data import Dataset

from stfpm3d.simulation.draws import Draws
from stfpm3d.simulation.scan import Healthy, Sample, Simulation

VALIDATION = 2**32
"""The epoch of validation scans: no training has it."""
FULL_STRENGTH, MOST_OTHERWISE = 0.65, 0.6
"""Share of training scans whose acquisition is fully random; the strength of the others is at most this."""


class SyntheticScans(Dataset[tuple[int, Tensor, Tensor]]):
    """An epoch's samples: (index, image float32 (X, Y, Z), lesion bool (X, Y, Z)).

    Parameters
    ----------
    healthy
        Healthy training scans, float16 to save memory.
    count
        Number of samples.
    strength
        Factor of how random shape and acquisition are, 1 for all that `simulation` has.
    """

    def __init__(
        self, healthy: Sequence[Healthy], simulation: Simulation, count: int, *, seed: int, epoch: int, strength: float
    ) -> None:
        self.healthy, self.simulation, self.count = healthy, simulation, count
        self.seed, self.epoch, self.strength = seed, epoch, strength

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, item: int) -> tuple[int, Tensor, Tensor]:
        torch.set_flush_denormal(
            True
        )  # of a process that makes samples: a field's far ends would cost ten times the rest
        draws = Draws(self.seed, self.epoch, item)
        image, brain = self.healthy[draws.below(len(self.healthy))]
        strength = 1.0 if draws.chance(FULL_STRENGTH) else draws.uniform(0, MOST_OTHERWISE)
        made = self.simulation.sample(Healthy(image.float(), brain), draws, self.strength * strength)
        return item, made.image, made.lesion


class KeptSamples(Dataset[tuple[int, Tensor, Tensor]]):
    """Validation samples, made once: each with a lesion, in acquisitions that the training has not seen."""

    def __init__(self, healthy: Sequence[Healthy], simulation: Simulation, count: int, *, seed: int) -> None:
        made = [
            simulation.sample(Healthy(image.float(), brain), Draws(seed, VALIDATION, item), 1.0)
            for item, (image, brain) in ((item, healthy[item % len(healthy)]) for item in range(count))
        ]
        self.samples: list[Sample] = [sample._replace(image=sample.image.half()) for sample in made]

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, item: int) -> tuple[int, Tensor, Tensor]:
        sample = self.samples[item]
        return item, sample.image.float(), sample.lesion

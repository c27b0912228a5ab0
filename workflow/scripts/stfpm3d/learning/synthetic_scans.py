"""What a segmenter learns from and is validated on: synthetic scans, each a function of (seed, epoch, index)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import count

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
    number
        How many samples there are.
    strength
        Factor of how random shape and acquisition are, 1 for all that `simulation` has.
    """

    def __init__(
        self, healthy: Sequence[Healthy], simulation: Simulation, number: int, *, seed: int, epoch: int, strength: float
    ) -> None:
        self.healthy, self.simulation, self.number = healthy, simulation, number
        self.seed, self.epoch, self.strength = seed, epoch, strength

    def __len__(self) -> int:
        return self.number

    def __getitem__(self, item: int) -> tuple[int, Tensor, Tensor]:
        draws = Draws(self.seed, self.epoch, item)
        image, brain = self.healthy[draws.below(len(self.healthy))]
        strength = 1.0 if draws.chance(FULL_STRENGTH) else draws.uniform(0, MOST_OTHERWISE)
        made = self.simulation.sample(Healthy(image.float(), brain), draws, self.strength * strength)
        return item, made.image, made.lesion


class KeptSamples(Dataset[tuple[int, Tensor, Tensor]]):
    """Validation samples, made once: each with a lesion, in acquisitions that the training has not seen."""

    def __init__(self, healthy: Sequence[Healthy], simulation: Simulation, number: int, *, seed: int) -> None:
        self.simulation, self.seed = simulation, seed
        self.samples = [self._sample(healthy[item % len(healthy)], item) for item in range(number)]

    def _sample(self, healthy: Healthy, item: int) -> Sample:
        """The first sample whose lesion is left on the grid: one of a few mm may be none of its voxels."""
        scan = Healthy(healthy.image.float(), healthy.brain)
        made = (self.simulation.sample(scan, Draws(self.seed, VALIDATION, item, attempt), 1.0) for attempt in count())
        lesioned = next(sample for sample in made if sample.lesion.any())
        return lesioned._replace(image=lesioned.image.half())

    def __len__(self) -> int:
        return len(self.samples)

    def __getitem__(self, item: int) -> tuple[int, Tensor, Tensor]:
        sample = self.samples[item]
        return item, sample.image.float(), sample.lesion

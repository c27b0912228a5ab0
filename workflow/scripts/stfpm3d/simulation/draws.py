"""The random numbers of one synthetic scan."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor


class Draws:
    """Random numbers that are a function of some whole numbers, such as (seed, epoch, index)."""

    def __init__(self, *seed: int) -> None:
        (state,) = np.random.SeedSequence(seed).generate_state(1, np.uint64)
        self.generator = torch.Generator().manual_seed(int(state) >> 1)  # torch takes 63 bits

    def uniform(self, low: float, high: float) -> float:
        """A number between two bounds."""
        return low + (high - low) * float(torch.rand((), generator=self.generator))

    def log_uniform(self, low: float, high: float) -> float:
        """A number between two positive bounds, its logarithm uniform: small and large are equally frequent."""
        return math.exp(self.uniform(math.log(low), math.log(high)))

    def normal(self, sd: float) -> float:
        """A number of zero mean and this SD."""
        return sd * float(self.white())

    def chance(self, probability: float) -> bool:
        """True with this probability."""
        return float(torch.rand((), generator=self.generator)) < probability

    def below(self, n: int) -> int:
        """A whole number from 0 to n - 1."""
        return int(torch.randint(0, n, (), generator=self.generator))

    def white(self, *shape: int) -> Tensor:
        """Independent normal numbers of zero mean and unit SD."""
        return torch.randn(shape, generator=self.generator)

"""A Gaussian for every position and channel of a feature pyramid, fitted on aligned healthy scans.

On the teacher's features it is PaDiM (Defard et al., 2021) with a diagonal covariance; on the difference of teacher
and student it tells an unusual residual from one that is large in every healthy scan.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor

from stfpm3d.learning.weights import halved, reading
from stfpm3d.runtime.errors import InputError
from stfpm3d.runtime.files import replacing

SHRINKAGE = 0.1
"""Share of a channel's mean variance in that of each position, so that a handful of scans gives no tiny variances."""
QUIETEST = 1e-3
"""Least variance of a channel, as a share of the mean channel's: one that never fires in healthy scans must not decide
alone when it does."""


class FeatureGaussian(NamedTuple):
    """Mean and sum of squared deviations of `n` scans' features, each (1, channels, X, Y, Z), a block each."""

    n: int
    means: list[Tensor]
    squares: list[Tensor]

    def without(self, features: Sequence[Tensor]) -> FeatureGaussian:
        """The Gaussian of all scans but this one, which is among them."""
        n = self.n - 1
        means = [(self.n * mean - x) / n for mean, x in zip(self.means, features, strict=True)]
        squares = [
            (square - (x - mean) * (x - rest)).clamp(min=0)
            for square, x, mean, rest in zip(self.squares, features, self.means, means, strict=True)
        ]
        return FeatureGaussian(n, means, squares)

    def deviations(self, features: Sequence[Tensor]) -> list[Tensor]:
        """Features less their mean, in SDs of their position and channel, (1, channels, X, Y, Z) a block.

        Raises
        ------
        InputError
            If the Gaussian stands on fewer than two scans.
        """
        if self.n < 2:
            raise InputError(f"A Gaussian of features needs at least 2 other healthy scans, got {self.n}: add scans.")
        found = []
        for x, mean, square in zip(features, self.means, self.squares, strict=True):
            variance = square / (self.n - 1)
            typical = variance.mean(dim=(2, 3, 4), keepdim=True)
            typical = typical.clamp(min=float(typical.mean()) * QUIETEST)
            found.append((x - mean) / ((1 - SHRINKAGE) * variance + SHRINKAGE * typical).sqrt())
        return found


def fit_gaussian(scans: Iterable[Sequence[Tensor]]) -> FeatureGaussian:
    """Mean and squared deviations over scans' features, blocks of (1, channels, X, Y, Z), in one streaming pass.

    Welford's update: nothing cancels, and memory stays that of three pyramids.
    """
    n, means, squares = 0, [], []
    for features in scans:
        n += 1
        if n == 1:
            means, squares = [x.clone() for x in features], [torch.zeros_like(x) for x in features]
            continue
        for x, mean, square in zip(features, means, squares, strict=True):
            deviation = x - mean
            mean += deviation / n
            square += deviation * (x - mean)
    return FeatureGaussian(n, means, squares)


def save_gaussian(
    path: Path, gaussian: FeatureGaussian, blocks: Sequence[int] = (1, 2, 3), *, half: bool = False
) -> None:
    """Write a Gaussian, which is of the first of these blocks, to a .safetensors file.

    Means, and the roots of the sums of squares, which unlike these lie in the range of `half` precision.
    """
    tensors = {f"mean{block}": mean for block, mean in zip(blocks, gaussian.means, strict=False)}
    tensors |= {f"root{block}": square.sqrt() for block, square in zip(blocks, gaussian.squares, strict=False)}
    tensors = {name: tensor.cpu().contiguous() for name, tensor in tensors.items()}
    with replacing(path) as temporary:
        temporary.write_bytes(save(halved(tensors) if half else tensors, {"gaussian": json.dumps({"n": gaussian.n})}))


def load_gaussian(path: Path, device: torch.device, blocks: Sequence[int] = (1, 2, 3)) -> FeatureGaussian:
    """Read some blocks of the Gaussian that `save_gaussian` wrote.

    Raises
    ------
    InputError
        When the file is damaged, or holds something else.
    """
    with reading(path), safe_open(path, framework="pt", device=str(device)) as file:
        n = json.loads(file.metadata()["gaussian"])["n"]
        means, roots = ([file.get_tensor(f"{part}{block}").float() for block in blocks] for part in ("mean", "root"))
    return FeatureGaussian(n, means, [root.square() for root in roots])

"""Acquisitions that no training has seen, for validation: torchio's, by other formulas than those of `acquisition`."""

from __future__ import annotations

import torch
from torch import Tensor
from torchio.data import ScalarImage
from torchio.transforms import (
    Compose,
    RandomAnisotropy,
    RandomBiasField,
    RandomBlur,
    RandomGamma,
    RandomGhosting,
    RandomNoise,
)

from stfpm3d.simulation.draws import Draws
from stfpm3d.simulation.space import Space

ARTEFACTS = Compose(
    [
        RandomGamma(log_gamma=(-0.3, 0.3), p=0.7),
        RandomBiasField(coefficients=0.3, p=0.7),
        RandomAnisotropy(axes=(0, 1, 2), downsampling=(1.5, 3), p=0.4),
        RandomBlur(std=(0, 1.5), p=0.5),
        RandomGhosting(num_ghosts=(2, 6), intensity=(0.1, 0.4), p=0.15),
        RandomNoise(std=(0, 0.05), p=0.7),
    ]
)


def unseen_acquisition(
    image: Tensor, brain: Tensor, space: Space, strength: float, draws: Draws
) -> tuple[Tensor, Tensor]:
    """Image and brain as `acquisition.acquired` gives them, by torchio's transforms; `strength` is not looked at."""
    affine = torch.eye(4).double() * space.spacing_mm
    affine[3, 3] = 1
    with torch.random.fork_rng(devices=[]):  # torchio draws from torch's own generator
        torch.manual_seed(draws.below(2**31))
        changed = ARTEFACTS(ScalarImage(tensor=image[None], affine=affine.numpy()))
    return changed.data[0], brain

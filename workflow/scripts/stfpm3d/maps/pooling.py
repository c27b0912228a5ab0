"""What a region says as a whole: the features' deviations from healthy scans, averaged over neighbouring positions.

A lesion of centimetres shifts its features in one direction, over many positions; noise and inexact registration shift
them to and fro.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from scipy import ndimage
from torch import Tensor

from stfpm3d.imaging.grid import NetworkGrid, mask_on_network_grid
from stfpm3d.imaging.volumes import Volume
from stfpm3d.learning.resnet import STRIDES
from stfpm3d.maps.form import FWHM_PER_SIGMA


def seen_positions(brain: NDArray[np.bool_], stride: int) -> NDArray[np.bool_]:
    """The positions (X, Y, Z) of a block that linear interpolation gives a share of a voxel of `brain` (S, S, S)."""
    window = 2 * stride - 1
    seen = F.max_pool3d(torch.from_numpy(brain.astype(np.float32))[None], window, stride, padding=stride - 1)
    return seen[0].numpy() > 0


def in_medians(distances: Tensor, seen: NDArray[np.bool_]) -> Tensor:
    """A block's map (1, X, Y, Z) in units of its own median over the positions that see brain."""
    return distances / distances[:, torch.from_numpy(seen).to(distances.device)].quantile(0.5)


class Pooling:
    """A Gaussian over the positions of a block that see brain.

    Parameters
    ----------
    brain
        The brain mask on the network grid (S, S, S).
    stride
        Network voxels between two positions of the block.
    sigma
        Of the Gaussian, positions.
    """

    def __init__(self, brain: NDArray[np.bool_], stride: int, sigma: float) -> None:
        self.sigma = sigma
        self.seen = seen_positions(brain, stride).astype(np.float32)
        self.weight = np.maximum(ndimage.gaussian_filter(self.seen, sigma, mode="constant"), np.finfo(np.float32).tiny)

    def __call__(self, values: Tensor) -> Tensor:
        """Means of values (1, channels, X, Y, Z) over the neighbours of each position."""
        inside = values.cpu().numpy() * self.seen
        mean = ndimage.gaussian_filter(inside, self.sigma, mode="constant", axes=(2, 3, 4)) / self.weight
        return torch.from_numpy(mean).to(values.device)


def block_poolings(brain_mask: Volume, grid: NetworkGrid, fwhm_mm: float) -> list[Pooling]:
    """The same Gaussian of `fwhm_mm` for every ResNet block."""
    brain = mask_on_network_grid(brain_mask, grid)
    sigma = fwhm_mm / FWHM_PER_SIGMA / float(np.linalg.norm(grid.affine[:3, 0]))
    return [Pooling(brain, stride, sigma / stride) for stride in STRIDES]

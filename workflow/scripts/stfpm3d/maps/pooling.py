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

LACKING = 0.02
"""Share of the brain around a position that, where a scan lacks it, leaves the position the e-th part of its weight."""


def seen_positions(brain: NDArray[np.bool_], stride: int) -> NDArray[np.bool_]:
    """The positions (X, Y, Z) of a block that linear interpolation gives a share of a voxel of `brain` (S, S, S)."""
    window = 2 * stride - 1
    seen = F.max_pool3d(torch.from_numpy(brain.astype(np.float32))[None], window, stride, padding=stride - 1)
    return seen[0].numpy() > 0


def held_share(support: NDArray[np.bool_], brain: NDArray[np.bool_], stride: int) -> NDArray[np.float32]:
    """The share of `brain` in the window around each position (X, Y, Z) of a block that a scan's `support` holds.

    Both masks are (S, S, S), the window that of `seen_positions`; where it sees no brain the share is 1.
    """
    window = 2 * stride - 1
    both = torch.from_numpy(np.stack([brain & support, brain]).astype(np.float32))[None]
    held, whole = F.avg_pool3d(both, window, stride, padding=stride - 1)[0].numpy()
    return np.divide(held, whole, out=np.ones_like(whole), where=whole > 0)


def in_medians(distances: Tensor, seen: NDArray[np.bool_]) -> Tensor:
    """A block's map (1, X, Y, Z) in units of its own median over the positions that see brain."""
    return distances / distances[:, torch.from_numpy(seen).to(distances.device)].quantile(0.5)


class Pooling:
    """A Gaussian over the positions of a block that see brain, and the more the less of it a scan lacks there.

    A brain that its stripping or the field of view has cut looks unlike any healthy one along the cut.

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
        self.brain, self.stride, self.sigma = brain, stride, sigma
        self.seen = seen_positions(brain, stride).astype(np.float32)

    def __call__(self, values: Tensor, support: NDArray[np.bool_]) -> Tensor:
        """Means of values (1, channels, X, Y, Z) over the neighbours of each position.

        `support` (S, S, S) is what the scan holds.
        """
        lacking = 1 - held_share(support, self.brain, self.stride)
        counts = self.seen * np.exp(-lacking / LACKING)
        weight = np.maximum(ndimage.gaussian_filter(counts, self.sigma, mode="constant"), np.finfo(np.float32).tiny)
        sums = ndimage.gaussian_filter(values.cpu().numpy() * counts, self.sigma, mode="constant", axes=(2, 3, 4))
        return torch.from_numpy(sums / weight).to(values.device)


def block_poolings(brain_mask: Volume, grid: NetworkGrid, fwhm_mm: float) -> list[Pooling]:
    """The same Gaussian of `fwhm_mm` for every ResNet block."""
    brain = mask_on_network_grid(brain_mask, grid)
    sigma = fwhm_mm / FWHM_PER_SIGMA / float(np.linalg.norm(grid.affine[:3, 0]))
    return [Pooling(brain, stride, sigma / stride) for stride in STRIDES]

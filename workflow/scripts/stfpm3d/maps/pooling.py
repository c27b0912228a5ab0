"""What a region says as a whole: the features' deviations from healthy scans, averaged over neighbouring positions.

A lesion of centimetres shifts its features in one direction, over many positions; noise and inexact registration shift
them to and fro.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from stfpm3d.imaging.grid import NetworkGrid, mask_on_network_grid
from stfpm3d.imaging.volumes import Volume
from stfpm3d.learning.resnet import STRIDES
from stfpm3d.maps.form import FWHM_PER_SIGMA
from stfpm3d.maps.separable import along_axes, gaussian

LACKING = 0.02
"""Share of the brain around a position that, where a scan lacks it, leaves the position the e-th part of its weight."""


def seen_voxels(mask: NDArray[np.bool_], stride: int) -> NDArray[np.float32]:
    """How many voxels of a mask (X, Y, Z) each position (X', Y', Z') of a block sees.

    Those are the ones to whose value linear interpolation between positions gives it a share: nearer than `stride`
    along each axis.
    """
    places = [np.arange(length) for length in mask.shape]
    near = [abs(voxels[::stride, None] - voxels) < stride for voxels in places]
    return along_axes(mask, [axis.astype(np.float32) for axis in near])


def in_medians(distances: Tensor, seen: NDArray[np.bool_]) -> Tensor:
    """A block's map (1, X', Y', Z') in units of its own median over the positions that see brain."""
    return distances / distances[:, torch.from_numpy(seen).to(distances.device)].quantile(0.5)


class Pooling:
    """A Gaussian over the positions of a block that see brain, and the more the less of it a scan lacks there.

    A brain that its stripping or the field of view has cut looks unlike any healthy one along the cut.

    Parameters
    ----------
    brain
        The brain mask on the network grid (X, Y, Z).
    stride
        Network voxels between two positions of the block.
    sigma
        Of the Gaussian, positions.
    """

    def __init__(self, brain: NDArray[np.bool_], stride: int, sigma: float) -> None:
        self.brain, self.stride, self.sigma = brain, stride, sigma
        self.whole = seen_voxels(brain, stride)

    def __call__(self, values: Tensor, support: NDArray[np.bool_]) -> Tensor:
        """Means of values (1, channels, X', Y', Z') over the neighbours of each position.

        `support` (X, Y, Z) is what the scan holds.
        """
        lacking = 1 - self.held_share(support)
        counts = (self.whole > 0) * np.exp(-lacking / LACKING)
        weight = np.maximum(gaussian(counts, self.sigma, mode="constant"), np.finfo(np.float32).tiny)
        sums = gaussian(values.cpu().numpy() * counts, self.sigma, mode="constant")
        return torch.from_numpy(sums / weight).to(values.device)

    def held_share(self, support: NDArray[np.bool_]) -> NDArray[np.float32]:
        """What `support` (X, Y, Z) holds of the brain that each position (X', Y', Z') sees, as a share; 1 for none."""
        held = seen_voxels(self.brain & support, self.stride)
        return np.divide(held, self.whole, out=np.ones_like(held), where=self.whole > 0)


def block_poolings(brain_mask: Volume, grid: NetworkGrid, fwhm_mm: float, blocks: Sequence[int]) -> list[Pooling]:
    """The same Gaussian of `fwhm_mm` for each of some ResNet blocks."""
    brain = mask_on_network_grid(brain_mask, grid)
    sigma = fwhm_mm / FWHM_PER_SIGMA / float(np.linalg.norm(grid.affine[:3, 0]))
    return [Pooling(brain, STRIDES[block - 1], sigma / STRIDES[block - 1]) for block in blocks]

"""What a teacher makes of a scan, for the eye: each block's summed features, and their main components as colours."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.decomposition import PCA
from torch import Tensor

from stfpm3d.learning.matching import unit_vectors, upsample
from stfpm3d.learning.resnet import STRIDES
from stfpm3d.runtime.errors import InputError


def channel_sums(features: Sequence[Tensor]) -> list[NDArray[np.float32]]:
    """The sum over channels of L2-normalised features (1, channels, X, Y, Z), (X, Y, Z) a block (paper, fig. 2 c-e)."""
    return [unit_vectors(block).sum(dim=1)[0].cpu().numpy() for block in features]


def pseudo_rgb(features: Sequence[Tensor], brain_mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """Colours (X, Y, Z, 3) on the network grid: places that the teacher holds for alike look alike (paper, fig. 2 b).

    Each block's L2-normalised features at brain positions are reduced to three principal components; these, scaled to
    [0, 1] and upsampled, are multiplied over the blocks, and each colour is stretched over the brain. The paper
    multiplies the blocks' embeddings, whose channels differ in number, before the reduction: here the order is turned.

    Raises
    ------
    InputError
        If a block has fewer than three positions in the brain.
    """
    product = torch.ones((3, *brain_mask.shape))
    for block, stride in zip(features, STRIDES, strict=True):
        inside = brain_mask[::stride, ::stride, ::stride][tuple(slice(n) for n in block.shape[2:])]
        if inside.sum() < 3:
            raise InputError(
                f"Pseudo-RGB needs at least 3 brain positions in each block, got {inside.sum()} at stride {stride}:"
                " raise grid.size."
            )
        vectors = unit_vectors(block)[0].permute(1, 2, 3, 0).cpu().numpy()
        reduced = PCA(3, svd_solver="full").fit(vectors[inside]).transform(vectors.reshape(-1, vectors.shape[-1]))
        components = reduced.T.reshape(3, *vectors.shape[:3])
        low, high = np.percentile(components[:, inside], [1, 99], axis=1)
        scaled = np.clip((components - low[:, None, None, None]) / (high - low)[:, None, None, None], 0, 1)
        product *= upsample(torch.from_numpy(scaled.astype(np.float32)), stride, brain_mask.shape)
    colours = product.numpy()
    high = np.percentile(colours[:, brain_mask], 99, axis=1)[:, None, None, None]
    return (255 * np.clip(colours / high, 0, 1) * brain_mask).astype(np.uint8).transpose(1, 2, 3, 0)

"""From features to distances: the normalised features of teacher and student, compared and scaled up."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

import torch.nn.functional as F
from torch import Tensor

from stfpm3d.learning.resnet import STRIDES

Combination = Literal["product", "sum"]


def unit_vectors(features: Tensor) -> Tensor:
    """Features (N, channels, X, Y, Z) as vectors of length 1 at each position, float32 (paper, below eq. 5)."""
    return F.normalize(features.float(), dim=1)


def feature_differences(teacher: Sequence[Tensor], student: Sequence[Tensor]) -> Iterator[Tensor]:
    """Differences of the L2-normalised feature vectors at each position, block by block, (N, channels, X, Y, Z)."""
    for teacher_block, student_block in zip(teacher, student, strict=True):
        yield unit_vectors(teacher_block) - unit_vectors(student_block)


def block_distances(teacher: Sequence[Tensor], student: Sequence[Tensor]) -> list[Tensor]:
    """Half the squared L2 distance of normalised features at each position (paper, eq. 5), (N, X, Y, Z) a block."""
    return [difference.square().sum(dim=1) / 2 for difference in feature_differences(teacher, student)]


def upsample(block: Tensor, stride: int, size: Sequence[int]) -> Tensor:
    """Scale a block's map (N, X, Y, Z) up to `size` trilinearly, position i at voxel `stride` * i.

    That is where the receptive field of position i is centred. Interpolation between the corners of the two boxes,
    `F.interpolate`'s default, would move block 3 by (16 - 1) / 2 voxels against block 1 and the scan.
    """
    padded = F.pad(block[:, None], (0, 1, 0, 1, 0, 1), mode="replicate")
    fine = [stride * length + 1 for length in block.shape[1:]]
    x, y, z = size
    return F.interpolate(padded, fine, mode="trilinear", align_corners=True)[:, 0, :x, :y, :z]


def combine_blocks(
    distances: Sequence[Tensor], size: Sequence[int], combine: Combination, blocks: Sequence[int] = (1, 2, 3)
) -> Tensor:
    """Scale the maps of `blocks` up to `size` and multiply (or add) them: (N, *size), float32."""
    combined, *others = (
        upsample(each, STRIDES[block - 1], size) for block, each in zip(blocks, distances, strict=True)
    )
    join = Tensor.mul_ if combine == "product" else Tensor.add_
    for other in others:
        join(combined, other)
    return combined

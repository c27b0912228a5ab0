"""From feature maps to an anomaly map."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
import torch.nn.functional as F
from lightning.fabric import Fabric
from numpy.typing import NDArray
from torch import Tensor

from stfpm3d.imaging.grid import NetworkGrid
from stfpm3d.imaging.maps import outside_minimum
from stfpm3d.imaging.volumes import Volume, load_mask, resample_like
from stfpm3d.learning.channels import load_atlas, stack_channels
from stfpm3d.learning.resnet import STRIDES, AcsResNet, load_network
from stfpm3d.study.files import replacing

Combination = Literal["product", "sum"]


def feature_differences(teacher: Sequence[Tensor], student: Sequence[Tensor]) -> Iterator[Tensor]:
    """Differences of the L2-normalised feature vectors at each position, block by block, (N, channels, X, Y, Z)."""
    for teacher_block, student_block in zip(teacher, student, strict=True):
        yield F.normalize(teacher_block.float(), dim=1) - F.normalize(student_block.float(), dim=1)


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
    """Scale the maps of the chosen `blocks` up to `size` and multiply (or add) them: (N, *size), float32."""
    maps = torch.stack([upsample(distances[block - 1], STRIDES[block - 1], size) for block in blocks])
    return maps.prod(dim=0) if combine == "product" else maps.sum(dim=0)


@torch.inference_mode()
def anomaly_map(
    teacher: AcsResNet,
    student: AcsResNet,
    scan: NDArray,
    combine: Combination,
    blocks: Sequence[int] = (1, 2, 3),
    atlas: NDArray | None = None,
) -> tuple[NDArray[np.float32], list[NDArray[np.float32]]]:
    """Return the anomaly map of a scan (X, Y, Z) on the network grid, and the three blocks' maps at their own size
    (position i of a block lies at voxel 4 i, 8 i or 16 i, see `upsample`).

    `atlas` (X, Y, Z) is the second channel of networks that have two. All is float32: float16 sets a third of a
    product's voxels to zero. Both networks are in evaluation mode.
    """
    volume = torch.from_numpy(stack_channels(scan, atlas))[None].to(next(student.parameters()).device)
    distances = block_distances(teacher.pyramid(volume), student.pyramid(volume))
    combined = combine_blocks(distances, scan.shape, combine, blocks)
    return combined[0].cpu().numpy(), [block[0].cpu().numpy() for block in distances]


class StudentMaps:
    """The anomaly maps of a teacher and a student; call it with a row of `write_maps`' table.

    Parameters
    ----------
    teacher, student
        Weights that `save_network` wrote.
    grid
        The network's grid in MNI space.
    combine, blocks
        How the maps of which ResNet blocks become one; the paper multiplies those of blocks 1, 2 and 3.
    accelerator, threads
        Lightning's name of where to compute, and the number of CPU threads.
    atlas
        The networks' second input channel on that grid, .npy (X, Y, Z), or None.
    """

    def __init__(
        self,
        teacher: Path,
        student: Path,
        grid: NetworkGrid,
        *,
        combine: Combination,
        blocks: Sequence[int],
        accelerator: str,
        threads: int,
        atlas: Path | None = None,
    ) -> None:
        torch.set_num_threads(threads)
        device = Fabric(accelerator=accelerator, devices=1).device
        self.teacher, self.student = (load_network(path).to(device) for path in (teacher, student))
        self.grid = grid
        self.atlas = load_atlas(atlas)
        self.combine: Combination = combine
        self.blocks = blocks

    def __call__(self, scan: Mapping[Hashable, Any]) -> Volume:
        """The map on the MNI grid; the blocks' maps are written to the row's `blocks` (.npz, network grid).

        The row has `scan_id`, `array` (scan on the network grid, .npy), `support` (mask on the MNI grid) and
        `blocks`. In the .npz position i of block n lies at network voxel `strides[n - 1]` * i.
        """
        array = np.load(scan["array"])
        anomaly, distances = anomaly_map(self.teacher, self.student, array, self.combine, self.blocks, self.atlas)
        with replacing(scan["blocks"]) as temporary:
            block1, block2, block3 = distances
            np.savez_compressed(temporary, block1=block1, block2=block2, block3=block3, strides=STRIDES)
        support = load_mask(scan["support"], scan["scan_id"])
        return map_on_mni(Volume(anomaly, self.grid.affine), support)


def map_on_mni(map_grid: Volume, support_mni: Volume) -> Volume:
    """Bring a map from the network grid to the grid of `support_mni`, linearly.

    Outside the network grid (the crop) and outside the support the map is its minimum: a lesion cut off counts as
    missed.
    """
    resampled = resample_like(map_grid, support_mni, fill=float(map_grid.data.min()))
    return outside_minimum(resampled.data, support_mni)

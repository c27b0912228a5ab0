"""A 3D U-Net that says of each voxel whether it is lesion: the network of a segmenter.

O. Ronneberger et al., U-Net, MICCAI 2015; Ö. Çiçek et al., 3D U-Net, MICCAI 2016. What it is given besides the scan is
what an expert compares with: the other side, and healthy people. Convolutions of all voxels would be most of the time,
so 2 x 2 x 2 voxels enter, and leave, as channels (W. Shi et al., sub-pixel convolution, CVPR 2016).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Literal

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

from stfpm3d.learning.weights import read_form, reading, write_weights
from stfpm3d.runtime.errors import InputError
from stfpm3d.simulation.scan import CLIP_SD, mirrored

Comparison = Literal["mirror", "mean", "deviation"]
COMPARISONS: tuple[Comparison, ...] = ("mirror", "mean", "deviation")
SD_FLOOR = 0.25
"""What is added to the healthy SD of a voxel, SDs of the brain."""
GROUPS = 8


class Block(nn.Module):
    """Two convolutions and a way around them, as in a ResNet."""

    def __init__(self, before: int, after: int, *, normed: bool) -> None:
        super().__init__()
        self.first = nn.Conv3d(before, after, 3, padding=1)
        self.second = nn.Conv3d(after, after, 3, padding=1, bias=False)
        self.norm = nn.GroupNorm(GROUPS, after) if normed else nn.Identity()
        self.around = nn.Conv3d(before, after, 1) if before != after else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        inner = self.second(F.relu(self.first(x), inplace=True))
        return F.relu(self.norm(inner) + self.around(x), inplace=True)


class LesionUNet(nn.Module):
    """Log odds of lesion, of scans that are standardized and centred on the midline (voxel n/2 of n at x = 0).

    Parameters
    ----------
    mean, sd
        Of healthy scans and their mirror images at each voxel, (X, Y, Z), on a `midline_grid`.
    width
        Channels of the first level, a multiple of 16; the others have 1.5, 2 and 2 times as many.
    comparisons
        What the network sees besides the scan: its `mirror` image, the healthy `mean`, and the `deviation` from it in
        healthy SDs.
    turned
        Whether it looks at scans `turned`, as `mean` and `sd` then are: T2w scans, which are T1w's opposite.
    seed
        Of the random weights.
    """

    def __init__(
        self,
        mean: Tensor,
        sd: Tensor,
        *,
        width: int,
        comparisons: Sequence[Comparison] = COMPARISONS,
        turned: bool = False,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.shape = {"width": width, "comparisons": list(comparisons)}
        """What another network must have in common to take its weights."""
        self.form = self.shape | {"turned": turned}
        self.turned, self.comparisons = turned, list(comparisons)
        self.mean: Tensor
        self.sd: Tensor
        self.register_buffer("mean", mean)
        self.register_buffer("sd", sd)
        widths = (width, 3 * width // 2, 2 * width, 2 * width)
        inputs = 8 * (1 + len(self.comparisons))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            # Group norm at the first level would take longer than the convolutions.
            later = (Block(a, b, normed=True) for a, b in pairwise(widths))
            self.encoder = nn.ModuleList([Block(inputs, width, normed=False), *later])
            self.decoder = nn.ModuleList(Block(n, n, normed=level > 0) for level, n in enumerate(widths[:-1]))
            self.up = nn.ModuleList(nn.Conv3d(b, a, 1) for a, b in pairwise(widths))
            self.down = nn.ModuleList(nn.Conv3d(n, n, 2, stride=2) for n in widths[:-1])
            self.head = nn.Conv3d(width, 8, 1)
        assert self.head.bias is not None
        nn.init.constant_(self.head.bias, -3.0)  # most voxels are no lesion

    def forward(self, scans: Tensor) -> Tensor:
        """Log odds (N, X, Y, Z) of scans (N, X, Y, Z) in SDs of their brains."""
        x, kept = joined(self.seen(scans)), []
        for level, block in enumerate(self.encoder):
            x = block(self.down[level - 1](x) if level else x)
            kept.append(x)
        for level in reversed(range(len(self.decoder))):
            x = self.decoder[level](F.interpolate(self.up[level](x), scale_factor=2) + kept[level])
        return parted(self.head(x))[:, 0].float()

    def seen(self, scans: Tensor) -> Tensor:
        """The channels (N, C, X, Y, Z) of scans (N, X, Y, Z)."""
        scans = (turned(scans) if self.turned else scans).clamp(-CLIP_SD, CLIP_SD)
        channels = [scans]
        if "mirror" in self.comparisons:
            channels.append(mirrored(scans))
        if "mean" in self.comparisons:
            channels.append(self.mean.expand_as(scans))
        if "deviation" in self.comparisons:
            channels.append(((scans - self.mean) / (self.sd + SD_FLOOR)).clamp(-CLIP_SD, CLIP_SD) / 2)
        return torch.stack(channels, dim=1)

    def log_odds(self, scan: Tensor) -> Tensor:
        """The mean of a scan's log odds and of those of its mirror image, (X, Y, Z)."""
        straight, reflected = self(torch.stack([scan, mirrored(scan)]))
        return (straight + mirrored(reflected)) / 2


def turned(scans: Tensor) -> Tensor:
    """Scans (..., X, Y, Z) whose bright tissue is dark: what T2w shows bright, fluid and lesions, is dark in T1w.

    What lies outside the brain has the value of the first voxel; it becomes as dark as the darkest tissue.
    """
    outside, opposite = scans == scans[..., :1, :1, :1], -scans
    darkest = opposite.masked_fill(outside, torch.inf).amin(dim=(-3, -2, -1), keepdim=True)
    return torch.where(outside, darkest, opposite)


def joined(volumes: Tensor) -> Tensor:
    """Volumes (N, C, X, Y, Z) with 2 x 2 x 2 voxels as channels: (N, 8 C, X/2, Y/2, Z/2)."""
    n, c, *edges = volumes.shape
    x, y, z = (edge // 2 for edge in edges)
    parts = volumes.view(n, c, x, 2, y, 2, z, 2).permute(0, 2, 4, 6, 1, 3, 5, 7).reshape(n, x, y, z, 8 * c)
    return parts.permute(0, 4, 1, 2, 3)  # channels lie last, as a CPU convolves them fastest


def parted(volumes: Tensor) -> Tensor:
    """The inverse of `joined`: (N, 8 C, X, Y, Z) to (N, C, 2 X, 2 Y, 2 Z)."""
    n, c, x, y, z = volumes.shape
    parts = volumes.reshape(n, c // 8, 2, 2, 2, x, y, z)
    return parts.permute(0, 1, 5, 2, 6, 3, 7, 4).reshape(n, c // 8, 2 * x, 2 * y, 2 * z)


def save_segmenter(path: Path, network: LesionUNet) -> None:
    """Write a network, the healthy mean and SD among its tensors, to a .safetensors file."""
    write_weights(path, network, network.form)


def load_segmenter(path: Path) -> LesionUNet:
    """The network that `save_segmenter` wrote, in evaluation mode.

    Raises
    ------
    InputError
        When the file is damaged, or holds the weights of another network.
    """
    with reading(path):
        form, tensors = read_form(path), load_file(path)
        network = LesionUNet(tensors["mean"].float(), tensors["sd"].float(), **form)  # a bundle's are float16
        network.load_state_dict(tensors)
    return network.eval()


def start_from(network: LesionUNet, path: Path) -> None:
    """Give a network the weights of another one; healthy mean and SD stay its own.

    Raises
    ------
    InputError
        If the other one is of another form, or damaged.
    """
    with reading(path):
        form, tensors = read_form(path), load_file(path)
    shape = {key: form.get(key) for key in network.shape}
    if shape != network.shape:
        raise InputError(
            f"{path}: a segmenter of {shape} cannot start one of {network.shape}; set these keys of its row alike."
        )
    with reading(path):
        network.load_state_dict(tensors | {"mean": network.mean, "sd": network.sd})

"""The networks of f-AnoGAN in 3D: a generator, a critic, and an encoder between scans and latent vectors.

T. Schlegl et al., f-AnoGAN, Medical Image Analysis 54, 2019. Architecture and constants are those of their published
code (github.com/tSchlegl/f-AnoGAN, wgangp_64x64.py and z_encoding_izif.py), which follows the "good" networks of
I. Gulrajani et al., Improved training of Wasserstein GANs, 2017. All kernels are 3D instead of 2D, as in J. Simarro et
al., Unsupervised 3D brain anomaly detection, 2020, whose own constants are not published.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Literal, NamedTuple

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

from stfpm3d.learning.weights import read_form, reading, write_weights

HALVINGS = 4
"""Residual blocks that halve the size on the way to features, or double it on the way to a scan."""
RANGE_SD = 4.0
"""Intensities of -RANGE_SD to RANGE_SD, in SD of the brain, are the generator's range of -1 to 1."""


def to_range(scans: Tensor) -> Tensor:
    """Bring z-normalized scans to the range of the generator's tanh.

    What is brighter than `RANGE_SD` is clipped (the published code has 8-bit images, which end at white as well); the
    background, one constant below the brain, is near or at the lower end.
    """
    return (scans / RANGE_SD).clamp(-1, 1)


class ConvMeanPool(nn.Conv3d):
    """A 3³ convolution and the mean of 2³ neighbours, (N, C, 2X, 2Y, 2Z) to (N, out, X, Y, Z).

    Both are one convolution of stride 2 with the kernel averaged likewise (4³), which takes a third of the work.
    """

    def forward(self, input: Tensor) -> Tensor:
        return F.conv3d(input, _averaged(self.weight), self.bias, stride=2, padding=1)


class UpsampleConv(nn.Conv3d):
    """Nearest-neighbour upsampling by 2 and a 3³ convolution, (N, C, X, Y, Z) to (N, out, 2X, 2Y, 2Z).

    Both are one transposed convolution, as in `ConvMeanPool`.
    """

    def forward(self, input: Tensor) -> Tensor:
        kernel = 8 * _averaged(self.weight).flip(2, 3, 4).transpose(0, 1)
        return F.conv_transpose3d(input, kernel, self.bias, stride=2, padding=1)


def _averaged(kernel: Tensor) -> Tensor:
    """A kernel (out, in, 3, 3, 3) averaged over its eight shifts by 0 or 1 along each axis: (out, in, 4, 4, 4)."""
    return F.avg_pool3d(F.pad(kernel, (1,) * 6), 2, stride=1)


def _convolution(
    in_channels: int, out_channels: int, size: int = 3, *, kind: type[nn.Conv3d] = nn.Conv3d, he: bool = True
) -> nn.Conv3d:
    """A convolution with the published code's uniform initial weights: Glorot's, times sqrt(2) in `he`'s."""
    layer = kind(in_channels, out_channels, size, padding=size // 2)
    nn.init.xavier_uniform_(layer.weight, gain=2**0.5 if he else 1)
    assert layer.bias is not None
    nn.init.zeros_(layer.bias)
    return layer


def _linear(in_features: int, out_features: int) -> nn.Linear:
    """A linear layer with Glorot's uniform initial weights."""
    layer = nn.Linear(in_features, out_features)
    nn.init.xavier_uniform_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


def _batch_norm(channels: int) -> nn.Module:
    """A batch norm with TensorFlow's default eps, as in the published code.

    The running averages follow in tens of steps, not hundreds (its momentum is 0.01), since a small cohort has few.
    """
    return nn.BatchNorm3d(channels, eps=1e-3)


def _layer_norm(channels: int) -> nn.Module:
    """Normalize each scan over all channels and positions; gain and offset are a channel's."""
    return nn.GroupNorm(1, channels)


class ResidualBlock(nn.Module):
    """Norm, ReLU and convolution, twice, beside a shortcut; it halves or doubles the size of (N, channels, X, Y, Z)."""

    def __init__(
        self, in_channels: int, out_channels: int, resample: Literal["down", "up"], norm: Callable[[int], nn.Module]
    ) -> None:
        super().__init__()
        linear = _convolution(in_channels, out_channels, 1, he=False)
        if resample == "down":
            self.shortcut = nn.Sequential(nn.AvgPool3d(2), linear)
            first = _convolution(in_channels, in_channels)
            second = _convolution(in_channels, out_channels, kind=ConvMeanPool)
        else:
            self.shortcut = nn.Sequential(linear, nn.Upsample(scale_factor=2))
            first = _convolution(in_channels, out_channels, kind=UpsampleConv)
            second = _convolution(out_channels, out_channels)
        first.register_parameter("bias", None)  # the norm behind it takes away any constant
        self.residual = nn.Sequential(norm(in_channels), nn.ReLU(), first, norm(first.out_channels), nn.ReLU(), second)

    def forward(self, volumes: Tensor) -> Tensor:
        return self.shortcut(volumes) + self.residual(volumes)


class Generator(nn.Module):
    """Latent vectors (N, latent_dim) to scans (N, 1, size, size, size) of values from -1 to 1; with batch norm."""

    def __init__(self, size: int, width: int, latent_dim: int) -> None:
        super().__init__()
        self.start = (8 * width, *(size // 2**HALVINGS,) * 3)
        self.input = _linear(latent_dim, torch.Size(self.start).numel())
        widths = (8 * width, 8 * width, 4 * width, 2 * width, width)
        self.blocks = nn.Sequential(*(ResidualBlock(*channels, "up", _batch_norm) for channels in pairwise(widths)))
        self.output = nn.Sequential(_batch_norm(width), nn.ReLU(), _convolution(width, 1), nn.Tanh())

    def forward(self, latents: Tensor) -> Tensor:
        return self.output(self.blocks(self.input(latents).unflatten(1, self.start)))


class Descent(nn.Module):
    """Scans (N, 1, size, size, size) to vectors (N, outputs); `features` are those before the last, linear layer."""

    def __init__(self, size: int, width: int, outputs: int, norm: Callable[[int], nn.Module]) -> None:
        super().__init__()
        widths = (width, 2 * width, 4 * width, 8 * width, 8 * width)
        self.features = nn.Sequential(
            _convolution(1, width, he=False),
            *(ResidualBlock(*channels, "down", norm) for channels in pairwise(widths)),
            nn.Flatten(),
        )
        self.output = _linear(8 * width * (size // 2**HALVINGS) ** 3, outputs)

    def forward(self, scans: Tensor) -> Tensor:
        return self.output(self.features(scans))


class Reconstruction(NamedTuple):
    """Scans from their latent vectors (N, 1, size, size, size), and how far they are from the scans given.

    Each scan's mean squared difference (N,) of voxels, and of the critic's last features.
    """

    scans: Tensor
    image_distance: Tensor
    feature_distance: Tensor

    def distance(self, kappa: float) -> Tensor:
        """The anomaly score, and the loss of the encoder (izi_f): distance of images and κ times that of features."""
        return self.image_distance + kappa * self.feature_distance


class FAnoGan(nn.Module):
    """The three networks; their random weights are a function of `seed` alone and leave the global random state as is.

    With the published width of 64, 128 latent dimensions and 64³ voxels they have 73,151,426 parameters; the networks
    that the paper compares with (Simarro et al.) have 55,029,542.

    Parameters
    ----------
    size: edge of a scan in voxels, a multiple of 16.
    width: channels of the layers next to the scan; the deepest have eight times as many.
    latent_dim: length of a latent vector.
    """

    def __init__(self, size: int, width: int, latent_dim: int, *, seed: int) -> None:
        super().__init__()
        self.size, self.width, self.latent_dim = size, width, latent_dim
        with torch.random.fork_rng(devices=[]):
            torch.default_generator.manual_seed(seed)
            self.generator = Generator(size, width, latent_dim)
            self.critic = Descent(size, width, 1, _layer_norm)
            self.encoder = Descent(size, width, latent_dim, _batch_norm)

    def forward(self, scans: Tensor) -> Reconstruction:
        """Encode and generate scans (N, 1, size, size, size) that `to_range` made."""
        reconstructed = self.generator(self.encoder(scans)).float()
        image = (scans - reconstructed).square().flatten(1).mean(dim=1)
        given, found = (self.critic.features(volumes).float() for volumes in (scans, reconstructed))
        feature = (given - found).square().mean(dim=1)
        return Reconstruction(reconstructed, image, feature)


def save_fanogan(path: Path, network: FAnoGan) -> None:
    """Write the three networks to one .safetensors file."""
    write_weights(path, network, {name: getattr(network, name) for name in ("size", "width", "latent_dim")})


def load_fanogan(path: Path) -> FAnoGan:
    """Return the networks that `save_fanogan` wrote, in evaluation mode.

    Raises
    ------
    InputError
        When the file is damaged, or holds the weights of another network.
    """
    with reading(path):
        network = FAnoGan(**read_form(path), seed=0)
        network.load_state_dict(load_file(path))
    return network.eval()

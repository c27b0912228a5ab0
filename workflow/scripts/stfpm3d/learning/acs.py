"""Axial-coronal-sagittal (ACS) convolutions (Yang et al., 2021): 2D networks, and their weights, on volumes."""

from __future__ import annotations

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from acsconv.operators import ACSConv
from torch import Tensor, nn


class AcsConv3d(ACSConv):
    """acsconv's convolution of (N, C, X, Y, Z) with a 2D kernel (out, in, k, k), k odd and padded by k // 2.

    A third of the output channels convolves in each plane (paper, equation 1). A 1x1 kernel has no plane: the three
    convolutions that acsconv runs and concatenates are one, with the same result, faster.
    """

    def forward(self, x: Tensor) -> Tensor:
        parts = list(self.parts(x))
        return torch.cat(parts, dim=1) if len(parts) > 1 else parts[0]

    def parts(self, x: Tensor) -> Iterator[Tensor]:
        """The output channels plane by plane, all with one kernel of 1x1."""
        stride: list[int] = list(self.stride)  # pyright: ignore[reportArgumentType]
        padding = self.weight.shape[-1] // 2
        if padding == 0:
            yield _convolve(x, self.weight.unsqueeze(-1), self.bias, stride, [0] * 3)
            return
        weights = self.weight.split(self.acs_kernel_split)
        biases = [None] * 3 if self.bias is None else self.bias.split(self.acs_kernel_split)
        for flat, (weight, bias) in enumerate(zip(weights, biases, strict=True)):
            yield _convolve(
                x, weight.unsqueeze(2 + flat), bias, stride, [padding * (axis != flat) for axis in range(3)]
            )


def channels_last(volumes: Tensor) -> Tensor:
    """Volumes (N, C, X, Y, Z) as a CPU convolves them fastest: what follows keeps the order, and oneDNN copies less.

    `contiguous` would leave the strides of a single channel as they are.
    """
    if volumes.device.type != "cpu":
        return volumes
    return torch.empty_like(volumes, memory_format=torch.channels_last_3d).copy_(volumes)


def _convolve(x: Tensor, weight: Tensor, bias: Tensor | None, stride: list[int], padding: list[int]) -> Tensor:
    """`F.conv3d`, on a CPU by oneDNN: torch itself leaves one small volume to its `slow_conv3d`, at half the speed."""
    on_cpu = x.device.type == "cpu" and x.dtype == torch.float32 and not torch.is_autocast_enabled("cpu")
    if on_cpu and torch.backends.mkldnn.is_available():
        return torch.mkldnn_convolution(x, weight, bias, padding, stride, [1, 1, 1], 1)
    return F.conv3d(x, weight, bias, stride=stride, padding=padding)


class MaxPool3d(nn.Module):
    """The maximum over 3x3x3 voxels at every second one of (N, C, X, Y, Z), as torchvision's stem pools.

    With gradients, and on a GPU, within planes and then across them: torch's own pooling in 3D sums its gradient on a
    GPU in an order that differs from run to run; in 2D it does not. Without, on a CPU, axis by axis: to the bit the
    same, in a sixth of the time. Channels that lie last stay there.
    """

    def forward(self, volumes: Tensor) -> Tensor:
        if volumes.device.type == "cpu" and not torch.is_grad_enabled():
            for axis in (2, 3, 4):
                volumes = _pooled(volumes, axis)
            return volumes
        last = volumes.is_contiguous(memory_format=torch.channels_last_3d)
        planes = volumes.transpose(1, 2) if last else volumes
        in_planes = F.max_pool2d(planes.flatten(0, 1), 3, 2, 1).unflatten(0, planes.shape[:2])
        columns = (in_planes.transpose(1, 2) if last else in_planes).flatten(3)
        return F.max_pool2d(columns, (3, 1), (2, 1), (1, 0)).unflatten(3, in_planes.shape[3:])


def _pooled(volumes: Tensor, axis: int) -> Tensor:
    """The maximum of every second position along an axis and of its two neighbours."""
    before = (slice(None),) * axis
    odd = volumes[(*before, slice(1, None, 2))]
    last = volumes.is_contiguous(memory_format=torch.channels_last_3d)
    order = torch.channels_last_3d if last else torch.contiguous_format
    pooled = volumes[(*before, slice(0, None, 2))].clone(memory_format=order)
    for start in (0, 1):  # the neighbour after, the neighbour before
        length = min(odd.shape[axis], pooled.shape[axis] - start)
        here = pooled.narrow(axis, start, length)
        torch.maximum(here, odd.narrow(axis, 0, length), out=here)
    return pooled


def to_acs(module: nn.Module) -> nn.Module:
    """Return the 3D form of a 2D network: its layers replaced in place, its parameters' names and shapes unchanged.

    The layers of torchvision's ResNets are known: Conv2d, BatchNorm2d, MaxPool2d and AdaptiveAvgPool2d. acsconv's own
    converter fails with torch >= 2.12 on any network with batch norm.
    """
    if isinstance(module, nn.Conv2d):
        return _acs_convolution(module)
    if isinstance(module, nn.BatchNorm2d):
        norm = nn.BatchNorm3d(module.num_features, module.eps, module.momentum)
        norm.load_state_dict(module.state_dict())
        return norm
    if isinstance(module, nn.MaxPool2d):
        return MaxPool3d()
    if isinstance(module, nn.AdaptiveAvgPool2d):
        return nn.AdaptiveAvgPool3d(1)
    for name, child in module.named_children():
        setattr(module, name, to_acs(child))
    return module


def _acs_convolution(conv: nn.Conv2d) -> AcsConv3d:
    acs = AcsConv3d(
        conv.in_channels,
        conv.out_channels,
        conv.kernel_size[0],
        stride=conv.stride[0],
        padding=int(conv.padding[0]),
        bias=conv.bias is not None,
    )
    acs.load_state_dict(conv.state_dict())
    return acs

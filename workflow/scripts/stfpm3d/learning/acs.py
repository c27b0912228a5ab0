"""Axial-coronal-sagittal (ACS) convolutions (Yang et al., 2021): 2D networks, and their weights, on volumes."""

from __future__ import annotations

import torch.nn.functional as F
from acsconv.operators import ACSConv
from torch import Tensor, nn


class AcsConv3d(ACSConv):
    """acsconv's convolution of (N, C, X, Y, Z) with a 2D kernel (out, in, k, k), its 1x1 kernels run as one.

    A third of the output channels convolves in each plane (paper, equation 1). A 1x1 kernel has no plane: the three
    convolutions that acsconv runs and concatenates are one `conv3d`, with the same result, faster.
    """

    def forward(self, x: Tensor) -> Tensor:
        if self.kernel_size != (1, 1, 1) or self.padding != (0, 0, 0) or self.groups != 1:
            return super().forward(x)
        return F.conv3d(x, self.weight.unsqueeze(-1), self.bias, stride=self.stride)  # pyright: ignore[reportCallIssue, reportArgumentType]


class MaxPool3d(nn.Module):
    """The maximum over cubes of (N, C, X, Y, Z), within planes and then across them.

    torch's own pooling in 3D sums its gradient on a GPU in an order that differs from run to run; in 2D it does not.
    """

    def __init__(self, kernel_size: int, stride: int, padding: int) -> None:
        super().__init__()
        self.window = (kernel_size, stride, padding)

    def forward(self, volumes: Tensor) -> Tensor:
        in_planes = F.max_pool2d(volumes.flatten(1, 2), *self.window)
        columns = in_planes.unflatten(1, volumes.shape[1:3]).flatten(3)
        size, stride, padding = self.window
        across = F.max_pool2d(columns, (size, 1), (stride, 1), (padding, 0))
        return across.unflatten(3, in_planes.shape[2:])


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
        return MaxPool3d(module.kernel_size, module.stride, module.padding)  # pyright: ignore[reportArgumentType]
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

"""The networks as acsconv has them, to compare with."""

from __future__ import annotations

from acsconv.operators import ACSConv
from torch import nn


def with_acsconv(flat: nn.Module) -> nn.Module:
    """A 2D network on volumes by acsconv's own operators, as its converter would make it."""
    for name, layer in flat.named_children():
        volumetric = with_acsconv(layer)
        if isinstance(layer, nn.Conv2d):
            volumetric = ACSConv(
                layer.in_channels,
                layer.out_channels,
                layer.kernel_size[0],
                stride=layer.stride[0],
                padding=int(layer.padding[0]),
                bias=False,
            )
        elif isinstance(layer, nn.BatchNorm2d):
            volumetric = nn.BatchNorm3d(layer.num_features)
        elif isinstance(layer, nn.MaxPool2d):
            volumetric = nn.MaxPool3d(3, stride=2, padding=1)
        elif isinstance(layer, nn.AdaptiveAvgPool2d):
            volumetric = nn.AdaptiveAvgPool3d(1)
        setattr(flat, name, volumetric)
    return flat

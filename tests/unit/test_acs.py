from __future__ import annotations

import pytest
import torch
from acsconv.operators import ACSConv
from torch import nn
from torchvision.models import resnet18

from stfpm3d.learning.acs import AcsConv3d, MaxPool3d, to_acs

# The ResNets' kernels: stem, block, downsampling block, shortcut.
KERNELS = [(7, 2, 3), (3, 1, 1), (3, 2, 1), (1, 2, 0), (1, 1, 0)]


@pytest.mark.parametrize(("kernel_size", "stride", "padding"), KERNELS)
@pytest.mark.parametrize("shape", [(12, 12, 12), (9, 11, 13)])
def test_numbers_are_acsconvs(kernel_size: int, stride: int, padding: int, shape: tuple[int, int, int]) -> None:
    ours = AcsConv3d(5, 64, kernel_size, stride=stride, padding=padding)
    reference = ACSConv(5, 64, kernel_size, stride=stride, padding=padding)
    reference.load_state_dict(ours.state_dict())
    x = torch.randn(2, 5, *shape)
    torch.testing.assert_close(ours(x), reference(x))


def test_a_third_of_the_channels_looks_along_each_axis() -> None:
    convolution = AcsConv3d(1, 64, 3, padding=1, bias=False)
    impulse = torch.zeros(1, 1, 5, 5, 5)
    impulse[0, 0, 2, 2, 2] = 1
    response = convolution(impulse)[0] != 0
    # Extent of the response (x, y, z) per channel: kernels (1, k, k), (k, 1, k), (k, k, 1), the remainder first.
    extents = [response.any(dim=first).any(dim=second).sum(dim=1) for first, second in ((3, 2), (3, 1), (2, 1))]
    assert torch.stack(extents, dim=1).tolist() == [[1, 3, 3]] * 22 + [[3, 1, 3]] * 21 + [[3, 3, 1]] * 21


@pytest.mark.parametrize("order", [torch.contiguous_format, torch.channels_last_3d])
@pytest.mark.parametrize("shape", [(12, 12, 12), (9, 11, 13), (1, 2, 3)])
def test_pooling_and_its_gradient_are_torchs(shape: tuple[int, int, int], order: torch.memory_format) -> None:
    x = torch.randn(2, 5, *shape).contiguous(memory_format=order).requires_grad_()
    ours, reference = MaxPool3d()(x), nn.MaxPool3d(3, 2, 1)(x)
    assert torch.equal(ours, reference)
    with torch.no_grad():
        assert torch.equal(MaxPool3d()(x), reference)
    weights = torch.randn_like(ours)
    gradients = [torch.autograd.grad((pooled * weights).sum(), x)[0] for pooled in (ours, reference)]
    torch.testing.assert_close(*gradients)


def test_a_converted_network_keeps_names_shapes_and_values() -> None:
    flat = resnet18()
    expected = {name: tensor.clone() for name, tensor in flat.state_dict().items()}
    converted = to_acs(flat)
    assert not any(isinstance(m, nn.Conv2d | nn.BatchNorm2d | nn.MaxPool2d) for m in converted.modules())
    assert converted.state_dict().keys() == expected.keys()
    for name, tensor in converted.state_dict().items():
        assert torch.equal(tensor, expected[name])
    with torch.no_grad():
        assert converted.eval()(torch.randn(1, 3, 32, 32, 32)).shape == (1, 1000)

"""Files of third parties, in the form in which they are published."""

from __future__ import annotations

import torch
from torch import Tensor
from torchvision.models import get_model


def published_weights(architecture: str = "resnet18") -> dict[str, Tensor]:
    """Random weights in the form of torchvision's published checkpoints: plain tensors by name, 102 of a ResNet-18.

    They are older than the batch norms' `num_batches_tracked`, which `state_dict()` of a network of today holds, and
    than its versions of layers (pytorch/vision issue 1728).
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        weights = get_model(architecture).state_dict()
    return {name: tensor for name, tensor in weights.items() if not name.endswith("num_batches_tracked")}

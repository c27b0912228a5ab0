"""A network's weights as a file: .safetensors, with what is needed to build the network again as metadata."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from stfpm3d.runtime.errors import InputError
from stfpm3d.runtime.files import replacing

MALFORMED = (SafetensorError, OSError, ValueError, KeyError, TypeError, AttributeError, RuntimeError, MemoryError)
"""What is raised where a file of weights is damaged, or of another network."""


def write_weights(path: Path, network: nn.Module, form: Mapping[str, Any]) -> None:
    """Write a network's weights, and its `form` (plain values) as metadata."""
    write_tensors(path, network.state_dict(), form)


def write_tensors(path: Path, tensors: Mapping[str, Tensor], form: Mapping[str, Any]) -> None:
    """Write named tensors, and the `form` of their network as metadata."""
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with replacing(path) as temporary:
        # One entry, since safetensors writes several in random order: equal networks would be unequal files.
        temporary.write_bytes(save(plain, {"network": json.dumps(dict(form))}))


def halved(tensors: Mapping[str, Tensor], most_lost: float = 1e-3) -> dict[str, Tensor]:
    """Named tensors with kernels and volumes in float16, for a file of half the size.

    What has one dimension, such as a batch norm's variances, stays, and so does what would lose more than `most_lost`
    of its largest value, as numbers beyond float16's range.
    """
    return {name: _halved(tensor, most_lost) if tensor.ndim > 1 else tensor for name, tensor in tensors.items()}


def _halved(tensor: Tensor, most_lost: float) -> Tensor:
    half = tensor.half()
    lost = (half.float() - tensor).abs().max()
    return half if lost <= most_lost * tensor.abs().max() else tensor


def read_form(path: Path) -> dict[str, Any]:
    """The form that `write_weights` wrote beside the weights."""
    with safe_open(path, framework="pt") as file:
        return json.loads(file.metadata()["network"])


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Raise `InputError` where the weights that are read from a file are damaged, or of another network."""
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except MALFORMED as error:
        reason = textwrap.shorten(str(error) or type(error).__name__, 200, placeholder=" …")
        raise InputError(
            f"{path} does not hold the weights that it should ({reason}); remove it and run again, or, in a bundle,"
            " copy the whole bundle again from its source."
        ) from error

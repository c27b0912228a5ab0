"""A network's weights as a file: .safetensors, with what is needed to build the network again as metadata."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor, nn

from stfpm3d.runtime.files import replacing


def write_weights(path: Path, network: nn.Module, form: Mapping[str, Any]) -> None:
    """Write a network's weights, and its `form` (plain values) as metadata."""
    write_tensors(path, network.state_dict(), form)


def write_tensors(path: Path, tensors: Mapping[str, Tensor], form: Mapping[str, Any]) -> None:
    """Write named tensors, and the `form` of their network as metadata."""
    plain = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with replacing(path) as temporary:
        # One entry, since safetensors writes several in random order: equal networks would be unequal files.
        temporary.write_bytes(save(plain, {"network": json.dumps(dict(form))}))


def read_form(path: Path) -> dict[str, Any]:
    """The form that `write_weights` wrote beside the weights."""
    with safe_open(path, framework="pt") as file:
        return json.loads(file.metadata()["network"])

"""What a network's file tells without torch: its form and its number of parameters."""

from __future__ import annotations

import json
import math
import struct
from pathlib import Path
from typing import NamedTuple

BUFFERS = ("running_mean", "running_var", "num_batches_tracked")


class Network(NamedTuple):
    """A teacher's ResNet without its embedding `fc`, which only its own training uses, or the networks of an f-AnoGAN.

    `with_student` are the parameters of a teacher and its student together; an f-AnoGAN has none.
    """

    architecture: str
    in_channels: int
    parameters: int
    with_student: int | None


def read_network(path: Path | str) -> Network:
    """Read the header of a .safetensors file that `save_network` or `save_fanogan` wrote.

    The file begins with the length of a JSON header (8 bytes, little-endian), which gives every tensor's shape. The
    statistics of batch norm are no parameters.
    """
    with Path(path).open("rb") as file:
        (length,) = struct.unpack("<Q", file.read(8))
        header = json.loads(file.read(length))
    form = json.loads(header.pop("__metadata__")["network"])
    parameters = sum(
        math.prod(tensor["shape"])
        for name, tensor in header.items()
        if not name.startswith("fc.") and name.rpartition(".")[2] not in BUFFERS
    )
    if "architecture" not in form:
        return Network("f-AnoGAN", 1, parameters, None)
    return Network(form["architecture"], form["in_channels"], parameters, 2 * parameters)

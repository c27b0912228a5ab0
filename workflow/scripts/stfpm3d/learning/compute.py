"""Where networks are trained and make maps: the config's section `compute` as Lightning takes it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal, NamedTuple

import torch
from lightning.fabric import Fabric
from lightning.fabric.utilities.exceptions import MisconfigurationException

from stfpm3d.runtime.errors import InputError

Precision = Literal["32-true", "16-mixed", "bf16-mixed"]


class Compute(NamedTuple):
    """Lightning's `accelerator`, number of `devices` and `precision`, and the CPU threads of each of them."""

    accelerator: str
    devices: int
    precision: Precision
    threads: int


def one_device(accelerator: str, threads: int, precision: Precision) -> Fabric:
    """The one device of Lightning's `accelerator`, with its `autocast`; on a CPU it has `threads`.

    Raises
    ------
    InputError
        If this machine has no such device.
    """
    torch.set_num_threads(threads)
    with devices_found(accelerator, 1):
        return Fabric(accelerator=accelerator, devices=1, precision=precision)


@contextmanager
def devices_found(accelerator: str, devices: int) -> Iterator[None]:
    """Let Lightning choose devices within; raise `InputError` where this machine has not as many."""
    try:
        yield
    except (MisconfigurationException, RuntimeError) as error:  # Trainer's and Fabric's
        raise InputError(
            f"compute.accelerator is {accelerator} and compute.devices {devices}, which this machine does not have"
            f" ({str(error).strip()}): run where it has, or change the two keys."
        ) from error

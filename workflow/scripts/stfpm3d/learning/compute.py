"""Where networks are computed: the config's section `compute`. Without Lightning, whose import trainings alone need."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Literal, NamedTuple

import torch

from stfpm3d.runtime.errors import InputError

Precision = Literal["32-true", "16-mixed", "bf16-mixed"]


class Compute(NamedTuple):
    """Lightning's `accelerator`, number of `devices` and `precision`, and the CPU threads of each of them."""

    accelerator: str
    devices: int
    precision: Precision
    threads: int


class Place(NamedTuple):
    """One device, and the context of its precision."""

    device: torch.device
    autocast: Callable[[], AbstractContextManager]


def one_device(accelerator: str, threads: int, precision: Precision) -> Place:
    """The device on which Lightning's Trainer would train by these settings; on a CPU it has `threads`.

    On a CPU "16-mixed" is "bf16-mixed", as there.

    Raises
    ------
    InputError
        If this machine has no such device.
    """
    torch.set_num_threads(threads)
    found = None if accelerator == "cpu" else torch.accelerator.current_accelerator(check_available=True)
    if accelerator == "gpu" and found is None:
        raise missing_devices(accelerator, 1, "torch finds no GPU")
    device = found or torch.device("cpu")
    if precision == "32-true":
        return Place(device, nullcontext)
    half = torch.float16 if precision == "16-mixed" and found else torch.bfloat16
    return Place(device, partial(torch.autocast, device.type, half))


def missing_devices(accelerator: str, devices: int, why: str) -> InputError:
    """What to raise where a machine has no such devices."""
    return InputError(
        f"accelerator {accelerator} and {devices} device{'s' * (devices != 1)} are asked for, which this machine does"
        f" not have ({why}): run where it has, or say accelerator auto or cpu (in a study's config: compute.accelerator"
        " and compute.devices)."
    )

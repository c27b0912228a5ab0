"""Whether this machine has a GPU, told without torch: what the driver asks for, and what it refuses before any job."""

from __future__ import annotations

import sys
from pathlib import Path

from stfpm3d.runtime.errors import InputError
from stfpm3d.study.sections import Compute

SIGNS = ("dev/nvidia[0-9]*", "proc/driver/nvidia/gpus/*", "dev/dxg", "dev/kfd")
"""Files that the drivers of NVIDIA make, on Linux and in Windows' subsystem for Linux, and of AMD."""


def has_gpu(root: Path = Path("/")) -> bool:
    """Whether a GPU's driver has left its files below `root`; Apple's computers have one."""
    return sys.platform == "darwin" or any(any(root.glob(sign)) for sign in SIGNS)


def requested_gpus(compute: Compute, here: bool) -> int:
    """How many GPUs a training asks Snakemake for, and thus a cluster; `here` tells whether this machine has one."""
    wanted = compute.accelerator == "gpu" or (compute.accelerator == "auto" and here)
    return compute.devices if wanted else 0


def check_gpu(compute: Compute, here: bool) -> None:
    """Raise `InputError` where a GPU is wanted and this machine, on which the jobs run, has none."""
    if compute.accelerator == "gpu" and not here:
        raise InputError(
            "config: compute.accelerator is gpu, but this machine has none that its system shows (no /dev/nvidia0):"
            " set it to `auto` or `cpu`, or run where there is a GPU."
        )

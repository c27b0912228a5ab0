"""The environment variables that a Snakemake sets for the processes of its jobs."""

from __future__ import annotations

import os

from stfpm3d.runtime.lifeline import DRIVER_VARIABLE

DEFAULTS = {
    # Threads that wait for others sleep: spinning, they slow a training down several times where anything else runs.
    "OMP_WAIT_POLICY": "PASSIVE",
    # What is freed stays with the process (glibc): to return the pages of each volume and to get them anew takes an
    # eighth of a training.
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": str(2**40),
}
"""Values hold where the user has set none."""


def set_for_jobs() -> None:
    """Set them in this process, from which its jobs inherit; scripts end when this process is gone."""
    os.environ[DRIVER_VARIABLE] = str(os.getpid())
    for name, value in DEFAULTS.items():
        os.environ.setdefault(name, value)

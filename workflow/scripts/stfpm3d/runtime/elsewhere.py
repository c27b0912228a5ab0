"""What stages took on another machine, for a folder in which none of them has run: a first guess at a run's length.

The figures are CPU seconds of studies of up to 166 T1w scans, 100 of them to train on, at 2 mm with the networks' box
of 128 voxels, on one core of a machine without a GPU. Stages that are not here took a fifth of the whole there.
"""

from __future__ import annotations

import time
from typing import NamedTuple

import numpy as np

CALIBRATION_S = 0.05
"""CPU seconds of `calibrate` on that machine."""


class Cost(NamedTuple):
    """CPU seconds of a job, and of each of its input files besides."""

    job_s: float
    input_s: float = 0.0
    by_epoch: bool = False
    """Whether each epoch takes so long."""


COSTS = {
    "register": Cost(3.3),
    "teacher": Cost(7.3),
    "student": Cost(0, 0.6, by_epoch=True),
    "feature_gaussian": Cost(2.0, 0.35),
    "maps_imaging": Cost(1.5, 0.01),
    "maps_learning": Cost(3.0, 0.4),
    "copies_imaging": Cost(1.5, 0.015),
    "copies_learning": Cost(3.0, 0.22),
}


def calibrate() -> float:
    """How many times as long a core of this machine takes as one of that machine; a fifth of a second's work."""
    data = np.random.default_rng(0).random((96, 96, 96), dtype=np.float32)
    taken = []
    for _ in range(3):
        start = time.process_time()
        np.fft.fftn(data)
        taken.append(time.process_time() - start)
    return min(taken) / CALIBRATION_S


def estimate(stage: str, jobs: int, inputs: int, epochs: int | None) -> float | None:
    """CPU seconds of a stage on that machine; None where nothing is known.

    Parameters
    ----------
    stage
        The rule's name.
    jobs, inputs
        Its jobs, and the input files of all of them.
    epochs
        The most epochs of a training; None where nobody says.
    """
    cost = COSTS.get(stage)
    if cost is None or (cost.by_epoch and epochs is None):
        return None
    return (jobs * cost.job_s + inputs * cost.input_s) * (epochs or 1 if cost.by_epoch else 1)

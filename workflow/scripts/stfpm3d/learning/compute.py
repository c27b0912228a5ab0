"""Where networks are trained: the config's section `compute` as the trainers take it."""

from __future__ import annotations

from typing import Literal, NamedTuple

Precision = Literal["32-true", "16-mixed", "bf16-mixed"]


class Compute(NamedTuple):
    """Lightning's `accelerator`, number of `devices` and `precision`, and the CPU threads of each of them."""

    accelerator: str
    devices: int
    precision: Precision
    threads: int

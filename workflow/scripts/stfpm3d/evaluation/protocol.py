"""What a protocol of evaluation is: it sees each scan's voxels once, then gives its rows of the metrics table."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import pandas as pd

from stfpm3d.evaluation.maps import ScanVoxels
from stfpm3d.evaluation.voxelwise import Curve

SPLITS = ("val", "test")


class Row(NamedTuple):
    """One number, and how many scans of each group stand behind it; NaN where the scans do not allow it."""

    split: str
    metric: str
    value: float
    n_healthy: int
    n_patient: int


class EvaluationProtocol(Protocol):
    """Gathers an experiment's voxels scan by scan, in memory that is flat in their number."""

    def add(self, scan: ScanVoxels) -> None:
        """Add the voxels of one scan."""

    def rows(self, scans: pd.DataFrame) -> list[Row]:
        """All numbers of both splits; `scans` has `group`, `split` and `score`, one row a scan."""
        ...

    def curves(self, scans: pd.DataFrame) -> dict[tuple[str, str], Curve]:
        """Curves for drawing, by split and name."""
        ...

"""What a protocol of evaluation is: it sees each scan's voxels once, then gives its rows of the metrics table."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import pandas as pd

from stfpm3d.evaluation.intervals import Estimate
from stfpm3d.evaluation.voxels import ScanVoxels
from stfpm3d.evaluation.voxelwise import Curve

SPLITS = ("val", "test")
METRIC_COLUMNS = ["experiment", "protocol", "split", "metric", "value", "ci_low", "ci_high", "n_healthy", "n_patient"]


class Row(NamedTuple):
    """One number with its interval, and how many scans of each group stand behind it; NaN where the scans do not allow
    it.
    """

    split: str
    metric: str
    estimate: Estimate
    n_healthy: int
    n_patient: int


class EvaluationProtocol(Protocol):
    """Gathers an experiment's voxels scan by scan; what it keeps of a scan is small."""

    def add(self, scan: ScanVoxels) -> None:
        """Add one scan: healthy validation scans come first, then validation patients, then test scans."""

    def rows(self, scans: pd.DataFrame) -> list[Row]:
        """All numbers of both splits; `scans` has `participant_id`, `group`, `split` and `score`, one row a scan."""
        ...

    def curves(self, scans: pd.DataFrame) -> dict[tuple[str, str], Curve]:
        """Curves for drawing, by split and name."""
        ...

    def patient_table(self) -> pd.DataFrame:
        """Each measured test patient's own values; empty where the protocol has none to show."""
        ...

    def lesion_table(self) -> pd.DataFrame:
        """Each lesion of the test patients; empty where the protocol does not look at lesions."""
        ...

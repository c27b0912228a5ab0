"""What a protocol of evaluation is: it sees each scan's voxels once, then gives its part of the tables of results."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, Protocol

import pandas as pd

from stfpm3d.evaluation.intervals import Estimate
from stfpm3d.evaluation.voxels import ScanVoxels
from stfpm3d.evaluation.voxelwise import Curve

SPLITS = ("val", "test")
METRIC_COLUMNS = ["experiment", "protocol", "split", "metric", "value", "ci_low", "ci_high", "n_healthy", "n_patient"]


class Row(NamedTuple):
    """One number with its interval, and how many scans of each group stand behind it.

    The number is NaN where the scans do not allow it.
    """

    split: str
    metric: str
    estimate: Estimate
    n_healthy: int
    n_patient: int


def metric_table(experiment: str, protocol: str, rows: Iterable[Row]) -> pd.DataFrame:
    """Rows of one protocol in the form of the metrics table (columns `METRIC_COLUMNS`)."""
    table = pd.DataFrame([{**row._asdict(), **row.estimate._asdict()} for row in rows])
    return table.assign(experiment=experiment, protocol=protocol)[METRIC_COLUMNS]


class Results(NamedTuple):
    """What a protocol measures; `participant_id` in its tables, and `session_id` where the cohort has sessions."""

    rows: Sequence[Row]
    """All numbers of both splits."""
    curves: Mapping[tuple[str, str], Curve] = {}
    """Curves for drawing, by split and name."""
    patients: pd.DataFrame = pd.DataFrame()
    """Each measured test patient's own values."""
    lesions: pd.DataFrame = pd.DataFrame()
    """Each lesion of the test patients."""


class EvaluationProtocol(Protocol):
    """Gathers an experiment's voxels scan by scan; what it keeps of a scan is small."""

    def add(self, scan: ScanVoxels) -> None:
        """Add one scan: healthy validation scans come first, then validation patients, then test scans."""

    def results(self, scans: pd.DataFrame) -> Results:
        """What was measured; `scans` has `participant_id`, `group`, `split` and `score`, one row a scan."""
        ...

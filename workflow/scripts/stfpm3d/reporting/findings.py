"""The numbers of the metrics table, looked up and written out for the report."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd


class Findings:
    """Look-up of one protocol's values and counts in the metrics table."""

    def __init__(self, metrics: pd.DataFrame, protocol: str = "strict") -> None:
        rows = metrics[metrics["protocol"] == protocol]
        self.experiments = [str(name) for name in rows["experiment"].unique()]
        self._rows = rows.set_index(["experiment", "split", "metric"]).to_dict("index")

    def value(self, experiment: str, metric: str, split: str = "test") -> float:
        """The metric's value; NaN where it was not available."""
        return self.estimate(experiment, metric, split)[0]

    def estimate(self, experiment: str, metric: str, split: str = "test") -> tuple[float, float, float]:
        """The metric's value and the ends of its 95 % interval; NaN where there is none."""
        row = self._rows[experiment, split, metric]
        return float(row["value"]), float(row["ci_low"]), float(row["ci_high"])

    def interval(self, experiment: str, metric: str, split: str = "test") -> str:
        """The metric's 95 % interval, written out; empty where it has none."""
        return interval(*self.estimate(experiment, metric, split)[1:])

    def count(self, experiment: str, metric: str, group: str, split: str = "test") -> int:
        """Number of scans of a group behind the metric."""
        return int(self._rows[experiment, split, metric][f"n_{group}"])

    def with_metric(self, metric: str, split: str = "test") -> list[str]:
        """The experiments that the metric was asked of, in order."""
        return [name for name in self.experiments if (name, split, metric) in self._rows]

    def best(self, metric: str, split: str) -> float:
        """The highest value that any experiment reaches; NaN where none has one."""
        values = [self.value(experiment, metric, split) for experiment in self.with_metric(metric, split)]
        return max((value for value in values if not np.isnan(value)), default=np.nan)

    def chance(self, experiment: str, split: str) -> list[str]:
        """What noise would reach, in the order of the page's columns; empty where that depends on the threshold."""
        healthy, patients = (self.count(experiment, "image_ap", group, split) for group in ("healthy", "patient"))
        prevalence = number(self.value(experiment, "prevalence", split))
        share = number(patients / (healthy + patients) if healthy and patients else np.nan)
        return ["0.500", share, "0.500", prevalence, prevalence, "", "", ""]


def number(value: float) -> str:
    """A share or an area, to three places."""
    return "n/a" if np.isnan(value) else f"{value:.3f}"


def interval(low: float, high: float) -> str:
    """A 95 % interval of a share, an area or a volume, to two places; empty where there is none."""
    return "" if np.isnan(low) else f"[{low:.2f}, {high:.2f}]"


def percent(value: float) -> str:
    """A share in percent."""
    return "n/a" if np.isnan(value) else f"{100 * value:.1f} %"


def hundredths(value: float) -> str:
    """A share in percent as the paper's tables print it, their heads bearing the sign."""
    return "n/a" if np.isnan(value) else f"{100 * value:.2f}"


def score(value: float) -> str:
    """A score of any scale."""
    return "n/a" if np.isnan(value) else f"{value:.3g}"


def volume(value: float) -> str:
    """A volume in ml."""
    return "n/a" if np.isnan(value) else f"{value:.1f}"


def listed(parts: Sequence[str]) -> str:
    """Parts of a sentence as a list in words."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def factor(value: float) -> str:
    """A ratio."""
    return f"{value:.0f}" if value >= 10 else f"{value:.1f}"


def signed(value: float) -> str:
    """A difference, to three places with its sign."""
    return "n/a" if np.isnan(value) else f"{value:+.3f}"


def p_value(value: float) -> str:
    """A p value, to three places."""
    if np.isnan(value):
        return "–"
    return "< 0.001" if value < 0.001 else f"{value:.3f}"

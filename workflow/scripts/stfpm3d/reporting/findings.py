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
        self._metrics = [str(name) for name in rows["metric"].unique()]
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

    def known(self, split: str = "test") -> set[str]:
        """The metrics that at least one experiment has a value of."""
        known: set[str] = set()
        for metric in self._metrics:
            values = [self.value(name, metric, split) for name in self.with_metric(metric, split)]
            known |= set() if np.isnan(values).all() else {metric}
        return known

    def available(self, metric: str, split: str = "test") -> bool:
        """Whether any experiment has a value of a metric."""
        return metric in self.known(split)

    def best(self, metric: str, split: str) -> float:
        """The highest value that any experiment reaches; NaN where none has one."""
        values = [self.value(experiment, metric, split) for experiment in self.with_metric(metric, split)]
        return max((value for value in values if not np.isnan(value)), default=np.nan)

    def chance(self, experiment: str, split: str) -> dict[str, str]:
        """What noise would reach, by metric; without those where that depends on the threshold."""
        healthy, patients = (self.count(experiment, "image_ap", group, split) for group in ("healthy", "patient"))
        prevalence = number(self.value(experiment, "prevalence", split))
        share = number(patients / (healthy + patients) if healthy and patients else np.nan)
        of_scans = {"image_auroc": number(0.5), "image_ap": share}
        return of_scans | {"voxel_auroc": number(0.5), "voxel_auprc": prevalence, "patient_ap": prevalence}


def number(value: float) -> str:
    """A share or an area, to two digits: more than that no test set of this size can tell."""
    if np.isnan(value):
        return "n/a"
    places = 0 if abs(value) >= 9.95 else 2 if abs(value) >= 0.0995 or value == 0 else 3 if abs(value) >= 0.00995 else 4
    text = f"{value:.{places}f}" if abs(value) >= 0.0005 or value == 0 else f"{value:.1g}"
    return text.replace("-", "−")


def interval(low: float, high: float) -> str:
    """A 95 % interval of a share, an area or a volume; empty where there is none."""
    return "" if np.isnan(low) else f"[{number(low)}, {number(high)}]"


def percent(value: float) -> str:
    """A share in percent."""
    return "n/a" if np.isnan(value) else f"{100 * value:.1f} %"


def hundredths(value: float) -> str:
    """A share in percent, to two digits, for tables whose heads bear the sign."""
    if np.isnan(value):
        return "n/a"
    return f"{100 * value:.0f}" if abs(value) >= 0.0995 else f"{100 * value:.1f}"


def score(value: float) -> str:
    """A score of any scale."""
    return "n/a" if np.isnan(value) else f"{value:.3g}"


def volume(value: float) -> str:
    """A volume in ml, to two digits."""
    if np.isnan(value):
        return "n/a"
    return f"{value:.0f}" if value >= 9.95 else f"{value:.1f}" if value >= 0.095 or value == 0 else f"{value:.2g}"


def listed(parts: Sequence[str], last: str = "and") -> str:
    """Parts of a sentence as a list in words."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} {last} {parts[-1]}"


def counted(number: int, what: str) -> str:
    """A number of things, such as `2 patients`."""
    return f"{number} {what}{'s' * (number != 1)}"


def signed(value: float) -> str:
    """A difference, to two digits with its sign."""
    if np.isnan(value):
        return "n/a"
    return f"+{number(value)}" if value > 0 else number(value)


def p_value(value: float) -> str:
    """A p value, to two digits."""
    if np.isnan(value):
        return "–"
    return "< 0.001" if value < 0.001 else f"{value:.2g}" if value < 0.0995 else f"{value:.2f}"


def p_equals(value: float) -> str:
    """A p value in a sentence: `p = 0.02`, `p < 0.001`."""
    text = p_value(value)
    return f"p {text}" if text.startswith("<") else f"p = {text}"

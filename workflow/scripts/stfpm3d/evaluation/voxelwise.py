"""Voxel metrics from histograms of map values, as scikit-learn computes them from the values themselves.

A histogram is (BINS,) in rising order of value (`maps.value_bins`); a threshold is a bin, and everything from that bin
on is called anomalous. `normal` and `lesion` are the histograms of the voxels outside and inside the lesions.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from stfpm3d.evaluation.maps import BINS, Histogram, ScanVoxels

Curve = tuple[NDArray[np.float64], NDArray[np.float64]]


def voxels_from(counts: Histogram) -> Histogram:
    """Number of voxels at or above each threshold (BINS,)."""
    return counts[::-1].cumsum()[::-1]


def roc_curve(normal: Histogram, lesion: Histogram) -> Curve:
    """False and true positive rate at falling thresholds, from (0, 0) to (1, 1)."""
    false_positives, true_positives = _falling(normal, lesion)
    return (
        np.append(0.0, false_positives / false_positives[-1]),
        np.append(0.0, true_positives / true_positives[-1]),
    )


def precision_recall_curve(normal: Histogram, lesion: Histogram) -> Curve:
    """Recall and precision at falling thresholds; the last point is (1, prevalence)."""
    false_positives, true_positives = _falling(normal, lesion)
    return true_positives / true_positives[-1], true_positives / (true_positives + false_positives)


def auroc(normal: Histogram, lesion: Histogram) -> float:
    """Area under the ROC curve; ties within a bin count one half."""
    false_positive_rate, true_positive_rate = roc_curve(normal, lesion)
    return float(np.trapezoid(true_positive_rate, false_positive_rate))


def average_precision(normal: Histogram, lesion: Histogram) -> float:
    """Average precision, the sum of precision times the step in recall (AUPRC without interpolation)."""
    recall, precision = precision_recall_curve(normal, lesion)
    return float(np.sum(np.diff(recall, prepend=0.0) * precision))


def dice_curve(normal: Histogram, lesion: Histogram) -> NDArray[np.float64]:
    """Dice (BINS,) of one patient at every threshold."""
    true_positives, false_positives = voxels_from(lesion), voxels_from(normal)
    return 2 * true_positives / (true_positives + false_positives + lesion.sum())


def iou_from_dice(dice: NDArray[np.float64]) -> NDArray[np.float64]:
    """Intersection over union of one patient from its Dice."""
    return dice / (2 - dice)


def quantile_threshold(healthy: Histogram, quantile: float) -> int:
    """The lowest bin from which on at most `1 - quantile` of the healthy voxels lie."""
    return int(np.argmax(voxels_from(healthy) <= (1 - quantile) * healthy.sum()))


def youden_bin(normal: Histogram, lesion: Histogram) -> int:
    """The bin from which on the true positive rate exceeds the false positive rate most (Youden's J), the highest of
    equals.

    Only values that occur are thresholds: scikit-learn's first one, infinity, would make a mean of them infinite.
    """
    false_positive_rate, true_positive_rate = roc_curve(normal, lesion)
    falling = np.flatnonzero(normal + lesion)[::-1]
    return int(falling[np.argmax((true_positive_rate - false_positive_rate)[1:])])


def thin(curve: Curve, along: NDArray[np.float64], points: int = 500) -> Curve:
    """At most `points` points of a curve, evenly spaced in the rising coordinate `along`, both ends kept."""
    x, y = curve
    kept = np.unique(np.searchsorted(along, np.linspace(along[0], along[-1], points)))
    return x[kept], y[kept]


@dataclass
class PooledVoxels:
    """The voxels of one split's scans, added up scan by scan.

    Patients whose lesion has no voxel inside the brain mask add to `lesion_outside` alone: no map could find it.
    """

    n_healthy: int = 0
    n_patient: int = 0
    healthy: Histogram = field(default_factory=lambda: np.zeros(BINS, dtype=np.int64))
    normal: Histogram = field(default_factory=lambda: np.zeros(BINS, dtype=np.int64))
    lesion: Histogram = field(default_factory=lambda: np.zeros(BINS, dtype=np.int64))
    dice_sum: NDArray[np.float64] = field(default_factory=lambda: np.zeros(BINS))
    iou_sum: NDArray[np.float64] = field(default_factory=lambda: np.zeros(BINS))
    patient_ap: list[float] = field(default_factory=list)
    lesion_outside: int = 0

    def add(self, scan: ScanVoxels) -> None:
        """Add one scan."""
        self.lesion_outside += int(scan.lesion_outside.sum())
        if scan.group == "healthy":
            self.n_healthy += 1
            self.healthy += scan.normal
        elif scan.lesion.any():
            self.n_patient += 1
            self.normal += scan.normal
            self.lesion += scan.lesion
            dice = dice_curve(scan.normal, scan.lesion)
            self.dice_sum += dice
            self.iou_sum += iou_from_dice(dice)
            self.patient_ap.append(average_precision(scan.normal, scan.lesion))

    def metrics(self, threshold: int | None) -> dict[str, float]:
        """Voxel metrics over the patients; NaN where there is no patient, or no threshold.

        `voxel_auroc`, `voxel_auprc` and `prevalence` pool the voxels of all patients. `patient_ap`, `dice`, `iou` are
        means over patients of each patient's own value (BraTS' convention), `dice` and `iou` at the bin `threshold`.
        `dice_oracle` is the same mean Dice at the one threshold that maximises it on these very patients.
        `lesion_outside_mask` is the share of all lesion voxels that lies outside the brain mask.
        """
        lesion_voxels = int(self.lesion.sum())
        outside = self.lesion_outside / max(lesion_voxels + self.lesion_outside, 1)
        if not self.n_patient:
            names = ("voxel_auroc", "voxel_auprc", "prevalence", "patient_ap", "dice", "iou", "dice_oracle")
            return dict.fromkeys(names, np.nan) | {"lesion_outside_mask": outside if self.lesion_outside else np.nan}
        mean_dice, mean_iou = self.dice_sum / self.n_patient, self.iou_sum / self.n_patient
        return {
            "voxel_auroc": auroc(self.normal, self.lesion),
            "voxel_auprc": average_precision(self.normal, self.lesion),
            "prevalence": lesion_voxels / (lesion_voxels + int(self.normal.sum())),
            "patient_ap": float(np.mean(self.patient_ap)),
            "dice": np.nan if threshold is None else float(mean_dice[threshold]),
            "iou": np.nan if threshold is None else float(mean_iou[threshold]),
            "dice_oracle": float(mean_dice.max()),
            "lesion_outside_mask": outside,
        }

    def curves(self) -> dict[str, Curve]:
        """Pooled voxel curves over the patients: `roc` and `pr`, thinned for drawing; empty without a patient."""
        if not self.n_patient:
            return {}
        roc = roc_curve(self.normal, self.lesion)
        precision_recall = precision_recall_curve(self.normal, self.lesion)
        return {"roc": thin(roc, along=roc[0] + roc[1]), "pr": thin(precision_recall, along=precision_recall[0])}


def _falling(normal: Histogram, lesion: Histogram) -> tuple[Histogram, Histogram]:
    """False and true positives at each occupied threshold, from the highest down."""
    occupied = np.flatnonzero(normal + lesion)[::-1]
    return normal[occupied].cumsum(), lesion[occupied].cumsum()

"""Voxel metrics from histograms of map values, as scikit-learn computes them from the values themselves.

A histogram is (BINS,) in rising order of value (`imaging.ranking`); a threshold is a bin, and everything from that bin
on is called anomalous. `normal` and `lesion` are the histograms of the voxels outside and inside the lesions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, vstack

from stfpm3d.evaluation.intervals import Estimate, interval
from stfpm3d.evaluation.voxels import ScanVoxels
from stfpm3d.imaging.ranking import BINS, Counts, Histogram, auroc, average_precision

COARSE = 4
"""Bins that become one for the bootstrap, 0.8 % wide: intervals are not worth more, and memory stays small."""

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


def dice_curve(normal: Histogram, lesion: Histogram) -> NDArray[np.float64]:
    """Dice (BINS,) of one patient at every threshold."""
    true_positives, false_positives = voxels_from(lesion), voxels_from(normal)
    return 2 * true_positives / (true_positives + false_positives + lesion.sum())


def overlap(normal: Histogram, lesion: Histogram, threshold: int | None) -> dict[str, float]:
    """Sensitivity, Dice and IoU of one patient at a threshold; NaN without one."""
    if threshold is None:
        return dict.fromkeys(("sensitivity", "dice", "iou"), np.nan)
    hits, false_alarms, lesion_voxels = (float(n.sum()) for n in (lesion[threshold:], normal[threshold:], lesion))
    dice = 2 * hits / (hits + false_alarms + lesion_voxels)
    return {"sensitivity": hits / lesion_voxels, "dice": dice, "iou": dice / (2 - dice)}


def iou_from_dice(dice: NDArray[np.float64]) -> NDArray[np.float64]:
    """Intersection over union of one patient from its Dice."""
    return dice / (2 - dice)


def quantile_threshold(healthy: Histogram, quantile: float) -> int:
    """The lowest bin from which on at most `1 - quantile` of the healthy voxels lie."""
    return int(np.argmax(voxels_from(healthy) <= (1 - quantile) * healthy.sum()))


def youden_bin(normal: Histogram, lesion: Histogram) -> int:
    """The bin from which on the true positive rate exceeds the false positive rate most (Youden's J).

    The highest of equals. Only values that occur are thresholds: scikit-learn's first one, infinity, would make a
    mean of them infinite.
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
    """The voxels of one split's patients, added up scan by scan.

    Patients whose lesion has no voxel inside the brain mask add to `lesion_outside` alone: no map could find it.
    """

    normal: Histogram = field(default_factory=lambda: np.zeros(BINS, dtype=np.int64))
    lesion: Histogram = field(default_factory=lambda: np.zeros(BINS, dtype=np.int64))
    dice_sum: NDArray[np.float64] = field(default_factory=lambda: np.zeros(BINS))
    coarse: list[tuple[csr_array, csr_array]] = field(default_factory=list)
    """Each patient's histograms of `normal` and `lesion`, coarse and sparse (some 50 KB): what is drawn again."""
    lesion_outside: int = 0

    def add(self, scan: ScanVoxels) -> None:
        """Add one patient."""
        self.lesion_outside += scan.lesion_outside
        if scan.lesion.any():
            self.normal += scan.normal
            self.lesion += scan.lesion
            self.dice_sum += dice_curve(scan.normal, scan.lesion)
            self.coarse.append((_coarse(scan.normal), _coarse(scan.lesion)))

    def metrics(self, subjects: Sequence[str]) -> dict[str, Estimate]:
        """Voxel metrics over the patients, whose `subjects` are given in the order of adding; NaN without a patient.

        `voxel_auroc`, `voxel_auprc` and `prevalence` pool the voxels of all patients. `dice_oracle` is the mean Dice at
        the one threshold that maximises it on these very patients. `lesion_outside_mask` is the share of all lesion
        voxels that lies outside the brain mask.
        """
        lesion_voxels = int(self.lesion.sum())
        outside = self.lesion_outside / max(lesion_voxels + self.lesion_outside, 1)
        if not self.coarse:
            names = ("voxel_auroc", "voxel_auprc", "prevalence", "dice_oracle")
            unknown = dict.fromkeys(names, Estimate(np.nan))
            return unknown | {"lesion_outside_mask": Estimate(outside if self.lesion_outside else np.nan)}
        normal, lesion = self._coarse_histograms()

        def area(measure: Callable[[Counts, Counts], NDArray[np.float64]]) -> Estimate:
            ends = interval(lambda weights: measure(weights @ normal, weights @ lesion), subjects)
            return Estimate(float(measure(self.normal, self.lesion)), *ends)

        return {
            "voxel_auroc": area(auroc),
            "voxel_auprc": area(average_precision),
            "prevalence": Estimate(lesion_voxels / (lesion_voxels + int(self.normal.sum()))),
            "dice_oracle": Estimate(float(self.dice_sum.max()) / len(self.coarse)),
            "lesion_outside_mask": Estimate(outside),
        }

    def curves(self) -> dict[str, Curve]:
        """Pooled voxel curves over the patients: `roc` and `pr`, thinned for drawing; empty without a patient."""
        if not self.coarse:
            return {}
        roc = roc_curve(self.normal, self.lesion)
        precision_recall = precision_recall_curve(self.normal, self.lesion)
        return {"roc": thin(roc, along=roc[0] + roc[1]), "pr": thin(precision_recall, along=precision_recall[0])}

    def dice_by_rate(self, healthy: Histogram) -> Curve:
        """Share of the `healthy` voxels at or above a threshold, rising, and the patients' mean Dice there.

        Thinned for drawing. There must be a patient.
        """
        occupied = np.flatnonzero(healthy + self.normal + self.lesion)[::-1]
        rate = healthy[occupied].cumsum() / healthy.sum()
        dice = self.dice_sum[occupied] / len(self.coarse)
        return thin((rate, dice), along=rate + np.abs(np.diff(dice, prepend=dice[0])).cumsum())

    def _coarse_histograms(self) -> tuple[Counts, Counts]:
        """The patients' histograms of normal and of lesion voxels, each (patients, occupied bins)."""
        normal, lesion = (vstack(parts).tocsc() for parts in zip(*self.coarse, strict=True))
        occupied = np.flatnonzero(normal.sum(axis=0) + lesion.sum(axis=0))
        return normal[:, occupied].toarray(), lesion[:, occupied].toarray()


def _coarse(counts: Histogram) -> csr_array:
    return csr_array(counts.reshape(1, -1, COARSE).sum(axis=-1, dtype=np.int32))


def _falling(normal: Histogram, lesion: Histogram) -> tuple[Histogram, Histogram]:
    """False and true positives at each occupied threshold, from the highest down."""
    occupied = np.flatnonzero(normal + lesion)[::-1]
    return normal[occupied].cumsum(), lesion[occupied].cumsum()

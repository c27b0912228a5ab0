"""The paper's own protocol (sections 4.2, 4.3 and 5), so that its tables can be read beside ours.

It flatters: all voxels of the crop count, of which more than half are background that any map gets right, and the
threshold has seen patients' lesions. What lies outside the crop is not in the paper's images, lesions included.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from stfpm3d.evaluation import imagewise
from stfpm3d.evaluation.intervals import Estimate
from stfpm3d.evaluation.protocol import SPLITS, Results, Row
from stfpm3d.evaluation.voxels import SEGMENTED, ScanVoxels
from stfpm3d.evaluation.voxelwise import dice_curve, iou_from_dice, youden_bin
from stfpm3d.imaging.ranking import BINS, auroc, bin_value, value_bins


@dataclass
class CroppedVolumes:
    """All voxels of the crop of one split's patients, each patient by itself, added up scan by scan."""

    auroc: list[float] = field(default_factory=list)
    youden: list[float] = field(default_factory=list)
    """Each patient's own best threshold, found with its lesion mask."""
    dice_sum: NDArray[np.float64] = field(default_factory=lambda: np.zeros(BINS))
    iou_sum: NDArray[np.float64] = field(default_factory=lambda: np.zeros(BINS))

    def add(self, scan: ScanVoxels) -> None:
        """Add one patient."""
        normal, lesion = scan.normal_in_crop, scan.lesion_in_crop
        self.auroc.append(float(auroc(normal, lesion)))
        self.youden.append(bin_value(youden_bin(normal, lesion)))
        dice = dice_curve(normal, lesion)
        self.dice_sum += dice
        self.iou_sum += iou_from_dice(dice)


class PaperProtocol:
    """Image AUROC and AP as means over blocks of equal groups; voxel AUROC, IoU and Dice as means over the patients.

    Parameters
    ----------
    segmented
        The maps are segmentations, whose threshold is 1. IoU and Dice of others are taken at the mean of the validation
        patients' Youden thresholds.
    """

    def __init__(self, *, segmented: bool) -> None:
        self.segmented = segmented
        self.patients = {split: CroppedVolumes() for split in SPLITS}

    def add(self, scan: ScanVoxels) -> None:
        """Add one scan; a healthy one, or a patient without a lesion in the crop, has nothing to be found."""
        if scan.lesion_in_crop.any():
            self.patients[scan.split].add(scan)

    def results(self, scans: pd.DataFrame) -> Results:
        """All numbers of both splits; the paper prints means alone."""
        threshold, n_patient = self._threshold()
        rows = [Row("val", "threshold", Estimate(np.nan if threshold is None else bin_value(threshold)), 0, n_patient)]
        for split in SPLITS:
            rows += _detection(split, scans[scans["split"] == split])
            rows += _segmentation(split, self.patients[split], threshold)
        return Results(rows)

    def _threshold(self) -> tuple[int | None, int]:
        """The threshold's bin, None if there is nothing to fit it on, and the number of scans behind it."""
        if self.segmented:
            return SEGMENTED, 0
        youden = self.patients["val"].youden
        if not youden:
            return None, 0
        return int(value_bins(np.array([np.mean(youden)]))[0]), len(youden)


def _detection(split: str, scans: pd.DataFrame) -> list[Row]:
    """Means over blocks; the counts are of the scans that are in one."""
    blocks = imagewise.equal_blocks(scans)
    n_healthy, n_patient = (
        len({name for block in blocks for name in block.index[block["group"] == group]})
        for group in ("healthy", "patient")
    )
    values = [imagewise.auroc_and_ap(block) for block in blocks]
    auroc_mean, ap_mean = np.mean(values, axis=0).tolist() if blocks else (np.nan, np.nan)
    return [
        Row(split, "image_auroc", Estimate(auroc_mean), n_healthy, n_patient),
        Row(split, "image_ap", Estimate(ap_mean), n_healthy, n_patient),
    ]


def _segmentation(split: str, patients: CroppedVolumes, threshold: int | None) -> list[Row]:
    count = len(patients.auroc)
    metrics = {"voxel_auroc": np.nan, "iou": np.nan, "dice": np.nan}
    if count:
        metrics["voxel_auroc"] = float(np.mean(patients.auroc))
    if count and threshold is not None:
        metrics |= {"iou": patients.iou_sum[threshold] / count, "dice": patients.dice_sum[threshold] / count}
    return [Row(split, name, Estimate(float(value)), 0, count) for name, value in metrics.items()]

"""The strict protocol: all scans, brain voxels alone, and a threshold that no patient has a say in."""

from __future__ import annotations

import logging

import numpy as np
import pandas as pd

from stfpm3d.evaluation import imagewise
from stfpm3d.evaluation.maps import SEGMENTED, ScanVoxels, bin_value
from stfpm3d.evaluation.protocol import SPLITS, Row
from stfpm3d.evaluation.voxelwise import Curve, PooledVoxels, quantile_threshold

log = logging.getLogger(__name__)


class StrictProtocol:
    """Image AUROC and AP of all scans of a split; the voxel metrics of `PooledVoxels`.

    Parameters
    ----------
    healthy_quantile
        The threshold of Dice and IoU is this quantile of the healthy validation scans' brain voxels; None where the
        maps are segmentations, whose threshold is 1.
    """

    def __init__(self, healthy_quantile: float | None) -> None:
        self.healthy_quantile = healthy_quantile
        self.pooled = {split: PooledVoxels() for split in SPLITS}

    def add(self, scan: ScanVoxels) -> None:
        """Add one scan."""
        self.pooled[scan.split].add(scan)

    def rows(self, scans: pd.DataFrame) -> list[Row]:
        """All numbers of both splits."""
        threshold, n_healthy = self._threshold()
        rows = [Row("val", "threshold", np.nan if threshold is None else bin_value(threshold), n_healthy, 0)]
        for split in SPLITS:
            groups = scans.loc[scans["split"] == split, "group"]
            counts = int((groups == "healthy").sum()), int((groups == "patient").sum())
            auroc, ap = imagewise.auroc_and_ap(scans[scans["split"] == split])
            rows += [Row(split, "image_auroc", auroc, *counts), Row(split, "image_ap", ap, *counts)]
            n_patient = self.pooled[split].n_patient
            metrics = self.pooled[split].metrics(threshold)
            rows += [Row(split, name, value, 0, n_patient) for name, value in metrics.items()]
            log.info(
                "%s: voxel AUPRC %.3f, prevalence %.4f, Dice %.3f (%d patients)",
                *(split, metrics["voxel_auprc"], metrics["prevalence"], metrics["dice"], n_patient),
            )
        return rows

    def curves(self, scans: pd.DataFrame) -> dict[tuple[str, str], Curve]:
        """By split and name: `image_roc` over scans, `roc` and `pr` over voxels pooled over patients."""
        curves = {}
        for split in SPLITS:
            of_split = scans[scans["split"] == split]
            if imagewise.is_measurable(of_split):
                curves[split, "image_roc"] = imagewise.roc(of_split)
            curves |= {(split, name): curve for name, curve in self.pooled[split].curves().items()}
        return curves

    def _threshold(self) -> tuple[int | None, int]:
        """The threshold's bin, None if there is nothing to fit it on, and the number of scans behind it."""
        if self.healthy_quantile is None:
            return SEGMENTED, 0
        validation = self.pooled["val"]
        if not validation.n_healthy:
            return None, 0
        return quantile_threshold(validation.healthy, self.healthy_quantile), validation.n_healthy

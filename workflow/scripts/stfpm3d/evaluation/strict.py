"""The strict protocol: all scans, brain voxels alone, and a threshold that no patient has a say in."""

from __future__ import annotations

import logging
from collections.abc import Hashable, Mapping
from functools import cached_property

import numpy as np
import pandas as pd

from stfpm3d.evaluation import imagewise
from stfpm3d.evaluation.intervals import Estimate, mean_estimate
from stfpm3d.evaluation.lesionwise import LesionwiseTest
from stfpm3d.evaluation.protocol import SPLITS, Results, Row
from stfpm3d.evaluation.voxels import SEGMENTED, ScanVoxels
from stfpm3d.evaluation.voxelwise import Curve, PooledVoxels, overlap, quantile_threshold
from stfpm3d.imaging.ranking import BINS, average_precision, bin_of, bin_value

MIN_VALIDATION_PATIENTS = 8  # fewer say too little of the best threshold
# What is measured of each patient at which threshold: the headline, the best mean Dice of the validation patients, and
# 1 % and 5 % of healthy validation voxels above.
MEASURED_AT = {"": ("dice", "iou"), "_val": ("dice", "iou"), "_at_1": ("sensitivity", "dice")}
MEASURED_AT |= {"_at_5": ("sensitivity", "dice")}
PER_PATIENT = ["patient_ap", *(f"{name}{cut}" for cut, names in MEASURED_AT.items() for name in names), "patient_fp_ml"]
FROC_SHARES = np.geomspace(0.1, 1e-6, 20)  # of healthy validation voxels above the curve's thresholds

log = logging.getLogger(__name__)

Cuts = Mapping[str, int | None]


class StrictProtocol:
    """Image AUROC and AP of all scans of a split, the pooled voxels of its patients and each patient's own.

    On the test scans the lesions as well, and the healthy scans' false alarms.

    Parameters
    ----------
    healthy_quantile
        The headline threshold is this quantile of the healthy validation scans' brain voxels; None where the maps are
        segmentations, whose threshold is 1.
    threshold
        The headline threshold of maps whose values have one by themselves; None where healthy scans set it.
    voxel_ml
        Volume of a voxel.
    min_lesion_ml
        Lesions and components of the map below it do not count as such.
    """

    def __init__(
        self, healthy_quantile: float | None, *, threshold: float | None = None, voxel_ml: float, min_lesion_ml: float
    ) -> None:
        self.healthy_quantile = healthy_quantile
        self.threshold = threshold
        self.voxel_ml = voxel_ml
        self.min_lesion_ml = min_lesion_ml
        self.reference = np.zeros(BINS, dtype=np.int64)
        """Brain voxels of healthy validation scans."""
        self.n_reference = 0
        self.pooled = {split: PooledVoxels() for split in SPLITS}
        self.patients: dict[str, list[dict[Hashable, object]]] = {split: [] for split in SPLITS}
        self.false_alarms: list[dict[Hashable, object]] = []

    def add(self, scan: ScanVoxels) -> None:
        """Add one scan, in the order of `read_voxels`."""
        if scan.split == "val" and scan.group == "healthy":
            if "cuts" in vars(self):
                raise ValueError("healthy validation scans set the thresholds; they come before all others")
            self.reference += scan.normal
            self.n_reference += 1
        elif scan.group == "healthy":
            self._add_healthy_test(scan)
        else:
            self._add_patient(scan)

    def _add_healthy_test(self, scan: ScanVoxels) -> None:
        self.false_alarms.append({**scan.scan, "healthy_fp_ml": self._false_ml(scan)})
        self.lesionwise.add(scan)

    def _add_patient(self, scan: ScanVoxels) -> None:
        self.pooled[scan.split].add(scan)
        if not scan.lesion.any():
            return
        cuts = self.cuts if scan.split == "val" else self.cuts | {"_val": self.best_of_validation}
        row: dict[Hashable, object] = {**scan.scan, "lesion_ml": scan.lesion.sum() * self.voxel_ml}
        row["patient_ap"] = float(average_precision(scan.normal, scan.lesion))
        for cut, names in MEASURED_AT.items():
            measured = overlap(scan.normal, scan.lesion, cuts[cut])
            row |= {f"{name}{cut}": measured[name] for name in names}
        row["patient_fp_ml"] = self._false_ml(scan)
        self.patients[scan.split].append(row)
        if scan.split == "test":
            self.lesionwise.add(scan)

    def _false_ml(self, scan: ScanVoxels) -> float:
        """Volume at or above the headline threshold where there is no lesion."""
        cut = self.cuts[""]
        return np.nan if cut is None else float(scan.normal[cut:].sum() * self.voxel_ml)

    @cached_property
    def cuts(self) -> dict[str, int | None]:
        """The thresholds' bins that healthy validation voxels set, by the endings of the metrics.

        The headline may be the maps' own. None where there is nothing to fit one on. The one that validation patients
        set is known to test patients alone.
        """
        cuts = dict.fromkeys(MEASURED_AT)
        if self.healthy_quantile is None:
            return cuts | {"": SEGMENTED}
        if self.n_reference:
            quantiles = {"": self.healthy_quantile, "_at_1": 0.99, "_at_5": 0.95}
            cuts |= {cut: quantile_threshold(self.reference, quantile) for cut, quantile in quantiles.items()}
        return cuts if self.threshold is None else cuts | {"": bin_of(self.threshold)}

    @property
    def is_graded(self) -> bool:
        """Whether healthy validation voxels set thresholds: not of segmentations, and not where there are none."""
        return self.healthy_quantile is not None and self.n_reference > 0

    @cached_property
    def best_of_validation(self) -> int | None:
        """The bin of the validation patients' best mean Dice; None with too few of them, and for segmentations."""
        if self.healthy_quantile is None or len(self.patients["val"]) < MIN_VALIDATION_PATIENTS:
            return None
        return int(np.argmax(self.pooled["val"].dice_sum))

    @cached_property
    def lesionwise(self) -> LesionwiseTest:
        """The lesions of the test scans, at thresholds from validation."""
        bins = {quantile_threshold(self.reference, 1 - share) for share in FROC_SHARES} if self.is_graded else set()
        sizes = {"voxel_ml": self.voxel_ml, "min_lesion_ml": self.min_lesion_ml}
        return LesionwiseTest(self.cuts[""], sorted(bins), **sizes)

    def results(self, scans: pd.DataFrame) -> Results:
        """All numbers of both splits, with the curves and the test patients and lesions behind them."""
        lesions = pd.DataFrame(self.lesionwise.lesions)
        return Results(self._rows(scans), self._curves(scans), self._patient_table(), lesions)

    def _rows(self, scans: pd.DataFrame) -> list[Row]:
        headline, best = (np.nan if cut is None else bin_value(cut) for cut in (self.cuts[""], self.best_of_validation))
        set_by_healthy = self.healthy_quantile is not None and self.threshold is None
        n_reference = self.n_reference if set_by_healthy else 0
        rows = [Row("val", "threshold", Estimate(headline), n_reference, 0)]
        rows.append(Row("val", "threshold_val", Estimate(best), 0, len(self.patients["val"])))
        for split in SPLITS:
            of_split = scans[scans["split"] == split]
            counts = [int((of_split["group"] == group).sum()) for group in ("healthy", "patient")]
            rows += [Row(split, name, found, *counts) for name, found in imagewise.estimates(of_split).items()]
            metrics = self._patient_metrics(split)
            rows += [Row(split, name, found, 0, len(self.patients[split])) for name, found in metrics.items()]
            log.info(
                "%s: voxel AUPRC %.3f, prevalence %.4f, Dice %.3f (%d patients)",
                *(split, *(metrics[name].value for name in ("voxel_auprc", "prevalence", "dice"))),
                len(self.patients[split]),
            )
        return rows + self._test_rows()

    def _patient_metrics(self, split: str) -> dict[str, Estimate]:
        table = pd.DataFrame(self.patients[split], columns=["participant_id", *PER_PATIENT])
        subjects = table["participant_id"].tolist()
        own = {name: mean_estimate(table[name], subjects) for name in PER_PATIENT}
        return self.pooled[split].metrics(subjects) | own

    def _test_rows(self) -> list[Row]:
        """Lesions, and healthy scans' false alarms; of the test scans alone."""
        n_healthy, n_patient = len(self.false_alarms), len(self.patients["test"])
        table = pd.DataFrame(self.false_alarms, columns=["participant_id", "healthy_fp_ml"])
        volume = mean_estimate(table["healthy_fp_ml"], table["participant_id"].tolist())
        rows = [Row("test", "healthy_fp_ml", volume, n_healthy, 0)]
        for name, found in self.lesionwise.metrics().items():
            rows.append(Row("test", name, found, n_healthy if name.startswith("froc") else 0, n_patient))
        return rows

    def _curves(self, scans: pd.DataFrame) -> dict[tuple[str, str], Curve]:
        """Curves for drawing, by split and name.

        `image_roc` over scans, `roc` and `pr` over voxels pooled over patients, `froc` over lesions, and `dice`: the
        patients' mean against the share of healthy validation brain voxels at or above the threshold.
        """
        curves = {}
        for split in SPLITS:
            of_split = scans[scans["split"] == split]
            if imagewise.is_measurable(of_split):
                curves[split, "image_roc"] = imagewise.roc(of_split)
            curves |= {(split, name): curve for name, curve in self.pooled[split].curves().items()}
            if self.is_graded and self.patients[split]:
                curves[split, "dice"] = self.pooled[split].dice_by_rate(self.reference)
        froc = self.lesionwise.froc()
        return curves if froc is None else curves | {("test", "froc"): froc}

    def _patient_table(self) -> pd.DataFrame:
        """Every measured test patient's own values, with the counts of its lesions and of the map's components."""
        table = pd.DataFrame(self.patients["test"])
        if table.empty or not self.lesionwise.patients:
            return table
        return table.merge(pd.DataFrame(self.lesionwise.patients), validate="one_to_one")

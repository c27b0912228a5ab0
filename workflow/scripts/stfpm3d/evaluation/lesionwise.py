"""Lesions found and false alarms: 26-connected components of the thresholded map against those of the lesion mask.

They make pairs by falling IoU and from 0.1 on, as 3D detection asks for (Metrics Reloaded, Maier-Hein et al. 2024;
nnDetection, Baumgartner et al. 2021) and panoptica does (Kofler et al. 2023). A lesion in a pair is detected, and a
component in none is a false alarm: so are further pieces of a lesion, and a component as large as the brain. Of several
lesions under one component one at most is detected.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy import ndimage

from stfpm3d.evaluation.intervals import Estimate, ratio_estimate
from stfpm3d.evaluation.voxels import ScanVoxels
from stfpm3d.evaluation.voxelwise import Curve
from stfpm3d.imaging.ranking import bin_value

MIN_IOU = 0.1
SIZES = ("small", "medium", "large")
CONNECTED = np.ones((3, 3, 3))  # faces, edges and corners
FROC_RATES = (1 / 8, 1 / 4, 1 / 2, 1, 2, 4, 8)  # false positives per scan, as in LUNA16 and CAMELYON16

Labels = NDArray[np.intp]


def least_voxels(min_lesion_ml: float, voxel_ml: float) -> int:
    """The least number of voxels of a lesion or component that counts."""
    return math.ceil(round(min_lesion_ml / voxel_ml, 6))


class Match(NamedTuple):
    """Components of one map against the lesions of one scan; what is too small to count is left out."""

    volumes: NDArray[np.intp]
    """Voxels of each lesion (n_lesions,)."""
    detected: NDArray[np.bool_]
    """Which lesions (n_lesions,) are found."""
    n_component: int
    """Components that count; as many of them hit as lesions are found, the others are false alarms."""


def components(mask: NDArray[np.bool_], min_voxels: int = 1) -> Labels:
    """The 26-connected components (X, Y, Z) of at least `min_voxels`, numbered from 1; 0 elsewhere."""
    found = np.zeros(mask.shape, dtype=np.intp)
    for box in ndimage.find_objects(mask.view(np.uint8)):  # one, or none: what lies beyond need not be looked at
        inside = mask[box]
        labels, count = ndimage.label(inside, CONNECTED)  # pyright: ignore[reportGeneralTypeIssues] - a pair
        kept = np.bincount(labels[inside], minlength=count + 1) >= min_voxels
        kept[0] = False
        found[box][inside] = np.where(kept, np.cumsum(kept), 0)[labels[inside]]
    return found


def match(called: Labels, lesions: Labels, min_voxels: int) -> Match:
    """Which lesions the components of a map find.

    Parameters
    ----------
    called
        Components (X, Y, Z) of the map, of at least `min_voxels`.
    lesions
        Components (X, Y, Z) of the lesion mask, of any size: one below `min_voxels` does not count, nor does the
        component that finds it.
    min_voxels
        The least size that counts.
    """
    volumes = np.bincount(lesions.ravel())[1:]
    found = found_lesions(called, lesions)
    counts = volumes >= min_voxels
    return Match(volumes[counts], found[counts], int(called.max() - found[~counts].sum()))


def found_lesions(called: Labels, lesions: Labels) -> NDArray[np.bool_]:
    """Which lesions (n_lesions,) pair with a component: one to one, by falling IoU, from `MIN_IOU` on.

    Of equal pairs the one whose component has the lower number comes first, then that of the lower lesion.
    """
    of_lesion = lesions > 0
    called_there, lesions_there = called[of_lesion], lesions[of_lesion]
    called_volumes = np.bincount(called[called > 0], minlength=1)  # most voxels are 0, which to count takes longest
    lesion_volumes = np.bincount(lesions_there, minlength=1)
    both = called_there > 0
    codes, shared = np.unique(called_there[both] * lesion_volumes.size + lesions_there[both], return_counts=True)
    component, lesion = np.divmod(codes, lesion_volumes.size)
    iou = shared / (called_volumes[component] + lesion_volumes[lesion] - shared)
    paired, found = np.zeros(called_volumes.size, dtype=bool), np.zeros(lesion_volumes.size, dtype=bool)
    for pair in np.argsort(-iou, kind="stable")[: np.count_nonzero(iou >= MIN_IOU)]:
        if not (paired[component[pair]] or found[lesion[pair]]):
            paired[component[pair]] = found[lesion[pair]] = True
    return found[1:]


def thirds(volumes: ArrayLike) -> dict[str, NDArray[np.intp]]:
    """The places of the small, the medium and the large lesions among `volumes` (n,), by rising volume.

    They are thirds of the lesions at hand, so that none is empty. None below three lesions.
    """
    order = np.argsort(np.asarray(volumes), kind="stable")
    if order.size < len(SIZES):
        return {}
    return dict(zip(SIZES, np.array_split(order, len(SIZES)), strict=True))


class LesionwiseTest:
    """The lesions of all test scans, added up scan by scan.

    Parameters
    ----------
    threshold
        The headline threshold's bin, or None when there is nothing to fit it on.
    froc_thresholds
        Bins of the operating points of the FROC curve; none for segmentations.
    voxel_ml
        Volume of a voxel.
    min_lesion_ml
        Lesions and components below it do not count.
    """

    def __init__(
        self, threshold: int | None, froc_thresholds: Sequence[int], *, voxel_ml: float, min_lesion_ml: float
    ) -> None:
        self.threshold = threshold
        self.froc_thresholds = froc_thresholds
        self.voxel_ml = voxel_ml
        self.min_voxels = least_voxels(min_lesion_ml, voxel_ml)
        self.n_healthy = 0
        self.patients: list[dict[Hashable, object]] = []
        """Per patient: its scan, and the counts `n_lesion`, `n_detected`, `n_component`."""
        self.lesions: list[dict[Hashable, object]] = []
        """Per lesion: its scan, `lesion` (number), `volume_ml` and `detected` at the headline threshold."""
        self.false_positives = np.zeros(len(froc_thresholds))
        self.detected = np.zeros(len(froc_thresholds))

    def add(self, scan: ScanVoxels) -> None:
        """Add one test scan, healthy or with a lesion inside the brain."""
        lesions = components(scan.lesion_mask)
        for index, threshold in enumerate(self.froc_thresholds):
            found = self._match(scan, lesions, threshold)
            self.false_positives[index] += found.n_component - found.detected.sum()
            self.detected[index] += found.detected.sum()
        if scan.group == "healthy":
            self.n_healthy += 1
        elif self.threshold is not None:
            self._add_patient(scan.scan, self._match(scan, lesions, self.threshold))

    def _match(self, scan: ScanVoxels, lesions: Labels, threshold: int) -> Match:
        called = components(scan.anomaly_map >= bin_value(threshold), self.min_voxels)
        return match(called, lesions, self.min_voxels)

    def _add_patient(self, scan: Mapping[Hashable, str], found: Match) -> None:
        volumes_ml = found.volumes * self.voxel_ml
        for number, (volume_ml, detected) in enumerate(zip(volumes_ml, found.detected, strict=True), start=1):
            self.lesions.append({**scan, "lesion": number, "volume_ml": float(volume_ml), "detected": int(detected)})
        counts = {"n_lesion": found.detected.size, "n_detected": int(found.detected.sum())}
        self.patients.append({**scan, **counts, "n_component": found.n_component})

    def metrics(self) -> dict[str, Estimate]:
        """Recall over the lesions of all patients, precision over the components in patients, and their F1.

        Besides, recall by terciles of the lesions' volumes, and sensitivity at rates of false positives per scan with
        its mean over the rates.
        """
        names = ("participant_id", "n_lesion", "n_detected", "n_component")
        table = pd.DataFrame(self.patients, columns=names)
        subjects = table["participant_id"].tolist()
        lesions, detected, called = (table[name].to_numpy(float) for name in names[1:])
        estimates = {
            "lesion_recall": ratio_estimate(detected, lesions, subjects),
            "lesion_precision": ratio_estimate(detected, called, subjects),
            "lesion_f1": Estimate(np.nan),
        }
        if lesions.sum():  # without a lesion there is none to be found, and no F1
            estimates["lesion_f1"] = ratio_estimate(2 * detected, lesions + called, subjects)
        return estimates | self._recall_by_size() | self._froc_sensitivities()

    def froc(self) -> Curve | None:
        """False-positive components per test scan, rising, and the best sensitivity up to there.

        None without a lesion or without thresholds.
        """
        n_lesion = len(self.lesions)
        if not n_lesion or not len(self.froc_thresholds):
            return None
        order = np.lexsort((self.detected, self.false_positives))
        rates = self.false_positives[order] / (self.n_healthy + len(self.patients))
        return rates, np.maximum.accumulate(self.detected[order]) / n_lesion

    def _recall_by_size(self) -> dict[str, Estimate]:
        table = pd.DataFrame(self.lesions, columns=["volume_ml", "detected"])
        recalls = {size: table["detected"].iloc[places].mean() for size, places in thirds(table["volume_ml"]).items()}
        return {f"lesion_recall_{size}": Estimate(float(recalls.get(size, np.nan))) for size in SIZES}

    def _froc_sensitivities(self) -> dict[str, Estimate]:
        curve = self.froc()
        values = [np.nan] * len(FROC_RATES)
        if curve is not None:
            values = [max((s for rate, s in zip(*curve, strict=True) if rate <= at), default=0.0) for at in FROC_RATES]
        found = {f"froc_{at:g}": Estimate(float(value)) for at, value in zip(FROC_RATES, values, strict=True)}
        return found | {"froc_mean": Estimate(float(np.mean(values)))}

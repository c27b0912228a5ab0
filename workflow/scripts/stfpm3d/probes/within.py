"""Within patients: the lesion against other places of the same scan, so that neither site nor scanner can help.

High figures are evidence for the detection of lesions; as probes they do not fire.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import ndimage

from stfpm3d.evaluation.intervals import mean_estimate
from stfpm3d.evaluation.protocol import Row
from stfpm3d.evaluation.voxels import brain_box, read_voxels
from stfpm3d.imaging.ranking import auroc, ranked
from stfpm3d.imaging.template import MIRROR
from stfpm3d.imaging.volumes import Volume
from stfpm3d.runtime.logs import progress


def within_rows(scans: pd.DataFrame, brain_mask: Volume) -> list[Row]:
    """`probe_slices` and `probe_mirror`, means over patients of their own AUROCs (`slice_auroc`, `mirror_auroc`).

    A larger slice has a higher maximum, and more often a lesion. So `probe_slices_control` is what healthy scans' maps
    reach in the slices of each patient's lesion, the mean over these scans.

    Parameters
    ----------
    scans
        One row a test scan: `participant_id` (and `session_id`), `group`, `split`, `map` (path, MNI grid) and
        `lesion_mask` (path, or missing). A patient without a mask, or without a lesion in the brain, is left out.
    brain_mask
        The template's brain mask on the MNI grid.
    """
    corner = np.eye(4)
    corner[:3, 3] = [part.start for part in brain_box(brain_mask.data)]
    affine = brain_mask.affine @ corner  # of the box that the scans come in
    healthy: list[NDArray[np.float64]] = []
    patients = []
    for scan in progress(read_voxels(scans, brain_mask), "within patients", len(scans)):  # healthy scans come first
        if scan.group == "healthy":
            healthy.append(slice_scores(scan.anomaly_map))
        elif scan.lesion_mask.any():
            lesioned = np.asarray(scan.lesion_mask.any(axis=(0, 1)))
            patients.append(
                {
                    "participant_id": scan.scan["participant_id"],
                    "probe_slices": slice_auroc(slice_scores(scan.anomaly_map), lesioned),
                    "probe_slices_control": np.mean([slice_auroc(scores, lesioned) for scores in healthy]),
                    "probe_mirror": mirror_auroc(scan.anomaly_map, scan.lesion_mask, affine),
                }
            )
    table = pd.DataFrame(patients, columns=["participant_id", "probe_slices", "probe_slices_control", "probe_mirror"])
    return [_mean_row(table, name, len(healthy) if name.endswith("_control") else 0) for name in table.columns[1:]]


def slice_scores(anomaly_map: NDArray[np.floating]) -> NDArray[np.float64]:
    """The maximum (Z,) of each axial slice of a map (X, Y, Z), minus infinity outside the brain."""
    return anomaly_map.max(axis=(0, 1)).astype(np.float64)


def slice_auroc(scores: Sequence[float] | NDArray[np.float64], lesioned: NDArray[np.bool_]) -> float:
    """AUROC of slices with lesion against those without, of the slices with brain; NaN if there are none of a kind."""
    inside = np.isfinite(scores)
    values, lesioned = np.asarray(scores)[inside], lesioned[inside]
    return _auroc(values[~lesioned], values[lesioned])


def mirror_auroc(anomaly_map: NDArray[np.floating], lesion: NDArray[np.bool_], affine: NDArray[np.float64]) -> float:
    """AUROC of a lesion's voxels against those at its mirrored place that are brain and no lesion themselves.

    NaN where none are left, as for a lesion on the midline. `anomaly_map` (X, Y, Z) is minus infinity outside
    the brain; `affine` (4, 4) maps its voxels to MNI space.
    """
    index = np.linalg.inv(affine) @ MIRROR @ affine
    mirrored = ndimage.affine_transform(lesion.astype(np.uint8), index, order=0).astype(bool)
    others = anomaly_map[mirrored & ~lesion & np.isfinite(anomaly_map)]
    return _auroc(others, anomaly_map[lesion])


def _auroc(others: NDArray[np.floating], lesion: NDArray[np.floating]) -> float:
    return float(auroc(*ranked(others, lesion))) if others.size and lesion.size else np.nan


def _mean_row(table: pd.DataFrame, metric: str, n_healthy: int) -> Row:
    known = table.dropna(subset=metric)
    return Row("test", metric, mean_estimate(known[metric], known["participant_id"].tolist()), n_healthy, len(known))

"""Segmentations of single maps, without a threshold from other scans (paper, experiment 4): 1 in lesions, 0 elsewhere.

Only the voxels inside count, those of the template's brain that the scan holds; outside there is no lesion.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans

from stfpm3d.imaging.volumes import Volume, load_mask
from stfpm3d.maps.form import MapMaker, Scan, ScoredMap

log = logging.getLogger(__name__)


def segment(anomaly_map: Volume, inside: NDArray[np.bool_], top_fraction: float | None) -> Volume:
    """The lesions of one scan, float32 (X, Y, Z), from its map and the mask `inside` (X, Y, Z) on the same grid.

    Without `top_fraction` by k-means: the voxels fall into two clusters by value, healthy and diseased tissue, and the
    one of the higher mean is lesion (paper, section 4). With it the highest fraction of the voxels, and all that equal
    the last of them (the authors' code binarises at the 99th percentile, and its clusters are then those two values).
    A map that is constant there tells no voxel from another: it has no lesion.
    """
    values = anomaly_map.data[inside]
    lesion = np.zeros(anomaly_map.shape, dtype=np.float32)
    if np.ptp(values) > 0:
        lesion[inside] = higher_cluster(values) if top_fraction is None else highest(values, top_fraction)
    return Volume(lesion, anomaly_map.affine)


def higher_cluster(values: NDArray) -> NDArray[np.bool_]:
    """Which of the values (N,) belong to the higher of two k-means clusters.

    The centres start at the quartiles: from the least and the greatest value a map with a long tail ends in a cluster
    of one voxel.
    """
    scaled = np.asarray(values, dtype=np.float64) / np.std(values, dtype=np.float64)  # products' squares underflow
    start = np.quantile(scaled, [0.25, 0.75])
    kmeans = KMeans(2, init=start[:, None], n_init=1, tol=0)  # pyright: ignore[reportArgumentType] - untyped
    clusters = kmeans.fit(scaled[:, None])
    return clusters.labels_ == np.argmax(clusters.cluster_centers_)


def highest(values: NDArray, fraction: float) -> NDArray[np.bool_]:
    """Which of the values (N,) are among the highest `fraction`, at least one."""
    count = math.ceil(fraction * values.size)
    return values >= np.partition(values, -count)[-count]


def segmentation_maps(files: Mapping[str, Path | str], *, top_fraction: float | None) -> MapMaker:
    """Segments maps; they get no score, since a segmentation detects nothing. `files` holds the `brain_mask`."""
    brain_mask = load_mask(files["brain_mask"], "template")

    def make(scan: Scan) -> ScoredMap:
        anomaly_map, support = scan.volumes()
        lesion = segment(anomaly_map, support.data & brain_mask.data, top_fraction)
        if not lesion.data.any():
            log.warning("%s: its map is constant in the brain, and no voxel is marked", scan.scan_id)
        return ScoredMap(lesion, math.nan)

    return make

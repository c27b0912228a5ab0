"""Anomaly maps on the MNI grid: their form outside the brain, their score, and their files."""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import ndimage

from stfpm3d.imaging.volumes import Volume, save_volume
from stfpm3d.runtime.files import write_table
from stfpm3d.runtime.logs import progress

FWHM_PER_SIGMA = float(np.sqrt(8 * np.log(2)))

log = logging.getLogger(__name__)


def outside_minimum(values: NDArray, support: Volume) -> Volume:
    """A map (X, Y, Z) with its minimum over the support everywhere else: what was not seen counts as healthy."""
    data = np.where(support.data, values, values[support.data].min())
    return Volume(data.astype(np.float32), support.affine)


def smoothed(anomaly_map: Volume, support: Volume, fwhm_mm: float) -> Volume:
    """A map after a Gaussian of `fwhm_mm` inside the support; 0 returns it as it is.

    The Gaussian is normalised by the smoothed support, or the brain's rim would look healthy.
    """
    if fwhm_mm == 0:
        return anomaly_map
    sigma = fwhm_mm / FWHM_PER_SIGMA / anomaly_map.spacing_mm
    inside = support.data
    weight = ndimage.gaussian_filter(inside.astype(np.float32), sigma)
    values = ndimage.gaussian_filter(np.where(inside, anomaly_map.data, 0), sigma)
    return outside_minimum(np.divide(values, weight, out=np.zeros_like(values), where=inside), support)


def image_score(anomaly_map: Volume, brain_mask: Volume) -> float:
    """A scan's score: the maximum of its map (paper, section 3.2), over the template's brain."""
    return float(anomaly_map.data[brain_mask.data].max())


class ScoredMap(NamedTuple):
    """A map on the MNI grid and the scan's score, of a method that does not score by the map's maximum."""

    map: Volume
    score: float


def scored(made: Volume | ScoredMap, brain_mask: Volume) -> ScoredMap:
    """A map with its score, which is `image_score` unless it came with another."""
    return made if isinstance(made, ScoredMap) else ScoredMap(made, image_score(made, brain_mask))


def write_maps(
    scans: pd.DataFrame,
    anomaly_map: Callable[[Mapping[Hashable, Any]], Volume | ScoredMap],
    brain_mask: Volume,
    scores: Path | str,
) -> None:
    """Write one map a scan, and the table of their scores.

    Parameters
    ----------
    scans
        One row a scan: `scan_id`, `map` (the path to write), and what `anomaly_map` reads of a row.
    anomaly_map
        Makes a scan's map on the MNI grid from its row, with its score, NaN for none, if that is not `image_score`.
    brain_mask
        The template's brain mask on the MNI grid.
    scores
        The table to write: `scan_id` and `score` (n/a where there is none).
    """
    values = []
    for number, scan in enumerate(progress(scans.to_dict("records"), "maps"), start=1):
        made = scored(anomaly_map(scan), brain_mask)
        save_volume(scan["map"], made.map)
        values.append(made.score)
        log.info("%s: score %.4g (%d of %d)", scan["scan_id"], values[-1], number, len(scans))
    write_table(scores, scans[["scan_id"]].assign(score=values))

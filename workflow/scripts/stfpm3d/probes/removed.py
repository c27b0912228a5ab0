"""Scores of scans whose lesion was replaced before the network saw them (`imaging.removal`), taken away from its place.

A patient's copy and healthy copies that lost the same region differ by no lesion: a score that still tells them apart
is no evidence that lesions are found.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np

from stfpm3d.imaging.removal import distance_mm
from stfpm3d.imaging.volumes import Volume, load_mask
from stfpm3d.maps.form import ScoredMap

DISTANCES_MM = (6, 30)
"""Beyond the edges of the copy, and beyond a receptive field of the first block."""


def distant_scores(copy: Mapping[Hashable, Any], made: ScoredMap, brain_mask: Volume) -> dict[str, float]:
    """The maxima of a copy's map over brain voxels farther than `DISTANCES_MM` from its region (path `mask`).

    They are called `score_6mm` and so on; NaN where there is no such voxel. It is the map's maximum for every
    method, also for one with a score of its own, which has no place.
    """
    distance = distance_mm(load_mask(copy["mask"]))[brain_mask.data]
    values = made.map.data[brain_mask.data]
    return {
        f"score_{far}mm": float(values[distance > far].max()) if (distance > far).any() else np.nan
        for far in DISTANCES_MM
    }

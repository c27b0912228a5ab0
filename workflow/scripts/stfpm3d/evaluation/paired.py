"""Maps of scans with a synthetic lesion, against the same scans' maps without it."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score

from stfpm3d.imaging.volumes import Volume, load_mask, load_volume
from stfpm3d.maps.form import ScoredMap

DETECTED_SHARE = 0.1
"""A lesion counts as detected where at least this share of it lies above a threshold; one voxel would do by chance."""


def lesion_figures(copy: Mapping[Hashable, Any], made: ScoredMap, brain_mask: Volume) -> dict[str, float]:
    """Measure the map of a scan with a lesion, and the scan's own, inside the template's brain.

    Parameters
    ----------
    copy
        Paths of the lesion's `mask` and of the scan's own map, its `control`, with `score_control`.
    made
        The map of the scan with the lesion, on the MNI grid, and its score.
    brain_mask
        The template's brain mask on the MNI grid.

    Returns
    -------
    `volume_ml`; `ap`, the average precision of the map for the lesion; `level`, what the hottest tenth of the lesion's
    voxels reach, so that the lesion is detected at every threshold up to it; the scan's `score`. The last three stand
    there of the control as well, at the same place: `ap_control` and so on.
    """
    mask = load_mask(copy["mask"])
    inside = mask.data[brain_mask.data]
    figures = {"volume_ml": np.count_nonzero(mask.data) * mask.voxel_ml}
    for name, found in (("", made.map), ("_control", load_volume(copy["control"]))):
        values = found.data[brain_mask.data]
        figures[f"ap{name}"] = float(average_precision_score(inside, values))
        figures[f"level{name}"] = detection_level(values[inside])
    return figures | {"score": made.score, "score_control": copy["score_control"]}


def detection_level(values: NDArray[np.floating]) -> float:
    """The highest threshold that at least `DETECTED_SHARE` of a lesion's values reach."""
    count = int(np.ceil(DETECTED_SHARE * len(values)))
    return float(np.partition(values, len(values) - count)[len(values) - count])

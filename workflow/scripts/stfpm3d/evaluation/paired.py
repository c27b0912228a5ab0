"""Maps of scans with a synthetic lesion, against the same scans' maps without it."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score

from stfpm3d.imaging.maps import ScoredMap, scored
from stfpm3d.imaging.volumes import Volume, load_mask, load_volume
from stfpm3d.study.logs import progress

IDENTITY = ("participant_id", "session_id", "lesion")
DETECTED_SHARE = 0.1
"""A lesion counts as detected where at least this share of it lies above a threshold; one voxel would do by chance."""


def lesion_table(lesions: Sequence[Mapping[str, Any]], files: Mapping[str, Any], scores: Path | str) -> pd.DataFrame:
    """Put a table for `measure_lesions` together.

    Parameters
    ----------
    lesions
        A row a lesion: `scan_id`, `participant_id` (and `session_id`), and the `lesion`'s number.
    files
        Paths in the order of the rows: `images` with lesions, lesion `masks`, `supports` of the scans, and `controls`,
        the maps of the scans without lesion.
    scores
        The table of the controls' scores that `write_maps` wrote.
    """
    paths = {name.removesuffix("s"): files[name] for name in ("images", "masks", "supports", "controls")}
    controls = pd.read_csv(scores, sep="\t").rename(columns={"score": "score_control"})
    return pd.DataFrame(lesions).assign(**paths).merge(controls, on="scan_id", validate="many_to_one")


def measure_lesions(
    lesions: pd.DataFrame, anomaly_map: Callable[[Mapping[Hashable, Any]], Volume | ScoredMap], brain_mask: Volume
) -> pd.DataFrame:
    """Measure the map of each scan with a lesion, and the scan's own, inside the template's brain.

    Parameters
    ----------
    lesions
        The rows of `lesion_table`.
    anomaly_map
        Makes the map of the scan with the lesion on the MNI grid from its row, with its score as for `write_maps`.
    brain_mask
        The template's brain mask on the MNI grid.

    Returns
    -------
    A row a lesion: whose it is, and its number; `volume_ml`; `ap`, the average precision of the map for the lesion;
    `level`, what the hottest tenth of the lesion's voxels reach, so that the lesion is detected at every threshold up
    to it; the scan's `score`. The last three stand there of the control as well, at the same place:
    `ap_control` and so on.
    """
    rows = []
    for lesion in progress(lesions.to_dict("records"), "synthetic lesions"):
        mask = load_mask(lesion["mask"])
        made = scored(anomaly_map(lesion), brain_mask)
        row = {"volume_ml": np.count_nonzero(mask.data) * mask.voxel_ml}
        inside = mask.data[brain_mask.data]
        for name, found in (("", made.map), ("_control", load_volume(lesion["control"]))):
            values = found.data[brain_mask.data]
            row[f"ap{name}"] = float(average_precision_score(inside, values))
            row[f"level{name}"] = detection_level(values[inside])
        row |= {"score": made.score, "score_control": lesion["score_control"]}
        rows.append(row)
    identity = [column for column in IDENTITY if column in lesions]
    return pd.concat([lesions[identity], pd.DataFrame(rows, index=lesions.index)], axis=1)


def detection_level(values: NDArray[np.floating]) -> float:
    """The highest threshold that at least `DETECTED_SHARE` of a lesion's values reach."""
    count = int(np.ceil(DETECTED_SHARE * len(values)))
    return float(np.partition(values, len(values) - count)[len(values) - count])

"""What synthetic lesions say about an experiment: a lesion-detection number that needs no patient."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from stfpm3d.evaluation.protocol import METRIC_COLUMNS
from stfpm3d.imaging.lesions import SIZES_ML, size_of
from stfpm3d.imaging.ranking import auroc, average_precision, ranked
from stfpm3d.imaging.volumes import Volume, load_mask, load_volume
from stfpm3d.maps.form import ScoredMap
from stfpm3d.study.cohort import scan_ids

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
        figures[f"ap{name}"] = float(average_precision(*ranked(values[~inside], values[inside])))
        figures[f"level{name}"] = detection_level(values[inside])
    return figures | {"score": made.score, "score_control": copy["score_control"]}


def detection_level(values: NDArray[np.floating]) -> float:
    """The highest threshold that at least `DETECTED_SHARE` of a lesion's values reach."""
    count = int(np.ceil(DETECTED_SHARE * len(values)))
    return float(np.partition(values, len(values) - count)[len(values) - count])


def detected_lesions(lesions: pd.DataFrame, threshold: float) -> pd.DataFrame:
    """Lesions (see `lesion_figures`) with their `size`, and whether each is `detected` at the threshold.

    `detected_control` says so of the same place without the lesion: what would be called detected by chance. Both are
    missing where there is no threshold (NaN).
    """
    table = lesions.assign(size=lesions["volume_ml"].map(size_of))
    for name in ("", "_control"):
        detected = (lesions[f"level{name}"] >= threshold).astype(float)
        table[f"detected{name}"] = detected if not np.isnan(threshold) else np.nan
    return table


def synthetic_metrics(experiment: str, lesions: pd.DataFrame) -> pd.DataFrame:
    """An experiment's rows of the metrics table (columns `METRIC_COLUMNS`) from its `detected_lesions`.

    `synthetic_ap` is the mean over lesions of their average precision, `synthetic_ap_control` that of the maps without
    them. `synthetic_sensitivity` and, by size, `synthetic_sensitivity_small` and so on are the shares of lesions that
    are detected; `synthetic_sensitivity_control` is that of their places without them. `synthetic_auroc_paired` is the
    AUROC of scans with a lesion against the same scans without it, by their scores: neither site nor scanner can help.
    """
    scan = scan_ids(lesions)
    controls = lesions["score_control"].groupby(scan).first()
    values = {
        "synthetic_ap": lesions["ap"].mean(),
        "synthetic_ap_control": lesions["ap_control"].mean(),
        "synthetic_sensitivity": lesions["detected"].mean(),
        **{
            f"synthetic_sensitivity_{size}": lesions.loc[lesions["size"] == size, "detected"].mean()
            for size in SIZES_ML
        },
        "synthetic_sensitivity_control": lesions["detected_control"].mean(),
        "synthetic_auroc_paired": float(auroc(*ranked(controls.to_numpy(), lesions["score"].to_numpy()))),
    }
    table = pd.DataFrame({"metric": list(values), "value": list(values.values())}).assign(
        experiment=experiment,
        protocol="strict",
        split="test",
        ci_low=np.nan,
        ci_high=np.nan,
        n_healthy=len(controls),
        n_patient=0,
    )
    return table[METRIC_COLUMNS]

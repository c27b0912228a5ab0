"""One pass over anomaly maps and lesion masks: each scan's voxels, and their histograms in the brain and in the crop.

One scan is in memory at a time. Everything lies on the MNI grid; the brain is the template's. Outside the crop or
the scan's support a map is its own minimum, so a lesion that was cut off counts as missed.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import ndimage

from stfpm3d.imaging.ranking import Histogram, histogram, value_bins
from stfpm3d.imaging.volumes import Volume, check_same_grid, load_mask, load_volume

SEGMENTED = int(value_bins(np.ones(1))[0])
"""The threshold of segmentations, maps that are 1 in lesions and 0 elsewhere: the bin that begins at 1."""
TEMPLATE = "the template's brain mask"


def brain_box(brain: NDArray[np.bool_]) -> tuple[slice, slice, slice]:
    """The box around the template's brain."""
    x, y, z = ndimage.find_objects(brain.astype(np.uint8))[0]
    return x, y, z


class ScanVoxels(NamedTuple):
    """The voxels of one scan whose truth is known; those of the lesion are all zero in a healthy scan."""

    scan: Mapping[Hashable, str]
    """Which scan it is: `participant_id`, and `session_id` where the cohort has sessions."""
    group: str
    split: str
    normal: Histogram
    """Voxels inside the template's brain mask that are no lesion."""
    lesion: Histogram
    """Lesion voxels inside the template's brain mask."""
    lesion_outside: int
    """Number of lesion voxels outside the template's brain mask."""
    normal_in_crop: Histogram
    """Voxels inside the crop, brain or not, that are no lesion."""
    lesion_in_crop: Histogram
    """Lesion voxels inside the crop."""
    anomaly_map: NDArray[np.float32]
    """The map (X, Y, Z) in the box around the template's brain; minus infinity where there is no brain."""
    lesion_mask: NDArray[np.bool_]
    """The lesion inside the brain, in the same box."""


def read_voxels(scans: pd.DataFrame, brain_mask: Volume, crop: NDArray[np.bool_] | None = None) -> Iterator[ScanVoxels]:
    """Read every scan's map, and a patient's lesion mask, once.

    What sets a threshold comes before what is measured at it: healthy validation scans, then validation patients, then
    test scans.

    Parameters
    ----------
    scans
        One row a scan: `participant_id` (and `session_id`), `group` (healthy or patient), `split`, `map` (path, MNI
        grid), `lesion_mask` (path or missing). A patient without a mask has no known truth and is left out.
    brain_mask
        The template's brain mask on the MNI grid.
    crop
        Which voxels (X, Y, Z) the networks see (`grid.inside_crop`); None for the whole MNI grid.

    Raises
    ------
    InputError
        When a map or mask is not on the brain mask's grid.
    """
    brain = brain_mask.data
    box = brain_box(brain)
    seen = np.ones_like(brain) if crop is None else crop
    identity = [column for column in ("participant_id", "session_id") if column in scans]
    for scan in scans.sort_values(["split", "group"], ascending=[False, True], kind="stable").to_dict("records"):
        if scan["group"] == "patient" and pd.isna(scan["lesion_mask"]):
            continue
        subject = scan["participant_id"]
        anomaly_map = load_volume(scan["map"], subject)
        check_same_grid(anomaly_map, brain_mask, f"{subject}: {scan['map']}", TEMPLATE)
        lesion = np.zeros(brain_mask.shape, dtype=bool)
        if scan["group"] == "patient":
            mask = load_mask(scan["lesion_mask"], subject)
            check_same_grid(mask, brain_mask, f"{subject}: {scan['lesion_mask']}", TEMPLATE)
            lesion = mask.data
        yield ScanVoxels(
            scan={column: scan[column] for column in identity},
            group=scan["group"],
            split=scan["split"],
            normal=histogram(anomaly_map.data[brain & ~lesion]),
            lesion=histogram(anomaly_map.data[brain & lesion]),
            lesion_outside=int(np.count_nonzero(~brain & lesion)),
            normal_in_crop=histogram(anomaly_map.data[seen & ~lesion]),
            lesion_in_crop=histogram(anomaly_map.data[seen & lesion]),
            anomaly_map=np.where(brain, anomaly_map.data, -np.inf)[box],
            lesion_mask=(brain & lesion)[box],
        )

"""What an anomaly map finds: connected voxels above the threshold, with their size, place and strength."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from stfpm3d.evaluation.lesionwise import components
from stfpm3d.imaging.volumes import Volume, load_volume, resample_like
from stfpm3d.prediction.region_names import plain_name

MIDLINE_MM = 5.0
"""What lies no farther from the mid-sagittal plane has no side."""
MOST_REGIONS = 3
LEAST_SHARE = 0.1
"""Of a finding in a region that is named."""


class Atlas(NamedTuple):
    """Names of places in MNI space."""

    labels: Volume
    names: Mapping[int, str]


class Anomaly(NamedTuple):
    """One finding; millimetres are those of MNI space, RAS+."""

    number: int
    """1 for the largest."""
    volume_ml: float
    """In the scan itself."""
    peak: float
    """Highest value of the map."""
    mean: float
    """Mean value of the map."""
    x_mm: float
    """Of its centre, as `y_mm` and `z_mm`."""
    y_mm: float
    z_mm: float
    side: str
    """both where it reaches farther than 5 mm to either side, else that of its centre: left, right or midline."""
    left_share: float
    """Of its volume, what lies to the left of the mid-sagittal plane; what lies in the plane counts half."""
    rim_mm: float
    """From its highest voxel to the nearest one that is no brain of the scan's."""
    regions: str
    """What of it lies where, the largest part first; n/a without an atlas of the space."""


def read_atlas(labels: Path | str, names: Path | str) -> Atlas:
    """Read an atlas: a label map, and a CSV of `index` and `name`."""
    with Path(names).open(encoding="utf-8", newline="") as file:
        known = {int(row["index"]): row["name"] for row in csv.DictReader(file) if row["name"] != "Unknown"}
    return Atlas(load_volume(labels, "atlas"), known)


def find_anomalies(
    anomaly_map: Volume,
    support: Volume,
    *,
    threshold: float,
    min_ml: float = 0.0,
    native_per_mni: float = 1.0,
    atlas: Atlas | None = None,
) -> list[Anomaly]:
    """List what lies at or above the threshold, voxels that touch by a face, an edge or a corner together.

    Parameters
    ----------
    anomaly_map, support
        The map and the mask of the brain that the scan holds, both on the MNI grid.
    threshold
        In the map's unit.
    min_ml
        Smaller findings are left out; volume in the scan itself.
    native_per_mni
        Volume in the scan of a ml of MNI space: the determinant of the scan's transform.
    atlas
        Of the same space.
    """
    voxel_ml = anomaly_map.voxel_ml * native_per_mni
    labels = components(support.data & (anomaly_map.data >= threshold))
    depths_mm = ndimage.distance_transform_edt(np.pad(support.data, 1), sampling=anomaly_map.spacing_mm)
    depths_mm = np.asarray(depths_mm)[1:-1, 1:-1, 1:-1]
    places = resample_like(atlas.labels, anomaly_map, nearest=True).data if atlas else None
    found = []
    for number, box in enumerate(ndimage.find_objects(labels), start=1):
        voxels = np.argwhere(labels[box] == number) + [part.start for part in box]
        if len(voxels) * voxel_ml < min_ml:
            continue
        values = anomaly_map.data[tuple(voxels.T)]
        x, y, z = (anomaly_map.affine @ np.append(voxels.mean(axis=0), 1))[:3]
        across_mm = voxels @ anomaly_map.affine[0, :3] + anomaly_map.affine[0, 3]
        found.append(
            Anomaly(
                number=0,
                volume_ml=len(voxels) * voxel_ml,
                peak=float(values.max()),
                mean=float(values.mean(dtype=np.float64)),
                x_mm=float(x),
                y_mm=float(y),
                z_mm=float(z),
                side=_side(across_mm, float(x)),
                left_share=float(np.mean((across_mm < 0) + 0.5 * (across_mm == 0))),
                rim_mm=float(depths_mm[tuple(voxels[values.argmax()])]),
                regions=_regions(places[tuple(voxels.T)], atlas.names) if atlas and places is not None else "n/a",
            )
        )
    found.sort(key=lambda anomaly: -anomaly.volume_ml)
    return [anomaly._replace(number=number) for number, anomaly in enumerate(found, start=1)]


def _side(across_mm: NDArray, centre_mm: float) -> str:
    """The side of a finding by where its voxels and its centre lie from left (below 0) to right."""
    if across_mm.min() < -MIDLINE_MM and across_mm.max() > MIDLINE_MM:
        return "both"
    return "midline" if abs(centre_mm) <= MIDLINE_MM else "left" if centre_mm < 0 else "right"


def _regions(labels: NDArray, names: Mapping[int, str]) -> str:
    """The regions that hold most of a finding in plain words, each with its share."""
    indices, counts = np.unique(np.rint(labels).astype(int), return_counts=True)
    shares = sorted(zip(counts / counts.sum(), indices, strict=True), reverse=True)
    known = [
        f"{plain_name(names[index])} {share:.0%}" for share, index in shares if index in names and share >= LEAST_SHARE
    ]
    return ", ".join(known[:MOST_REGIONS]) or "none"

"""Post-processing of finished anomaly maps on the MNI grid, one step at a time: an ablation, off by default.

Only the voxels of a scan's support count; everywhere else the new map is its own minimum, as every map is. All take and
give maps (X, Y, Z), float32.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import numpy as np
from scipy import ndimage
from skimage.morphology import area_opening

from stfpm3d.imaging.template import MIRROR
from stfpm3d.imaging.volumes import Volume, load_mask, resample_like
from stfpm3d.maps.form import MapMaker, Scan, ScoredMap, outside_minimum, scored, smoothed
from stfpm3d.runtime.errors import InputError

Step = Literal["gaussian", "median", "left_right", "erosion", "min_component"]

MIRROR_FWHM_MM = 8.0
"""Smooths the other side of the brain, which lies a few mm off the mirror image of this one."""


def postprocessed(
    anomaly_map: Volume, support: Volume, brain_mask: Volume, *, by: Step, amount: float | None, subject: str = ""
) -> Volume:
    """A scan's map after one step.

    Parameters
    ----------
    anomaly_map, support
        The map and the voxels that the scan holds.
    brain_mask
        The template's brain, from whose surface `erosion` starts.
    by, amount
        The step: `gaussian` (FWHM, mm), `median` (diameter of the ball, mm), `erosion` (depth, mm), `min_component`
        (least volume, ml), or `left_right`, which has no amount.

    Raises
    ------
    InputError
        When an erosion leaves nothing of the scan; `subject` names it.
    """
    if by == "left_right":
        return left_right_ratio(anomaly_map, support)
    assert amount is not None
    if by == "gaussian":
        return smoothed(anomaly_map, support, amount)
    if by == "median":
        return median(anomaly_map, support, amount)
    if by == "erosion":
        return eroded(anomaly_map, support, brain_mask, amount, subject)
    return without_small_components(anomaly_map, support, amount)


def median(anomaly_map: Volume, support: Volume, diameter_mm: float) -> Volume:
    """The median over the voxels whose centres lie in a ball; those outside the support have the value of the nearest
    voxel inside.
    """
    spacing_mm, radius_mm = anomaly_map.spacing_mm, diameter_mm / 2 + 1e-6
    reach = (radius_mm / spacing_mm).astype(int)
    offsets_mm = (np.indices((2 * reach + 1).tolist()).T - reach) * spacing_mm
    distance_mm = np.linalg.norm(offsets_mm, axis=-1).T
    nearest = ndimage.distance_transform_edt(
        ~support.data, sampling=spacing_mm, return_distances=False, return_indices=True
    )
    filled = anomaly_map.data[tuple(np.asarray(nearest))]
    return outside_minimum(ndimage.median_filter(filled, footprint=distance_mm <= radius_mm), support)


def left_right_ratio(anomaly_map: Volume, support: Volume) -> Volume:
    """The map over its mirrored and smoothed counterpart: what both sides show is no anomaly.

    Both count from the map's minimum, and the map's mean is added below the line, so that nothing is divided by zero. A
    voxel whose mirror image lies outside the support has no counterpart and counts as outside.
    """
    values = anomaly_map.data.astype(np.float64)
    low, mean = float(values[support.data].min()), float(values[support.data].mean())
    across = MIRROR @ anomaly_map.affine
    counterpart = Volume(smoothed(anomaly_map, support, MIRROR_FWHM_MM).data, across)
    known = support.data & resample_like(Volume(support.data, across), support, nearest=True).data
    ratio = (values - low) / (resample_like(counterpart, anomaly_map, fill=low).data - low + (mean - low))
    return outside_minimum(ratio, Volume(known, support.affine))


def eroded(anomaly_map: Volume, support: Volume, brain_mask: Volume, depth_mm: float, subject: str = "") -> Volume:
    """The map without the voxels whose centres lie nearer than `depth_mm` to the surface of the brain mask.

    The surface lies half a voxel before the centre of the nearest voxel outside.
    """
    spacing_mm = brain_mask.spacing_mm
    depth = np.asarray(ndimage.distance_transform_edt(brain_mask.data, sampling=spacing_mm)) - spacing_mm.min() / 2
    core = support.data & (depth >= depth_mm - 1e-6)
    if not core.any():
        raise InputError(
            f"{subject}: an erosion of {depth_mm:g} mm leaves nothing of the scan; choose a smaller amount."
        )
    return outside_minimum(anomaly_map.data, Volume(core, support.affine))


def without_small_components(anomaly_map: Volume, support: Volume, least_ml: float) -> Volume:
    """The map of which every threshold leaves 26-connected components of `least_ml` or more.

    A grayscale area opening (Vincent 1993): at any threshold the same voxels are left as by removing the small
    components after the threshold.
    """
    inside = outside_minimum(anomaly_map.data, support)
    least = math.ceil(least_ml / anomaly_map.voxel_ml - 1e-6)
    box = ndimage.find_objects(support.data.astype(np.uint8))[0]
    inside.data[box] = area_opening(inside.data[box], least, connectivity=3)
    return inside


def postprocessed_maps(files: Mapping[str, Path | str], *, by: Step, amount: float | None) -> MapMaker:
    """Makes one step of `postprocessed` of maps; `files` holds the `brain_mask`."""
    brain_mask = load_mask(files["brain_mask"], "template")

    def make(scan: Scan) -> ScoredMap:
        new = postprocessed(*scan.volumes(), brain_mask, by=by, amount=amount, subject=scan.scan_id)
        return scored(new, brain_mask)

    return make

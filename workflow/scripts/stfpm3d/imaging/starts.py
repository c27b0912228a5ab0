"""Where registration begins to search: the places of two images that are brought together first."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from stfpm3d.imaging.background import signal_level
from stfpm3d.imaging.volumes import Volume

BELOW_CROWN_MM = 60.0
"""About half the height of a brain."""


class Start(NamedTuple):
    """Where ANTs begins to search."""

    name: str
    centre: Callable[[Volume], NDArray[np.floating]] | None
    """The point (3,) in mm, RAS+, that both images share at first; None for ANTs' own centre of mass."""
    pitch_deg: float = 0.0
    """How far the head nods to begin with."""
    smoothing: float = 1.0
    """Factor on the width of the Gaussians of all levels."""


def _middle(volume: Volume) -> NDArray[np.floating]:
    """The middle of the field of view."""
    return _world(volume, (np.array(volume.shape) - 1) / 2)


def _below_crown(volume: Volume) -> NDArray[np.floating]:
    """The middle of the upper part of what has signal, `BELOW_CROWN_MM` below its highest point.

    Neither a neck with shoulders nor a cut through the head moves it as it moves the centre of mass.
    """
    places = _world(volume, np.argwhere(volume.data > signal_level(volume)))
    crown_mm = np.percentile(places[:, 2], 99.9)
    x, y, _ = places[places[:, 2] > crown_mm - 2 * BELOW_CROWN_MM].mean(axis=0)
    return np.array([x, y, crown_mm - BELOW_CROWN_MM])


def _world(volume: Volume, voxels: NDArray) -> NDArray[np.floating]:
    """Voxel indices (..., 3) as points in mm, RAS+."""
    return np.asarray(voxels @ volume.affine[:3, :3].T + volume.affine[:3, 3], dtype=np.float64)


STARTS = (
    Start("centre of mass", None),
    Start("crown", _below_crown),
    Start("geometry", _middle),
    Start("crown, smoother", _below_crown, smoothing=2.0),
    Start("crown, chin down", _below_crown, pitch_deg=30.0),
    Start("crown, chin up", _below_crown, pitch_deg=-30.0),
)
"""Tried in turn. The first is the best for ordinary scans; the others are for a neck with shoulders, a cut through the
head, an awkward field of view, and a head far from upright."""


def write_start(start: Start, fixed: Volume, moving: Volume, path: str) -> list[str] | None:
    """Write the transform of MNI points to native points that ANTs begins with; None lets ANTs choose it."""
    if start.centre is None:
        return None
    here, there = ((start.centre(volume) * [-1, -1, 1]).tolist() for volume in (fixed, moving))
    nod = sitk.Euler3DTransform(here, float(np.deg2rad(start.pitch_deg)), 0.0, 0.0)
    begin = sitk.AffineTransform(nod.GetMatrix(), np.subtract(there, here).tolist(), here)
    sitk.WriteTransform(begin, path)
    return [path]

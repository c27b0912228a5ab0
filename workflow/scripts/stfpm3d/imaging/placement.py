"""Where a transform places a scan on the template: figures, and the limits beyond which it is no registration.

The limits are those of real scans (T1w and T2w, whole heads and stripped brains, healthy people and patients) and of
the demo's that were registered well, with a margin.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from stfpm3d.imaging.background import signal_level
from stfpm3d.imaging.orientations import Comparison
from stfpm3d.imaging.volumes import Volume, filled, resample_like

Limits = Mapping[str, tuple[float, float]]

LIMITS: Limits = {
    "volume_ratio": (0.4, 1.8),  # 0.56 to 1.24; a child's or a wasted brain is smaller
    "shortest_axis": (0.6, 1.4),  # 0.74 to 1.05
    "longest_axis": (0.7, 1.5),  # 0.86 to 1.11
    "rotation_deg": (0.0, 60.0),  # 1 to 34
    "centre_mm": (0.0, 40.0),  # 0.3 to 7.7
    "overlap": (0.6, 1.0),  # 0.93 to 1.00; a part of the brain may be cut off
    "similarity": (0.4, 1.0),  # 0.52 to 0.81; 2 cm off 0.34 at most, scaled by 1.25 0.37, in a wrong orientation 0.46
    "margin": (0.1, 2.0),  # 0.21 to 0.45; in a wrong orientation 0.08 at most
    "lead": (-0.1, 2.0),  # 0.07 to 0.32; 2 cm or 20 degrees off -0.18 at most
}
"""Least and most of each figure, and beside it what was observed."""
IN_PLACE = {**LIMITS, "similarity": (0.2, 1.0), "margin": (0.0, 2.0)}
"""Those of a scan that is not registered, but lies in the template's space as its header says.

Anatomy then differs by the size and form of heads: demo heads in place have a similarity of 0.27 to 0.69, a margin of
0.06 to 0.39 and a lead of -0.02 to 0.38. It must fit no other orientation better.
"""
LIKELY_SIMILARITY = 0.5
"""Below it a result is doubted, as where the lead is below 0, though it may be right."""


class Target(NamedTuple):
    """What a scan is registered to, on one grid."""

    image: Volume
    """The template's head, or its brain for a scan without skull."""
    brain_mask: Volume
    skull_stripped: bool
    """Of the scan and the image."""


class Placement(NamedTuple):
    """Figures of one transform, which maps points of MNI space to the scan's (mm)."""

    volume_ratio: float
    """Volume of the scan's head by that of the template's; negative where the transform mirrors."""
    shortest_axis: float
    longest_axis: float
    """Factors by which the transform stretches the template least and most."""
    rotation_deg: float
    """Angle of its rotation about any axis."""
    centre_mm: float
    """Distance of the middle of what the registered scan shows from that of the template."""
    overlap: float
    """Share of the template's brain in which a whole head has signal; a stripped scan's Dice with it."""
    similarity: float
    """How well the scan tells the template in the median block (`local_similarity`), times the share of it seen."""
    margin: float
    """By how much that is more than in the best of the 23 other orientations of a cube."""
    lead: float
    """By how much it is more than in the best place 2 cm or 20 degrees off, or scaled by 1.25."""


def measure_placement(scan: Volume, transform: sitk.Transform, target: Target) -> Placement:
    """Measure a transform of a scan (native grid, background 0), which maps points of MNI space to the scan's."""
    image, brain = target.image, target.brain_mask.data
    matrix, axes, angle = _linear_part(transform)
    level = 0.0 if target.skull_stripped else signal_level(scan)
    registered = resample_like(scan, image, transform=transform)
    own = filled(registered.data > level)
    shared = own & brain
    overlap = 2 * shared.sum() / (own.sum() + brain.sum()) if target.skull_stripped else shared.sum() / brain.sum()
    fit = Comparison(scan, image, target.brain_mask).fit(transform)
    return Placement(
        volume_ratio=float(np.linalg.det(matrix)),
        shortest_axis=float(axes[-1]),
        longest_axis=float(axes[0]),
        rotation_deg=angle,
        centre_mm=_centre_distance_mm(own, image),
        overlap=float(overlap),
        similarity=fit.similarity,
        margin=fit.similarity - fit.orientations[0].similarity,
        lead=fit.similarity - fit.beside,
    )


def doubtful(placement: Placement) -> bool:
    """Whether a transform may be wrong, or is: another one should be tried."""
    return placement.similarity < LIKELY_SIMILARITY or placement.lead < 0 or misplaced(placement) is not None


def misplaced(placement: Placement, limits: Limits = LIMITS) -> str | None:
    """The first figure beyond its limits, as a clause for a message; None where all lie within."""
    for name, (low, high) in limits.items():
        value = getattr(placement, name)
        if not low <= value <= high:  # NaN is beyond all limits
            return f"{name} {value:.3g}, expected {low:g} to {high:g}"
    return None


def _linear_part(transform: sitk.Transform) -> tuple[NDArray, NDArray, float]:
    """The matrix (3, 3) of a transform, its stretching factors (3,) from large to small, and its angle in degrees."""
    linear = transform.GetNthTransform(0) if isinstance(transform, sitk.CompositeTransform) else transform
    origin = np.array(linear.TransformPoint((0.0, 0.0, 0.0)))
    matrix = np.stack([np.array(linear.TransformPoint(axis)) - origin for axis in np.eye(3).tolist()], axis=1)
    left, axes, right = np.linalg.svd(matrix)
    turn = left @ right
    if np.linalg.det(turn) < 0:
        return matrix, axes, 180.0
    sine, cosine = np.linalg.norm(turn - turn.T) / np.sqrt(8), (np.trace(turn) - 1) / 2
    return matrix, axes, float(np.rad2deg(np.arctan2(sine, cosine)))


def _centre_distance_mm(own: NDArray, template: Volume) -> float:
    """Distance of the centre of what a registered scan has from that of the template, each equally weighted."""
    if not own.any():
        return float("inf")
    there = template.data > 0.1 * np.percentile(template.data, 99)
    difference = np.argwhere(own).mean(axis=0) - np.argwhere(there).mean(axis=0)
    return float(np.linalg.norm(template.affine[:3, :3] @ difference))

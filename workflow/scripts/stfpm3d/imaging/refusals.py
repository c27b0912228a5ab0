"""Why a scan could not be brought to the template: the sentence that says what was found, and what to do."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import SimpleITK as sitk

from stfpm3d.imaging.coarse import centred, estimate_affine
from stfpm3d.imaging.orientations import Comparison, describe
from stfpm3d.imaging.placement import IN_PLACE, Placement, Target, doubtful, measure_placement, misplaced
from stfpm3d.imaging.volumes import Volume

RIVALS = 3
"""Orientations that are tried. Of 36 real scans that were turned the right one was the best 35 times, and
once the second."""


def fits_when_turned(
    scan: Volume, moving: Volume, transform: sitk.Transform, target: Target, seed: int
) -> tuple[str, Placement] | None:
    """The orientation in which a scan is registered well, in words, and how it lies then; None where there is none.

    Parameters
    ----------
    scan
        Native grid, background 0.
    moving
        The same scan as transforms are estimated on it.
    transform
        Where its own orientation led to, as a map of MNI points.
    """
    comparison = Comparison(moving, target.image, target.brain_mask)
    rivals = comparison.rivals([transform, centred(moving, target)])[:RIVALS]
    for turn in (rival.turn for rival in rivals):
        back = np.eye(4)
        back[:3, :3] = turn.T
        turned, turned_moving = (Volume(each.data, back @ each.affine) for each in (scan, moving))
        try:
            found = estimate_affine(turned_moving, target, seed)
        except RuntimeError:  # the images do not overlap: not this one
            continue
        placement = measure_placement(turned, found, target)
        if not doubtful(placement):
            return describe(turn), placement
    return None


def wrongly_turned(who: str, turn: str, placement: Placement) -> str:
    """The sentence for a scan that fits in another orientation than its header's."""
    return (
        f"{who} does not lie as its header says: it fits the template (similarity {placement.similarity:.2f}) when"
        f" {turn}; correct the header, best by converting the scan again, or exclude it."
    )


def unregistered(placements: Sequence[Placement], kind: str, who: str) -> str:
    """The sentence for a scan that no start brought to the template; `placements` are the results beyond limits."""
    if not placements:
        return f"{who} cannot be registered to the template: no transform is found; look at the scan, or exclude it."
    best = max(placements, key=lambda placement: placement.similarity)
    if kind == "none":
        return (
            f"{who} does not lie in the template's space: {misplaced(best, IN_PLACE)} (registration.transform none);"
            " choose another transform, or correct the scan's affine."
        )
    return (
        f"{who} cannot be registered to the template: of {len(placements)} starts the best result has"
        f" {misplaced(best)}; look at the scan's orientation and its skull_stripped column, or exclude it."
    )

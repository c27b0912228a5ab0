"""Skull stripping with the template's brain mask ("a prefabricated mask", paper, 4.1)."""

from __future__ import annotations

import numpy as np

from stfpm3d.imaging.volumes import Volume, filled
from stfpm3d.runtime.errors import InputError

MIN_BRAIN_SHARE = 0.1
"""Least share of the template's brain that a registered scan must cover."""


def brain_support(image: Volume, brain_mask: Volume, subject: str = "") -> Volume:
    """The voxels of a registered scan that are brain: the template's mask where the scan has signal.

    Signal is everything but the zeros outside; holes in it are filled. So an already stripped scan keeps its own
    outline, and what lies beyond a cut field of view is left out.

    Parameters
    ----------
    image
        Scan on the MNI grid, 0 outside its field of view or its brain.
    brain_mask
        The template's brain mask on the same grid.

    Raises
    ------
    InputError
        When almost no brain is left: the registration went astray.
    """
    support = brain_mask.data & filled(image.data != 0)
    share = support.sum() / brain_mask.data.sum()
    if share < MIN_BRAIN_SHARE:
        raise InputError(
            f"{subject}: the registered scan covers {share:.0%} of the template's brain, expected"
            f" {MIN_BRAIN_SHARE:.0%} or more; check its skull_stripped column and its orientation."
        )
    return Volume(support, image.affine)


def strip(image: Volume, support: Volume) -> Volume:
    """The scan with everything outside its support set to 0."""
    return Volume(np.where(support.data, image.data, 0).astype(np.float32), image.affine)

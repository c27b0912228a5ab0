"""Whether a scan is of the contrast that an experiment was trained on, as its standardized brain shows."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from stfpm3d.imaging.volumes import Volume
from stfpm3d.runtime.errors import InputError
from stfpm3d.study.bids_names import CONTRAST, stem

FIFTHS = (0, 2, 4)
"""Those of the brain whose order is compared: the darkest, the middle and the brightest of the healthy mean, in T1w
mostly CSF, grey and white matter. What lies between them is a mixture of tissues."""
PLACE_MM = 24.0
LEAST_ML = 0.16
"""Of a fifth in a place, for its median to count."""
LEAST_SIDE = 0.25
"""Share of the brain that a side must hold to speak for it."""
SAMPLING_MM = 2.0
OTHER_CONTRAST = 0.7
"""Likeness below which a scan is refused (docs/predict.md has what it was chosen by)."""
UNUSUAL = 0.85
"""Likeness below which a scan is predicted with a note."""


class Limits(NamedTuple):
    """Likenesses below which a scan is refused, or predicted with a note."""

    refused: float
    usual: float


class HealthyMean(NamedTuple):
    """Mean of healthy training scans (X, Y, Z), in SDs of the brain, and where two or more of them hold a voxel."""

    mean: NDArray[np.float32]
    known: NDArray[np.bool_]


def read_healthy_mean(statistics: Path | str) -> HealthyMean:
    """Take the mean from the statistics of the z-score (.npz, see `maps.baselines`)."""
    with np.load(statistics) as arrays:
        return HealthyMean(arrays["mean"].astype(np.float32), arrays["n"] >= 2)


def likeness(image: Volume, support: Volume, healthy: HealthyMean) -> float:
    """Share of a standardized scan's places in which tissues have the healthy mean's order of brightness, from 0 to 1.

    The brain is cut into fifths by the healthy mean. In each cube of `PLACE_MM` the medians of the darkest and the
    middle fifth are compared, and those of the middle and the brightest; a cube counts by the smaller volume of both.
    The worse pair counts: FLAIR and T1w differ in one of them alone. The better side of the brain counts: a lesion
    spoils the places near it, on its side. An order knows no unit, gain or bias. Noise has 0.5, the negative 0.

    Parameters
    ----------
    image, support
        The standardized scan and its brain (MNI grid, the mid-sagittal plane at x = 0 mm).
    healthy
        On the same grid.

    Returns
    -------
    0 where nothing can be compared.
    """
    thinned = tuple(slice(None, None, max(1, round(SAMPLING_MM / mm))) for mm in image.spacing_mm)
    inside = np.zeros(image.shape, dtype=bool)
    inside[thinned] = (support.data & healthy.known)[thinned]
    if not inside.any():
        return 0.0
    expected = healthy.mean[inside]
    fifth = np.searchsorted(np.quantile(expected, [0.2, 0.4, 0.6, 0.8]), expected)
    of_tissue = np.isin(fifth, FIFTHS)
    voxels = np.argwhere(inside)[of_tissue]
    cubes = np.floor((voxels @ image.affine[:3, :3].T + image.affine[:3, 3]) / PLACE_MM).astype(int)
    table = pd.DataFrame({"place": cubes @ (1, 10**3, 10**6), "fifth": fifth[of_tissue]})
    table["found"] = image.data[inside][of_tissue]
    sampled_ml = image.voxel_ml * float(np.prod([part.step for part in thinned]))
    least = max(1, round(LEAST_ML / sampled_ml))
    left = cubes[:, 0] < 0
    sides = [table[side] for side in (left, ~left) if side.sum() >= LEAST_SIDE * len(table)]
    return max(_share_in_order(side, least) for side in sides)


def _share_in_order(voxels: pd.DataFrame, least: int) -> float:
    """The share of the places in which the brighter fifth is brighter, of the worse of both pairs; ties count half."""
    tables = (
        voxels.pivot_table("found", index="place", columns="fifth", aggfunc=how).reindex([*FIFTHS], axis="columns")
        for how in ("median", "size")
    )
    medians, sizes = (table.to_numpy(np.float64) for table in tables)
    shares = []
    for darker, brighter in itertools.pairwise(range(len(FIFTHS))):
        volumes = np.minimum(sizes[:, darker], sizes[:, brighter])
        counted = volumes >= least
        if not counted.any():
            return 0.0
        signs = np.sign(medians[counted, brighter] - medians[counted, darker])
        shares.append(float(np.average((1 + signs) / 2, weights=volumes[counted])))
    return min(shares)


def check_suffix(image: Path | str, modality: str, who: str) -> None:
    """Raise `InputError` when a scan's name, by its suffix of BIDS, says that it is of another contrast."""
    named = CONTRAST.search(stem(Path(image)))
    if named and named[1] != modality:
        raise InputError(
            f"{who} is a {named[1]} scan by its name, and the bundle was trained on {modality}; give a {modality} scan,"
            " or correct the name."
        )


def contrast_limits(least: float) -> Limits:
    """The limits of a bundle, by the least likeness of its validation scans, patients among them.

    They are absolute, since a share has no unit: one scan of validation is as good as a hundred. Only where a scan of
    validation is less alike itself, a limit comes down to it: none of them is refused or noted.
    """
    return Limits(min(OTHER_CONTRAST, least), min(UNUSUAL, least))


def check_likeness(found: float, least: float, modality: str, who: str) -> str:
    """Say in a sentence what is unusual about a scan's contrast; nothing where nothing is.

    Parameters
    ----------
    found
        The scan's `likeness`.
    least
        The least of the validation scans'.
    modality, who
        For the message: the bundle's contrast, and the scan and its file.

    Raises
    ------
    InputError
        When it is another contrast.
    """
    limits = contrast_limits(least)
    told = f"in {found:.1%} of its places the tissues have the order of brightness that they have in healthy scans"
    if not found >= limits.refused:
        raise InputError(
            f"{who} does not look like the {modality} scans that the bundle was trained on: {told}, expected"
            f" {limits.refused:.1%} or more; give a {modality} scan, or look at how it was registered."
        )
    if found < limits.usual:
        return (
            f"The contrast is unusual: {told}, {limits.usual:.1%} or more are usual. Make sure that it is a {modality}"
            " scan and lies on the template; a very large lesion has the same effect."
        )
    return ""

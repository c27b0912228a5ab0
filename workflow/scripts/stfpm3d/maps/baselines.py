"""Anomaly maps without learning, on the MNI grid: raw intensity and the voxel-wise z-score.

Both start from standardized scans (Nyul, then z-normalised over brain voxels), so intensities are in SDs of the scan's
own brain. Outside the scan's support a map is its minimum.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from stfpm3d.imaging.volumes import Volume, load_mask
from stfpm3d.maps.form import MapMaker, Scan, ScoredMap, less_mirrored, outside_minimum, scored, smoothed


class NormativeStatistics(NamedTuple):
    """Per-voxel intensities of healthy scans, each (X, Y, Z): mean, SD, and how many scans' supports hold the voxel."""

    mean: NDArray[np.float32]
    sd: NDArray[np.float32]
    n: NDArray[np.int32]


def intensity_map(
    image: Volume, support: Volume, lesion_sign: int, *, smoothing_mm: float = 0, mirror_share: float = 0
) -> Volume:
    """Raw intensity as anomaly, of lesions that are bright (sign 1) or dark (-1).

    It is smoothed by a Gaussian of `smoothing_mm` (FWHM), and a share of its mirror image across the midline is taken
    from it: with 1 it is what a side has more than the other.
    """
    brightness = smoothed(Volume(lesion_sign * image.data, image.affine), support, smoothing_mm)
    return outside_minimum(less_mirrored(brightness, support, mirror_share).data, support)


def fit_statistics(scans: Iterable[tuple[Volume, Volume]]) -> NormativeStatistics:
    """Mean and SD (n - 1) per voxel over healthy training scans, each an (image, support) pair, in one streaming pass.

    Welford's update, so that nothing cancels and memory stays that of three volumes.
    """
    n, mean, squares = np.int32(0), np.float64(0), np.float64(0)
    for image, support in scans:
        inside = support.data
        n = n + inside.astype(np.int32)
        deviation = np.where(inside, image.data - mean, 0.0)
        mean = mean + deviation / np.maximum(n, 1)
        squares = squares + deviation * np.where(inside, image.data - mean, 0.0)
    sd = np.sqrt(squares / np.maximum(n - 1, 1))
    return NormativeStatistics(np.asarray(mean, np.float32), np.asarray(sd, np.float32), np.asarray(n, np.int32))


def zscore_map(
    image: Volume, support: Volume, statistics: NormativeStatistics, *, sd_floor: float = 0.1, smoothing_mm: float
) -> Volume:
    """|x - mean| / SD against healthy scans, then a Gaussian inside the support.

    The SD is never taken below `sd_floor` (SDs of the brain). `smoothing_mm` is the Gaussian's FWHM, 0 for none.
    Voxels that fewer than two healthy scans hold have no SD and count as outside.
    """
    known = Volume(support.data & (statistics.n >= 2), support.affine)
    z = np.abs(image.data - statistics.mean) / np.maximum(statistics.sd, sd_floor)
    return outside_minimum(smoothed(Volume(z, known.affine), known, smoothing_mm).data, known)


def intensity_maps(
    files: Mapping[str, Path | str], *, lesion_sign: int, smoothing_mm: float, mirror_share: float
) -> MapMaker:
    """Makes maps of intensity (see `intensity_map`); `files` holds the `brain_mask`."""
    brain_mask = load_mask(files["brain_mask"], "template")

    def make(scan: Scan) -> ScoredMap:
        made = intensity_map(*scan.volumes(), lesion_sign, smoothing_mm=smoothing_mm, mirror_share=mirror_share)
        return scored(made, brain_mask)

    return make


def zscore_maps(files: Mapping[str, Path | str], *, smoothing_mm: float) -> MapMaker:
    """Makes maps of z-scores; `files` holds the `brain_mask` and the `statistics` (.npz of `NormativeStatistics`)."""
    brain_mask = load_mask(files["brain_mask"], "template")
    with np.load(files["statistics"]) as arrays:
        statistics = NormativeStatistics(**arrays)

    def make(scan: Scan) -> ScoredMap:
        return scored(zscore_map(*scan.volumes(), statistics, smoothing_mm=smoothing_mm), brain_mask)

    return make

"""What surrounds the head or the brain in a scan as it came: its value, its extent, and what that says of the scan."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray

from stfpm3d.imaging.volumes import Volume, filled, load_volume, to_sitk
from stfpm3d.runtime.errors import InputError

MAX_BRAIN_ML = 2500.0
"""No brain is larger, and adult heads are at least twice as large (44 real scans: brains 1100-1900 ml, heads 5000 ml
and more)."""
MIN_FREE_SHARE = 0.95
"""Least share of background on the faces of a stripped brain's bounding box (real ones: 0.99); the neck, or a slab's
cut, leaves less."""
MAX_LESION_ML = 700.0
"""No lesion is larger; a brain mask is."""
OUTLYING = 5.0
"""Values this many times the spread of all (0.1th to 99.9th percentile) beyond it are extreme. No tissue, vessel or fat
of the 48 real scans tried lies farther than 2.3."""
MAX_REACH = 1e5
"""Largest distance between two values, in spreads: single precision has seven digits."""
MAX_GAP = 2.0
"""Largest distance, in spreads, between the background and the least other value; stripped T2w brains have 0.3."""
MAX_BELOW = 0.05
"""Largest share of what is not background that lies below it, as after interpolation by splines."""
LIFT = 0.001
"""How far, in spreads, what is lifted above the background keeps from it."""
MAX_NOISE_FLOOR = 0.001
"""Noise that begins this near to 0, in spreads, is not shifted: magnitudes begin at 0."""
GREY_VALUES = 4096
"""As many as 12 bits have. A power of 2, so that no whole share of a smaller one lies half-way between two numbers."""
MOUTH_VOXELS = 3
"""How far background reaches into gaps that are no wider than two voxels; farther in they are sheets of tissue."""
MIN_PADDED_FACES = 0.02
"""Least share of the volume's faces that padding takes."""
MIN_CUT_MM2 = 5000.0
"""Least area of a cut through a head or brain: a neck has 10000 mm2, the first slice of a crown, even 5.5 mm thick,
2600."""


def load_scan(path: Path | str, subject: str = "") -> Volume:
    """Read a scan as it came, with background 0 and no padding, whatever shift its intensities have.

    Raises
    ------
    InputError
        When the file is no scan (`volumes.load_volume`), or a voxel lies so far from the others that single precision
        leaves nothing of their contrast beside it.
    """
    scan = load_volume(path, subject)
    measured = scan.data[~_padding(scan.data)]
    reach, width = float(np.ptp(measured)), _spread(measured).width
    if reach > MAX_REACH * width > 0:
        who = f"{subject}: {path}" if subject else str(path)
        raise InputError(
            f"{who} holds values {reach:g} apart, where nearly all lie within {width:g}; expected at most"
            f" {MAX_REACH:g} times as much: clip the scan, or exclude it."
        )
    return zero_background(scan)


def background_value(data: NDArray) -> float | None:
    """The one value around the object (X, Y, Z): what most voxels of the volume's faces have; None if they differ."""
    values, counts = np.unique(_faces(data), return_counts=True)
    commonest = counts.argmax()
    return float(values[commonest]) if counts[commonest] > 0.5 * counts.sum() else None


def zero_background(scan: Volume) -> Volume:
    """The scan with its intensities shifted so that the background is 0, as all stages take it to be.

    Values that stand for nothing (-1, -1024), the padding around a field of view, and the shift of a z-normalised scan
    vanish. Where the background is one value and what it surrounds lies on both sides of it (a brain, z-normalised,
    then set to 0 outside), all that is not background is lifted above it, brain of that very value too. Noise is
    shifted to begin at 0. So the result depends neither on a shift nor, but for its unit, on a positive scale. The few
    values that then lie below the background, of interpolation or noise, become 0; a scan without any whose background
    is 0 stays as it is.
    """
    data = _with_level(scan, _padding(scan.data))[0]
    value = background_value(data)
    if value is not None:
        data, zero = _with_level(Volume(data, scan.affine), data == value)
    else:
        spread = _spread(data)
        zero = 0.0 if 0 <= spread.least <= MAX_NOISE_FLOOR * spread.width else spread.least
    return Volume(np.maximum(data - np.float32(zero), 0), scan.affine)


def without_outliers(scan: Volume) -> Volume:
    """A scan with background 0, its extreme voxels clipped, as something is estimated from it.

    An ordinary scan has none.
    """
    return Volume(np.minimum(scan.data, np.float32(_spread(scan.data[scan.data != 0]).most)), scan.affine)


def in_whole_numbers(scan: Volume) -> Volume:
    """A scan (background 0) of few grey values, counted from 0 to `GREY_VALUES`; one of many stays as it is.

    The same scan in another unit (a slope in its header, a shift, a scale) has other roundings, which are enough to
    end an optimisation a tenth of a millimetre elsewhere; it has the same whole numbers.
    """
    if len(np.unique(scan.data)) > GREY_VALUES:
        return scan
    counted = np.rint(scan.data * (GREY_VALUES / float(scan.data.max())))
    return Volume(counted.astype(np.float32), scan.affine)


def signal_level(scan: Volume) -> float:
    """Above it a scan with background 0 has signal, in dark tissue too: half of Otsu's threshold."""
    otsu = sitk.OtsuThresholdImageFilter()
    otsu.Execute(to_sitk(without_outliers(scan)))
    return otsu.GetThreshold() / 2


def without_padding(scan: Volume) -> Volume:
    """The part of a scan (background 0) that was measured, where the head or brain was cut and the rest filled up.

    Slices of one value at an end of the volume are taken off if the next one cuts through much of the object:
    registration would take them for air. Those beside an uncut head or brain are air, and stay.
    """
    box = [slice(0, size) for size in scan.shape]
    areas_mm2 = 1000 * scan.voxel_ml / scan.spacing_mm
    for axis in range(3):
        slices = np.moveaxis(scan.data, axis, 0).reshape(scan.shape[axis], -1)
        filled = np.flatnonzero(slices.min(axis=1) != slices.max(axis=1))
        first, last = int(filled[0]), int(filled[-1])
        cut = [np.count_nonzero(slices[end]) * areas_mm2[axis] >= MIN_CUT_MM2 for end in (first, last)]
        box[axis] = slice(first if cut[0] else 0, last + 1 if cut[1] else scan.shape[axis])
    affine = scan.affine.copy()
    affine[:3, 3] += affine[:3, :3] @ [part.start for part in box]
    return Volume(np.ascontiguousarray(scan.data[tuple(box)]), affine)


def looks_skull_stripped(scan: Volume) -> bool:
    """Whether a scan with background 0 is a brain alone.

    A brain is no larger than one, and nearly all of the faces of its box are background.
    """
    foreground = filled(scan.data != 0)
    if foreground.sum() * scan.voxel_ml > MAX_BRAIN_ML or not foreground.any():
        return False
    places = np.argwhere(foreground)
    box = tuple(slice(low, high + 1) for low, high in zip(places.min(axis=0), places.max(axis=0), strict=True))
    return bool(1 - _faces(foreground[box]).mean() >= MIN_FREE_SHARE)


def check_skull_stripped(scan: Volume, skull_stripped: bool, subject: str, path: Path | str) -> None:
    """Raise `InputError` when a scan with background 0 is plainly not what its `skull_stripped` column says."""
    volume_ml = float(filled(scan.data != 0).sum() * scan.voxel_ml)
    if skull_stripped and volume_ml > MAX_BRAIN_ML:
        raise InputError(
            f"{subject}: {path} is no skull-stripped brain: {volume_ml:.0f} ml differ from the background, expected at"
            f" most {MAX_BRAIN_ML:.0f}; set skull_stripped to false, or set everything outside the brain to 0."
        )
    if not skull_stripped and looks_skull_stripped(scan):
        raise InputError(
            f"{subject}: {path} is skull-stripped: only {volume_ml:.0f} ml differ from the background, expected a whole"
            f" head of more than {MAX_BRAIN_ML:.0f}; set skull_stripped to true."
        )


def check_lesion(lesion: Volume, scan: Volume, subject: str, path: Path | str) -> None:
    """Raise `InputError` when a mask on the grid of its scan (background 0) cannot be that scan's lesion."""
    if not lesion.data.any():
        raise InputError(f"{subject}: {path} is empty; expected a lesion: write n/a where a patient has no mask.")
    volume_ml = float(lesion.data.sum() * lesion.voxel_ml)
    if volume_ml > MAX_LESION_ML:
        raise InputError(
            f"{subject}: {path} marks {volume_ml:.0f} ml, expected a lesion of at most {MAX_LESION_ML:.0f};"
            " is it a brain mask? Give the lesion's, or n/a."
        )
    outside = float((scan.data[lesion.data] == 0).mean())
    if outside > 0.5:
        raise InputError(
            f"{subject}: {outside:.0%} of the lesion in {path} lies on its scan's background; give this scan's own"
            " mask."
        )


def _faces(data: NDArray) -> NDArray:
    """All voxels of the six faces of (X, Y, Z), edges several times."""
    return np.concatenate([np.take(data, side, axis).ravel() for axis in range(3) for side in (0, -1)])


def _padding(data: NDArray) -> NDArray[np.bool_]:
    """Where (X, Y, Z) a volume was filled up by one value far below all others."""
    padding = data == data.min()
    if _faces(padding).mean() < MIN_PADDED_FACES:
        return np.zeros_like(padding)
    value, inside = float(data.min()), data[~padding]
    spread = _spread(inside)
    far = spread.least - value > MAX_GAP * spread.width > 0
    return padding if far or _stands_for_nothing(value, inside, spread) else np.zeros_like(padding)


def _with_level(scan: Volume, background: NDArray[np.bool_]) -> tuple[NDArray, float]:
    """The voxels with their background at the level from which the other values count, and that level."""
    data = scan.data
    if not background.any() or background.all():
        return data, 0.0
    value, inside = float(data[background][0]), data[~background]
    spread = _spread(inside)
    near = spread.width == 0 or spread.least - value <= MAX_GAP * spread.width
    if _stands_for_nothing(value, inside, spread):
        level = 0.0
    elif near and _share_below(inside, value) <= MAX_BELOW:
        return data, value
    else:
        level = spread.least - LIFT * spread.width
        background = background & ~_brain_of_value(scan, value)
    return np.where(background, np.float32(level), data), level


def _brain_of_value(scan: Volume, value: float) -> NDArray[np.bool_]:
    """Which voxels (X, Y, Z) of the background's value are brain, where a brain has values on both sides of it.

    What it encloses is brain. Other voxels are sheets of tissue of one grey value, which reach the outside, or gaps
    between gyri. A grey value is about as frequent as the next ones: if that needs them, they are tissue. In a whole
    head nothing is told from the air and the bone in it.
    """
    from scipy import ndimage  # whose import every scan's job would pay for

    at = scan.data == value
    lower, upper = scan.data[scan.data < value], scan.data[scan.data > value]
    if not (len(lower) and len(upper) and looks_skull_stripped(Volume(~at, scan.affine))):
        return np.zeros_like(at)
    enclosed = at & filled(~at)
    wide = ndimage.binary_erosion(at, border_value=1)
    regions = np.asarray(ndimage.label(wide)[0])
    outer = wide & np.isin(regions, np.unique(_faces(regions)))  # from where a way leads outside
    found = at & ~ndimage.binary_dilation(outer, iterations=1 + MOUTH_VOXELS, mask=at) | enclosed
    expected = max(np.count_nonzero(lower == lower.max()), np.count_nonzero(upper == upper.min()))
    return found if expected / 2 <= np.count_nonzero(found) <= 2 * expected else enclosed


def _stands_for_nothing(value: float, inside: NDArray, spread: _Spread) -> bool:
    """Whether a negative background surrounds values that count from 0 (but for a few, of some interpolation)."""
    return value < 0 and spread.least >= value / 20 and _share_below(inside, 0) <= MAX_BELOW


def _share_below(values: NDArray, level: float) -> float:
    return float((values < level).mean())


class _Spread(NamedTuple):
    """What a set of values spans but for its extremes."""

    least: float
    most: float
    width: float
    """Of the middle 99.8 %."""


def _spread(values: NDArray) -> _Spread:
    low, high = (float(value) for value in np.percentile(values, (0.1, 99.9)))
    reach = OUTLYING * (high - low)
    return _Spread(max(low - reach, float(values.min())), min(high + reach, float(values.max())), high - low)

"""Synthetic lesions in healthy scans: the same scan without its lesion is the control that no patient has.

Three families are kept apart. *Grown* lesions, or real masks, measure detection on test scans; *blobs* choose a
student's epoch on validation scans; those that a denoising student trains on are made in `learning.corruption`.
Intensities are those of standardized scans, in SDs of the brain.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray
from scipy import ndimage
from scipy.spatial.transform import Rotation

from stfpm3d.imaging.fields import smooth_noise
from stfpm3d.imaging.volumes import Volume, from_sitk, load_mask, resample_like, save_volume, to_sitk
from stfpm3d.runtime.errors import InputError

Mask = NDArray[np.bool_]
Box = tuple[slice, ...]

SIZES_ML = {"small": (0.5, 2.0), "medium": (2.0, 10.0), "large": (10.0, 50.0)}
"""Volumes of each size of grown lesions; within one they are log-uniform."""
SHIFT_SD = (1.0, 3.0)
"""How far a lesion's mean lies from the median of the tissue that it replaces."""
REPLACED = 0.7
"""Share of the tissue that a lesion replaces: some of the anatomy shows through."""
TEXTURE_SD = 0.3
TEXTURE_MM = 4.0
EDGE_VOXELS = 0.6
"""Gaussian sigma of the partial volume at a lesion's edge; it ends after two voxels."""
START_DEPTH_MM = 8.0
"""Least depth below the brain's surface at which a lesion begins to grow."""
RAGGEDNESS, RAGGED_MM = 0.7, 6.0
"""SD and width of the logarithm of a front's speed."""
EDGE_RESISTANCE_MM = 4.0
"""How strongly a front slows down where intensity changes, so that it follows tissue (per SD of intensity a mm)."""
BLOB_RAGGEDNESS = 0.3


def lesion_generator(seed: int, scan_id: str, number: int) -> np.random.Generator:
    """The random numbers of one lesion, a function of these three alone."""
    return np.random.default_rng([seed, *hashlib.sha256(f"{scan_id}/{number}".encode()).digest()])


def size_of(volume_ml: float) -> str:
    """The size that a volume counts as: what is below the smallest is small, above the largest large."""
    return next((size for size, (_, high) in SIZES_ML.items() if volume_ml < high), "large")


def drawn_volume_ml(number: int, rng: np.random.Generator) -> float:
    """Volume of a scan's lesion of this number: small, medium and large in turn."""
    low, high = list(SIZES_ML.values())[number % len(SIZES_ML)]
    return float(np.exp(rng.uniform(np.log(low), np.log(high))))


def grown_lesion(scan: Volume, support: Volume, volume_ml: float, rng: np.random.Generator) -> Mask:
    """A lesion (X, Y, Z) that grows from a random place of the scan's tissue until it has `volume_ml`.

    Its front (fast marching) is ragged, slow across edges of the scan, and ends at the support's surface.
    """
    brain = support.data
    depth_mm = ndimage.distance_transform_edt(brain, sampling=scan.spacing_mm)
    low, high = np.percentile(scan.data[brain], (20, 80))  # neither CSF nor what else is extreme
    deep = depth_mm >= min(START_DEPTH_MM, depth_mm.max())
    starts = np.argwhere(deep & (scan.data >= low) & (scan.data <= high))
    if not len(starts):
        starts = np.argwhere(deep)
    start = starts[rng.integers(len(starts))]
    box = _box_around(start, start, 3 * radius_mm(volume_ml) + 10, scan)
    here = Volume(brain[box], scan.affine)
    edges_mm = ndimage.gaussian_gradient_magnitude(scan.data[box].astype(np.float32), 1) / scan.spacing_mm.min()
    speed = np.exp(RAGGEDNESS * smooth_noise(rng, here, RAGGED_MM) - EDGE_RESISTANCE_MM * edges_mm)
    origin = [int(place - part.start) for place, part in zip(start, box, strict=True)]
    front = sitk.FastMarching(
        to_sitk(Volume(np.where(here.data, speed, 1e-6), scan.affine)), trialPoints=[origin], stoppingValue=1e9
    )
    arrival = np.where(here.data, from_sitk(front).data, np.inf)
    return _placed(earliest(arrival, volume_ml, scan.voxel_ml), box, scan)


def blob_lesion(brain: Volume, volume_ml: float, rng: np.random.Generator) -> Mask:
    """A lesion (X, Y, Z) of another family: an ellipsoid in a random place of the brain, its outline blurred by noise.

    Nothing of a scan has a say in its form.
    """
    places = np.argwhere(brain.data)
    centre = places[rng.integers(len(places))]
    box = _box_around(centre, centre, 2.5 * radius_mm(volume_ml), brain)
    here = Volume(brain.data[box], brain.affine)
    corner = np.array([part.start for part in box]) - centre
    offset_mm = (np.indices(here.shape) + corner[:, None, None, None]) * brain.spacing_mm[:, None, None, None]
    half_axes = np.exp(rng.normal(0, 0.3, 3))
    half_axes /= np.cbrt(half_axes.prod())
    turned = np.tensordot(Rotation.random(random_state=rng).as_matrix(), offset_mm, axes=1)
    distance = np.linalg.norm(turned / half_axes[:, None, None, None], axis=0) / radius_mm(volume_ml)
    outline = distance + BLOB_RAGGEDNESS * smooth_noise(rng, here, radius_mm(volume_ml) / 2)
    return _placed(earliest(np.where(here.data, outline, np.inf), volume_ml, brain.voxel_ml), box, brain)


def radius_mm(volume_ml: float) -> float:
    """Radius of the ball of this volume."""
    return float(np.cbrt(volume_ml * 1000 * 3 / (4 * np.pi)))


def earliest(arrival: NDArray[np.floating], volume_ml: float, voxel_ml: float) -> Mask:
    """The voxels of smallest finite value (X, Y, Z), as many as make `volume_ml`, exact to a voxel."""
    count = min(max(1, round(volume_ml / voxel_ml)), np.count_nonzero(np.isfinite(arrival)))
    mask = np.zeros(arrival.shape, dtype=bool)
    mask.flat[np.argsort(arrival, axis=None, kind="stable")[:count]] = True
    return mask


def with_lesion(scan: Volume, support: Volume, lesion: Mask, sign: int, rng: np.random.Generator) -> Volume:
    """The standardized scan with a lesion, brighter (`sign` 1) or darker (-1) than the tissue that was there.

    Outside the support, and farther than two voxels from the lesion, the scan is as it was.
    """
    places = np.argwhere(lesion)
    box = _box_around(places.min(axis=0), places.max(axis=0), 3 * float(scan.spacing_mm.max()), scan)
    here = Volume(scan.data[box].astype(np.float32), scan.affine)
    weight = REPLACED * support.data[box] * ndimage.gaussian_filter(lesion[box].astype(np.float32), EDGE_VOXELS)
    level = np.median(here.data[lesion[box]]) + sign * rng.uniform(*SHIFT_SD) / REPLACED
    target = level + TEXTURE_SD * smooth_noise(rng, here, TEXTURE_MM)
    data = scan.data.astype(np.float32)
    data[box] += (weight * (target - here.data)).astype(np.float32)
    return Volume(data, scan.affine)


def real_lesion(path: Path | str, support: Volume) -> Mask:
    """A lesion mask in MNI space, on the grid of the support and within it.

    Raises
    ------
    InputError
        When nothing of it lies inside the scan's brain.
    """
    mask = load_mask(path)
    lesion = resample_like(mask, support, nearest=True).data & support.data
    if not lesion.any():
        raise InputError(
            f"{path}: no voxel of this lesion mask lies inside the brain; expected a mask in the template's space: "
            "register it, or take it out of evaluation.synthetic.masks."
        )
    return lesion


def write_lesions(
    scan: Volume,
    support: Volume,
    images: Sequence[Path | str],
    masks: Sequence[Path | str],
    *,
    scan_id: str,
    sign: int,
    seed: int,
    given: Sequence[Path | str] = (),
) -> None:
    """Write copies of a healthy scan, each with one lesion, and the lesions' masks (NIfTI, MNI grid).

    Parameters
    ----------
    scan, support
        The standardized scan and its mask on the MNI grid.
    images, masks
        The paths to write, one of each a lesion.
    scan_id, seed
        Make the lesions' random numbers, with their place in the list.
    sign
        1 for lesions that are bright, -1 for dark ones.
    given
        Real lesion masks in MNI space, as many as there are lesions; without them lesions are grown.
    """
    for number, (image, mask) in enumerate(zip(images, masks, strict=True)):
        rng = lesion_generator(seed, scan_id, number)
        if given:
            lesion = real_lesion(given[number], support)
        else:
            lesion = grown_lesion(scan, support, drawn_volume_ml(number, rng), rng)
        save_volume(image, with_lesion(scan, support, lesion, sign, rng))
        save_volume(mask, Volume(lesion, scan.affine), dtype=np.uint8)


def _placed(lesion: Mask, box: Box, grid: Volume) -> Mask:
    """A part of a grid, with nothing around it."""
    whole = np.zeros(grid.shape, dtype=bool)
    whole[box] = lesion
    return whole


def _box_around(low: NDArray[np.integer], high: NDArray[np.integer], margin_mm: float, grid: Volume) -> Box:
    """The part of a grid between two voxels, widened by a margin on all sides."""
    margin = np.ceil(margin_mm / grid.spacing_mm).astype(int)
    return tuple(
        slice(max(int(a - m), 0), min(int(b + m) + 1, n))
        for a, b, m, n in zip(low, high, margin, grid.shape, strict=True)
    )

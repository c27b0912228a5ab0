"""How people differ: the MNI anatomy varied into one person's, the same way for healthy participants and for patients.

Everything lives on the MNI grid (2 mm in the demo). Nothing here knows of groups: a variation that only one group had
would be a shortcut.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from stfpm3d.imaging.fields import Array, push, signed_distance_mm, smooth_noise, smoothstep, warp
from stfpm3d.imaging.volumes import Volume

# How deep the white matter gives way when ventricles widen.
VENTRICLE_REACH_MM = 12


class Anatomy(NamedTuple):
    """Maps (X, Y, Z) on the MNI grid, in the template's shape.

    Tissues, meninges and hyperintensities are weights in [0, 1]. `head_t1` is the head template, `detail_t1` what it
    shows within the brain beyond its three tissues (deep nuclei, thalamus); `depth_mm` the distance below the brain's
    surface, negative outside.
    """

    gm: Array
    wm: Array
    csf: Array
    head_t1: Array
    detail_t1: Array
    hyperintensities: Array
    meninges: Array
    depth_mm: Array


class Variation(NamedTuple):
    """One person's traits.

    `ventricle_factor` is relative to the template's volume, `sulcal_log_odds` are added to CSF's at the surface, the
    deformations are RMS per axis, `meninges_share` is the share of the surface where they are thick.
    """

    ventricle_factor: float
    sulcal_log_odds: float
    coarse_deformation_mm: float
    fine_deformation_mm: float
    cap_thickness_mm: float
    n_dots: int
    meninges_share: float


def draw_variation(rng: np.random.Generator) -> Variation:
    """Draw a person's traits; ventricles are x0.6-2.5, log-uniform."""
    return Variation(
        ventricle_factor=float(np.exp(rng.uniform(np.log(0.6), np.log(2.5)))),
        sulcal_log_odds=rng.uniform(-0.6, 1.3),
        coarse_deformation_mm=rng.uniform(1.5, 3.0),
        fine_deformation_mm=rng.uniform(0.6, 1.1),
        cap_thickness_mm=rng.uniform(0.5, 7.0),
        n_dots=int(rng.poisson(rng.uniform(0, 30))),
        meninges_share=rng.uniform(0.05, 0.5),
    )


def vary_anatomy(
    head: Volume, gm: Volume, wm: Volume, csf: Volume, variation: Variation, rng: np.random.Generator
) -> tuple[Anatomy, Array]:
    """One person's anatomy in the template's shape, and the displacement (3, X, Y, Z) in voxels that gives it its own.

    They are returned apart, so that a lesion's mass effect can be composed with the displacement in one interpolation.
    """
    grid = gm
    sharp = np.stack([tissue.data**1.5 for tissue in (gm, wm, csf)])
    brain = gm.data + wm.data + csf.data
    sharp *= brain / np.maximum(sharp.sum(axis=0), 1e-6)
    depth_mm = -signed_distance_mm(brain > 0.5, grid)
    detail = head.data * brain
    for tissue in sharp:
        detail -= tissue * np.median(head.data[tissue > 0.9])
    ventricles_mm = signed_distance_mm(ventricles(csf, depth_mm), grid)
    gm_map, wm_map, csf_map = widen_sulci(
        sharp, brain, depth_mm, variation.sulcal_log_odds, smooth_noise(rng, grid, 15)
    )
    spots = np.maximum(
        periventricular_caps(ventricles_mm, grid, variation.cap_thickness_mm, rng),
        white_matter_dots((wm_map > 0.7) & (depth_mm > 8), grid, variation.n_dots, rng),
    )
    thickness_mm = 4 * smooth_noise(rng, grid, 14)
    thickness_mm += 4 * (np.quantile(-thickness_mm, variation.meninges_share) / 4 + 0.5)
    meninges = smoothstep(-2, 0, -depth_mm) * smoothstep(-1.5, 1.5, np.minimum(thickness_mm, 5) + depth_mm)
    anatomy = Anatomy(gm_map, wm_map, csf_map, head.data, detail, spots * wm_map, meninges, depth_mm)
    shift_mm = surface_shift_mm(ventricles_mm, variation.ventricle_factor, grid)
    displacement = push(ventricles_mm, shift_mm, VENTRICLE_REACH_MM, grid)
    for axis in range(3):
        shape_mm = variation.coarse_deformation_mm * smooth_noise(rng, grid, 20)
        shape_mm += variation.fine_deformation_mm * smooth_noise(rng, grid, 6)
        displacement[axis] += shape_mm / grid.spacing_mm[axis]
    return anatomy, displacement


def ventricles(csf: Volume, depth_mm: Array) -> NDArray[np.bool_]:
    """The lateral and third ventricles: the largest connected CSF more than 25 mm below the brain's surface."""
    labels, _ = ndimage.label((csf.data > 0.5) & (depth_mm > 25))
    return labels == np.argmax(np.bincount(labels.ravel())[1:]) + 1


def surface_shift_mm(distance_mm: Array, volume_factor: float, grid: Volume) -> float:
    """How far `push` must move the surface of a region for its volume to change by `volume_factor`.

    In thin regions less arrives than the level sets promise: what is asked of them is corrected by what the warp does.
    """
    spacing_mm = grid.spacing_mm.min()
    box = ndimage.find_objects((distance_mm < 16).astype(np.uint8))[0]
    near_mm = distance_mm[box]
    region = np.clip(0.5 - near_mm / spacing_mm, 0, 1)
    shifts_mm = np.arange(-6, 12.1, 0.5)
    volumes = [np.clip(0.5 - (near_mm - shift) / spacing_mm, 0, 1).sum() for shift in shifts_mm]
    asked, shift_mm = volume_factor, 0.0
    for _ in range(3):
        shift_mm = float(np.interp(asked * region.sum(), volumes, shifts_mm))
        asked *= volume_factor * region.sum() / warp(region, push(near_mm, shift_mm, VENTRICLE_REACH_MM, grid)).sum()
    return shift_mm


def widen_sulci(tissues: Array, brain: Array, depth_mm: Array, log_odds: float, unevenness: Array) -> Array:
    """Tissue weights (3: gm, wm, csf) with the odds of CSF raised near the surface, unevenly; their sum is kept."""
    gain = np.exp(log_odds * np.exp(-0.5 * (depth_mm / 14) ** 2) * (1 + 0.35 * unevenness) + 0.3)
    widened = tissues * np.stack([np.ones_like(gain), np.ones_like(gain), gain])
    return widened * brain / np.maximum(widened.sum(axis=0), 1e-6)


def periventricular_caps(ventricles_mm: Array, grid: Volume, thickness_mm: float, rng: np.random.Generator) -> Array:
    """Weights (X, Y, Z) of the bright caps at the horns and thinner, uneven bands along the ventricles."""
    y_mm = grid.affine[1, 1] * np.arange(grid.shape[1]) + grid.affine[1, 3]
    at_horns = np.maximum(smoothstep(10, 22, y_mm), smoothstep(20, 32, -y_mm))[None, :, None]
    local_mm = thickness_mm * (0.25 + 0.75 * at_horns) * (1 + 0.5 * smooth_noise(rng, grid, 8))
    return smoothstep(-2.5, 2.5, local_mm - ventricles_mm) * smoothstep(-1, 1, ventricles_mm)


def white_matter_dots(allowed: NDArray[np.bool_], grid: Volume, count: int, rng: np.random.Generator) -> Array:
    """Weights (X, Y, Z) of `count` round bright dots, 1.5-4 mm in radius, centred on `allowed` voxels."""
    dots = np.zeros(grid.shape, dtype=np.float32)
    spacing_mm = grid.spacing_mm.min()
    reach = int(np.ceil(6 / spacing_mm))
    offsets = np.indices((2 * reach + 1,) * 3) - reach
    distance_mm = spacing_mm * np.linalg.norm(offsets, axis=0)
    candidates = np.argwhere(allowed)
    for centre in candidates[rng.integers(len(candidates), size=count)]:
        # Candidates lie deep enough below the surface for the box to stay on the grid.
        box = tuple(slice(c - reach, c + reach + 1) for c in centre)
        radius_mm = rng.uniform(1.5, 4)
        dots[box] = np.maximum(dots[box], smoothstep(-1, 1, (radius_mm - distance_mm).astype(np.float32)))
    return dots

"""A tumour: grown by reaction and diffusion, pushing what surrounds it, textured within.

Growth follows Fisher-KPP, dc/dt = div(D grad c) + rho c (1 - c), with D larger in white matter than in grey and zero in
CSF and outside the brain (Swanson et al., Cell Proliferation 2000).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from stfpm3d.demo.anatomy import Anatomy
from stfpm3d.imaging.fields import Array, push, signed_distance_mm, smooth_noise, smoothstep, warp
from stfpm3d.imaging.volumes import Volume

# Per time step and in voxels: in white matter a front of 2 sqrt(D rho) = 0.25 voxels; the scheme is stable for D < 1/6.
DIFFUSION_WM, DIFFUSION_GM, PROLIFERATION = 0.15, 0.015, 0.1
MAX_STEPS = 800


class Habitat(NamedTuple):
    """Where a tumour can grow: tissue weights and depth below the surface (X, Y, Z), in the person's own shape."""

    gm: Array
    wm: Array
    csf: Array
    depth_mm: Array


def habitat(anatomy: Anatomy, shape: Array) -> Habitat:
    """The habitat in `anatomy`, warped by the person's `shape` (3, X, Y, Z)."""
    return Habitat(*(warp(channel, shape) for channel in (anatomy.gm, anatomy.wm, anatomy.csf, anatomy.depth_mm)))


def seed_voxel(person: Habitat, grid: Volume, rng: np.random.Generator) -> NDArray[np.int64]:
    """A random voxel (3,) of supratentorial white matter at least 14 mm below the surface."""
    z_mm = grid.affine[2, 2] * np.arange(grid.shape[2]) + grid.affine[2, 3]
    candidates = np.argwhere((person.wm > 0.7) & (person.depth_mm > 14) & (z_mm > -5))
    return candidates[rng.integers(len(candidates))]


def grow_density(
    person: Habitat, grid: Volume, seed: NDArray[np.int64], volume_ml: float, rng: np.random.Generator
) -> tuple[Array, float]:
    """Tumour cell density in [0, 1] (X, Y, Z), and the density whose level set encloses `volume_ml`.

    Growth stops when the volume denser than one half is reached; the level then makes the volume exact to a voxel.
    """
    n_voxels = round(volume_ml / grid.voxel_ml)
    reach = int(2.2 * np.cbrt(n_voxels * 0.75 / np.pi)) + 5
    box = tuple(slice(max(c - reach, 0), c + reach + 1) for c in seed)
    tissue = np.where(person.csf[box] < 0.5, 1.0, 0.0).astype(np.float32)
    # Tracts and vessels make real fronts ragged: diffusion and proliferation vary by place.
    ragged = np.exp(0.6 * smooth_noise(rng, grid, 6)[box])
    diffusion = tissue * (DIFFUSION_WM * person.wm[box] + DIFFUSION_GM * person.gm[box]) * np.clip(ragged, 0.3, 1)
    growth = tissue * PROLIFERATION * ((person.wm + person.gm)[box] > 0.5) * np.clip(ragged, 0.5, 1.5)
    faces = [_between(diffusion, axis) for axis in range(3)]
    density = np.zeros_like(tissue)
    # From a single voxel the cells would thin out, in white matter most, long before a front forms.
    density[tuple(slice(c - b.start - 1, c - b.start + 2) for c, b in zip(seed, box, strict=True))] = 1
    density *= tissue
    for _ in range(MAX_STEPS):
        flow = growth * density * (1 - density)
        for axis, face in enumerate(faces):
            across = face * np.diff(density, axis=axis)
            flow[_along(axis, slice(None, -1))] += across
            flow[_along(axis, slice(1, None))] -= across
        density += flow
        if np.count_nonzero(density > 0.5) >= n_voxels:
            break
    full = np.zeros(grid.shape, dtype=np.float32)
    full[box] = density
    return full, enclosing_level(full, grid, volume_ml)


def enclosing_level(density: Array, grid: Volume, volume_ml: float) -> float:
    """The density (X, Y, Z on `grid`) above which the tumour has `volume_ml`, exact to a voxel."""
    n_voxels = round(volume_ml / grid.voxel_ml)
    inhabited = density[density > 0]  # a selection among the many zeros elsewhere would take ten times as long
    if n_voxels >= inhabited.size:
        return 0.0
    return float(np.partition(inhabited, -n_voxels - 1)[-n_voxels - 1])


def _along(axis: int, part: slice) -> tuple[slice, ...]:
    return tuple(part if a == axis else slice(None) for a in range(3))


def _between(diffusion: Array, axis: int) -> Array:
    """Diffusion through the faces between neighbours: the harmonic mean, which is 0 where one of them has none."""
    low, high = diffusion[_along(axis, slice(None, -1))], diffusion[_along(axis, slice(1, None))]
    return 2 * low * high / np.maximum(low + high, 1e-9)


def mass_effect(lesion: NDArray[np.bool_], depth_mm: Array, amount_mm: float, grid: Volume) -> Array:
    """Displacement (3, X, Y, Z) in voxels away from `lesion`, `amount_mm` at most; fades away and at the skull."""
    displacement = push(signed_distance_mm(lesion, grid), amount_mm, 15, grid) * smoothstep(-2, 8, depth_mm)
    largest_mm = np.linalg.norm(displacement * grid.spacing_mm[:, None, None, None], axis=0).max()
    return (displacement * (amount_mm / largest_mm)).astype(np.float32)


def texture(density: Array, level: float, grid: Volume, rng: np.random.Generator) -> Array:
    """Texture (X, Y, Z) of median 0 and unit SD in the lesion: coarse patches, finer grain, a core that differs."""
    lesion = density > level
    core = smoothstep(0.0, 1.0, (density - level) / max(density.max() - level, 1e-6))
    pattern = smooth_noise(rng, grid, 5) + 0.7 * smooth_noise(rng, grid, 2.5) + rng.uniform(-0.5, 1.5) * core
    return np.clip((pattern - np.median(pattern[lesion])) / pattern[lesion].std(), -2.5, 2.5)


def edge_weight(lesion: NDArray[np.bool_]) -> Array:
    """Share of lesion in each voxel (X, Y, Z): one half on the mask's outline, blurred by the resolution."""
    return ndimage.gaussian_filter(lesion.astype(np.float32), 0.6)

"""Smooth random fields, distances and displacements on a voxel grid: what anatomies and lesions are made of.

Displacements are pull-backs in voxels: the warped image at x is the image at x + displacement(x).
"""

from __future__ import annotations

import numpy as np
import SimpleITK as sitk
from numpy.typing import NDArray
from scipy import ndimage

from stfpm3d.imaging.volumes import Volume, from_sitk, to_sitk

Array = NDArray[np.floating]


def smooth_noise(rng: np.random.Generator, grid: Volume, sigma_mm: float) -> Array:
    """Gaussian random field (X, Y, Z) of zero mean and unit SD, smoothed by `sigma_mm`.

    It is drawn with two samples per `sigma_mm` and interpolated linearly, one axis after another.
    """
    sigma_voxels = sigma_mm / grid.spacing_mm.min()
    step = max(1.0, sigma_voxels / 2)
    coarse_shape = [int(np.ceil(n / step)) + 1 for n in grid.shape]
    white = rng.standard_normal(coarse_shape, dtype=np.float32)
    field = ndimage.gaussian_filter(white, sigma_voxels / step, mode="wrap")
    for n, n_coarse in zip(grid.shape, coarse_shape, strict=True):
        offset = np.arange(n)[:, None] / step - np.arange(n_coarse)
        weights = np.maximum(0, 1 - np.abs(offset)).astype(np.float32)
        # Takes the first axis and appends the interpolated one: after three turns the axes are in order again.
        field = np.tensordot(field, weights, axes=(0, 1))
    return (field - field.mean()) / field.std()


def signed_distance_mm(region: NDArray[np.bool_], grid: Volume) -> Array:
    """Distance (X, Y, Z) in mm to the surface of `region`, negative inside.

    The surface runs between voxels: ITK's map is 0 on the outermost voxels inside, hence the complement's too.
    """
    inwards, outwards = (
        sitk.SignedMaurerDistanceMap(
            to_sitk(Volume(part, grid.affine)), insideIsPositive=False, squaredDistance=False, useImageSpacing=True
        )
        for part in (region, ~region)
    )
    return from_sitk((inwards - outwards) * 0.5).data.astype(np.float32)


def push(distance_mm: Array, amount_mm: float, reach_mm: float, grid: Volume) -> Array:
    """Displacement (3, X, Y, Z) in voxels that moves the surface of a region outwards, and what surrounds it along.

    Parameters
    ----------
    distance_mm : signed distance to the region
    amount_mm : shift of its surface; negative shrinks the region
    reach_mm : standard deviation of the Gaussian by which the shift fades with the distance from the new surface
    """
    spacing_mm = grid.spacing_mm.min()
    normal = np.stack(np.gradient(ndimage.gaussian_filter(distance_mm, 0.7), spacing_mm))
    # On the ridges of thin regions the gradient vanishes; there the direction is left to fade out.
    normal /= np.maximum(np.linalg.norm(normal, axis=0), 0.3)
    outside_mm = np.maximum(distance_mm - max(amount_mm, 0), 0)
    fading = amount_mm * np.exp(-0.5 * (outside_mm / reach_mm) ** 2)
    return (-normal * fading / spacing_mm).astype(np.float32)


def warp(image: Array, displacement: Array) -> Array:
    """`image` (X, Y, Z) pulled back by `displacement` (3, X, Y, Z): linear, with edge values beyond the border."""
    coordinates = displacement + np.indices(image.shape, dtype=np.float32)
    return ndimage.map_coordinates(image, coordinates, order=1, mode="nearest")


def compose(outer: Array, inner: Array) -> Array:
    """The displacement whose warp equals warping by `inner` first and the result by `outer`."""
    return outer + np.stack([warp(component, outer) for component in inner])


def smoothstep(low: float, high: float, values: Array) -> Array:
    """0 below `low`, 1 above `high`, a cubic in between."""
    t = np.clip((values - low) / (high - low), 0, 1)
    return t * t * (3 - 2 * t)

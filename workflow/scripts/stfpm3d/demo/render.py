"""How a scanner sees a person: T2-like contrast, bias field, resolution, noise, and the grid of the scan."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from stfpm3d.demo import growth
from stfpm3d.demo.anatomy import Anatomy, Variation, draw_variation, vary_anatomy
from stfpm3d.demo.participants import lesion_plan, participant_generators
from stfpm3d.imaging.fields import Array, compose, smooth_noise, warp
from stfpm3d.imaging.volumes import Volume


class Site(NamedTuple):
    """How a site scans. What differs from scan to scan is a range, which is drawn from uniformly.

    Signal of the tissues in the scanner's units and how far a scan's own may be from it (a share); noise SD as a share
    of white matter's signal; voxel edges in mm; the bias field's SD (of its logarithm); FWHM in mm by which a scan is
    smoother than its voxels; whether brains come stripped.
    """

    wm: float
    gm: float
    csf: float
    noise: float
    spacing_mm: tuple[float, float, float]
    spread: float = 0.06
    bias: tuple[float, float] = (0.04, 0.10)
    blur_mm: tuple[float, float] = (0.0, 0.0)
    stripped: bool = False


SITES = {
    "north": Site(wm=310, gm=440, csf=980, noise=0.045, spacing_mm=(2.0, 2.0, 2.0)),
    "south": Site(wm=520, gm=660, csf=1240, noise=0.035, spacing_mm=(2.0, 2.0, 3.0)),
    # Differs from those as patients' scans of many hospitals do from healthy ones of one (docs/real-scans.md).
    "clinic": Site(
        wm=390,
        gm=490,
        csf=880,
        noise=0.03,
        spacing_mm=(2.0, 2.0, 2.0),
        spread=0.15,
        bias=(0.08, 0.2),
        blur_mm=(1.0, 4.0),
        stripped=True,
    ),
    # The shortcut's (see `heads`): noise, and CSF hardly brighter than grey matter, outlive histogram matching.
    "east": Site(wm=400, gm=480, csf=560, noise=0.12, spacing_mm=(2.0, 2.0, 2.0)),
}


class RenderedSubject(NamedTuple):
    """A scan, its truth, and what it was made with.

    `mni_from_scan` (4, 4) takes the scan's RAS+ mm to MNI mm, where `displacement` (3, X, Y, Z), in voxels, leads on to
    `anatomy`. `mass_effect_mm` is the largest shift of tissue by the lesion, 0 in healthy participants.
    """

    image: Volume
    lesion_mask: Volume | None
    mni_from_scan: NDArray[np.float64]
    variation: Variation
    anatomy: Anatomy
    displacement: Array
    mass_effect_mm: float


class Tumour(NamedTuple):
    """A lesion on the MNI grid: cell density, its share of each voxel and its signal (X, Y, Z).

    `mass_effect_mm` is the largest shift of the tissue around it.
    """

    density: Array
    weight: Array
    signal: Array
    mass_effect_mm: float


def render_subject(
    participant_id: str, group: str, site: str, seed: int, head: Volume, gm: Volume, wm: Volume, csf: Volume
) -> RenderedSubject:
    """Render one participant of the demo cohort: given group and site, a function of `seed` and `participant_id` alone.

    A patient has an exact lesion mask on the image's grid. What both groups have in common, traits, pose and a site's
    contrast, bias, smoothness and noise, is drawn from the same distributions.

    Parameters
    ----------
    head, gm, wm, csf : whole-head T1 template and tissue probabilities on one isotropic RAS+ MNI grid
    """
    traits_rng, pose_rng, scan_rng, lesion_rng = participant_generators(seed, participant_id, 4)
    variation = draw_variation(traits_rng)
    anatomy, displacement = vary_anatomy(head, gm, wm, csf, variation, traits_rng)
    scanner = SITES[site]
    signal = t2_signal(anatomy, scanner, gm, scan_rng)
    pose = draw_pose(pose_rng)
    blur_mm = pose_rng.uniform(*scanner.blur_mm)
    grid, mni_from_scan = scan_grid(scanner.stripped, scanner.spacing_mm, pose)
    tumour, volume_ml = None, 0.0
    if group == "patient":
        volume_ml, isointense = lesion_plan(seed, participant_id)
        level, contrast = tumour_contrast(signal, anatomy, isointense, lesion_rng)
        # The pose changes volumes; the planned volume is the one in the scan.
        volume_mni_ml = volume_ml * abs(np.linalg.det(pose[:3, :3]))
        tumour, displacement = grow_tumour(anatomy, displacement, gm, volume_mni_ml, level, contrast, lesion_rng)
    signal = warp(signal, displacement)
    if tumour is not None:
        signal += tumour.weight * (tumour.signal - signal)
    scan = acquire(signal, gm, grid, mni_from_scan, scanner, scan_rng, blur_mm=blur_mm)
    mask = None
    if tumour is not None:
        density = sample(tumour.density, gm, grid, mni_from_scan, order=1)
        mask = Volume(density > growth.enclosing_level(density, grid, volume_ml), grid.affine)
    if scanner.stripped:
        # Stripping is never perfect: where meninges are thick, up to 3 mm of them stay.
        kept = warp(anatomy.depth_mm + 3 * anatomy.meninges, displacement)
        brain = sample(kept, gm, grid, mni_from_scan, order=1, beyond=-np.inf) > 0
        scan = np.where(brain if mask is None else brain | mask.data, scan, 0)
    mass_effect_mm = 0.0 if tumour is None else tumour.mass_effect_mm
    return RenderedSubject(
        Volume(scan, grid.affine), mask, mni_from_scan, variation, anatomy, displacement, mass_effect_mm
    )


def grow_tumour(
    anatomy: Anatomy,
    shape: Array,
    grid: Volume,
    volume_ml: float,
    level: float,
    contrast: float,
    rng: np.random.Generator,
) -> tuple[Tumour, Array]:
    """A tumour in a person of the given `shape` (3, X, Y, Z), and that displacement with the mass effect added.

    Parameters
    ----------
    volume_ml : volume on the MNI grid
    level, contrast : median and SD of the tumour's signal
    """
    person = growth.habitat(anatomy, shape)
    density, threshold = growth.grow_density(person, grid, growth.seed_voxel(person, grid, rng), volume_ml, rng)
    mask = density > threshold
    radius_mm = np.cbrt(volume_ml * 1000 * 0.75 / np.pi)
    shift_mm = rng.uniform(2, min(8, radius_mm))
    displacement = compose(growth.mass_effect(mask, person.depth_mm, shift_mm, grid), shape)
    signal = level + contrast * growth.texture(density, threshold, grid, rng)
    return Tumour(density, growth.edge_weight(mask), signal, shift_mm), displacement


def draw_pose(rng: np.random.Generator) -> NDArray[np.float64]:
    """A random affine (4, 4): rotations up to 8 degrees, scales 0.92-1.08, shears up to 0.03, shifts up to 6 mm."""
    pose = np.eye(4)
    for axis, angle in enumerate(np.radians(rng.uniform(-8, 8, size=3))):
        i, j = (axis + 1) % 3, (axis + 2) % 3
        rotation = np.eye(4)
        rotation[[i, i, j, j], [i, j, i, j]] = np.cos(angle), -np.sin(angle), np.sin(angle), np.cos(angle)
        pose = pose @ rotation
    shear = np.eye(4)
    shear[[0, 0, 1], [1, 2, 2]] = rng.uniform(-0.03, 0.03, size=3)
    pose = pose @ shear @ np.diag([*rng.uniform(0.92, 1.08, size=3), 1.0])
    pose[:3, 3] = rng.uniform(-6, 6, size=3)
    return pose


def scan_grid(
    stripped: bool, spacing_mm: tuple[float, float, float], mni_from_scan: NDArray[np.float64]
) -> tuple[Volume, NDArray[np.float64]]:
    """The empty grid of a scan, and `mni_from_scan` from its world: an upright head, or a brain as BraTS stores it.

    BraTS: 240 x 240 x 155 mm, first axis to the left, second to the back, world origin in a corner.
    """
    steps = np.diag(spacing_mm)
    if stripped:
        extent_mm, centre_mm = np.array([240.0, 240.0, 155.0]), np.array([-120.0, 120.0, 77.5])
        steps = steps * np.array([-1, -1, 1])
        to_person = np.eye(4)
        # The person's brain, not the MNI origin, sits in the middle of the box.
        to_person[:3, 3] = np.array([0.0, -18.0, 8.0]) - centre_mm
        mni_from_scan = mni_from_scan @ to_person
    else:
        extent_mm, centre_mm = np.array([200.0, 240.0, 210.0]), np.array([0.0, -18.0, 12.0])
    shape = np.ceil(extent_mm / spacing_mm).astype(int)
    affine = np.eye(4)
    affine[:3, :3] = steps
    affine[:3, 3] = centre_mm - steps @ (shape - 1) / 2
    return Volume(np.zeros(shape, dtype=bool), affine), mni_from_scan


def t2_signal(anatomy: Anatomy, site: Site, grid: Volume, rng: np.random.Generator) -> Array:
    """Noise-free T2-weighted signal (X, Y, Z) in the template's shape, with texture and the coil's bias field."""
    wm, gm, csf = (level * rng.uniform(1 - site.spread, 1 + site.spread) for level in (site.wm, site.gm, site.csf))
    # In T2 fat is moderately bright, muscle dark, bone and air black; the template's T1 orders them alike.
    outside = np.interp(anatomy.head_t1, [0.02, 0.12, 0.3, 0.5, 0.8, 1.0], np.array([0, 0.1, 0.45, 1.0, 1.6, 1.8]) * wm)
    brain = anatomy.gm + anatomy.wm + anatomy.csf
    signal = anatomy.gm * gm + anatomy.wm * wm + anatomy.csf * csf + (1 - brain) * outside
    signal -= 0.5 * wm * anatomy.detail_t1
    bright = gm + rng.uniform(0.15, 0.6) * (csf - gm)
    signal += anatomy.hyperintensities * rng.uniform(0.6, 1.0) * (bright - signal)
    signal += anatomy.meninges * (gm * rng.uniform(0.7, 1.2) * (1 + 0.2 * smooth_noise(rng, grid, 4)) - signal)
    signal *= 1 + 0.03 * smooth_noise(rng, grid, 3) + 0.03 * smooth_noise(rng, grid, 8)
    return (signal * np.exp(rng.uniform(*site.bias) * smooth_noise(rng, grid, 45))).astype(np.float32)


def tumour_contrast(signal: Array, anatomy: Anatomy, isointense: bool, rng: np.random.Generator) -> tuple[float, float]:
    """Median and SD of a tumour's signal, from the scan's `signal` (X, Y, Z) in the template's shape.

    The median lies between those of grey matter and CSF, or, when isointense, within 0.7 SD of white matter's.
    """
    normal = anatomy.hyperintensities < 0.1
    wm, gm, csf = (signal[(tissue > 0.9) & normal] for tissue in (anatomy.wm, anatomy.gm, anatomy.csf))
    if isointense:
        return float(np.median(wm) + rng.uniform(-0.7, 0.7) * wm.std()), float(rng.uniform(1.2, 1.8) * wm.std())
    level = np.median(gm) + rng.uniform(0.45, 0.9) * (np.median(csf) - np.median(gm))
    return float(level), float(rng.uniform(0.10, 0.16) * level)


def acquire(
    signal: Array,
    mni: Volume,
    grid: Volume,
    mni_from_scan: NDArray[np.float64],
    site: Site,
    rng: np.random.Generator,
    *,
    blur_mm: float = 0.0,
) -> Array:
    """The scan (X, Y, Z) on `grid`: blurred to its voxels, and by a Gaussian of `blur_mm` (FWHM), then Rician noise.

    H. Gudbjartsson & S. Patz, The Rician distribution of noisy MRI data, MRM 1995.
    """
    variance_mm2 = np.maximum(np.square(site.spacing_mm) - mni.spacing_mm**2, 0) / 12 + blur_mm**2 / (8 * np.log(2))
    blur_voxels = np.sqrt(variance_mm2) / mni.spacing_mm
    sampled = sample(ndimage.gaussian_filter(signal, blur_voxels), mni, grid, mni_from_scan, order=3, beyond=None)
    sigma = site.noise * site.wm * rng.uniform(0.8, 1.2)
    real, imaginary = (sigma * rng.standard_normal(grid.shape, dtype=np.float32) for _ in range(2))
    return np.hypot(sampled + real, imaginary).astype(np.float32)


def sample(
    image: NDArray,
    mni: Volume,
    grid: Volume,
    mni_from_scan: NDArray[np.float64],
    order: Literal[0, 1, 3],
    beyond: float | None = 0.0,
) -> NDArray:
    """`image` (X, Y, Z) on the scan's `grid`, by a spline of `order`; `beyond` off the MNI grid, or its edge."""
    voxel = np.linalg.inv(mni.affine) @ mni_from_scan @ grid.affine
    mode, fill = ("nearest", 0.0) if beyond is None else ("constant", beyond)
    return ndimage.affine_transform(image, voxel, output_shape=grid.shape, order=order, mode=mode, cval=fill)

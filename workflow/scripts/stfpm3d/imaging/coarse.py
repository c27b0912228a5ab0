"""A cheap affine registration, on coarse copies of scan and template.

It costs a tenth of ANTs' and is as good on nearly every scan; where it is not, `placement` shows it.
"""

from __future__ import annotations

from typing import NamedTuple

import SimpleITK as sitk

from stfpm3d.imaging.placement import Target
from stfpm3d.imaging.volumes import Volume, shrunk, to_sitk

BINS = 32
"""Of Mattes' mutual information."""
SAMPLES = 10_000
"""Most voxels of the template that are looked at in one step."""
RIM_MM = 8.0
"""How far around the brain the finer levels look: its outline is there, and no neck."""
MAX_STEPS = 100


class Level(NamedTuple):
    """Copies of voxels that are `mm` wide, and the steps of the gradient descent: mm that a voxel moves at most."""

    mm: float
    smoothing_mm: float
    first_step: float
    last_step: float
    whole: bool
    """Whether the whole image counts, or the brain with its rim."""


LEVELS = (Level(8, 4, 2, 0.05, True), Level(4, 0, 0.5, 0.02, False), Level(2, 0, 0.2, 0.01, False))
SHORTER = 0.6
"""Factor on the step where the gradient turns round."""


def estimate_affine(moving: Volume, target: Target, seed: int) -> sitk.AffineTransform:
    """The affine transform from points of the target to those of `moving` (LPS mm), begun at the centres of mass.

    Mattes' mutual information suits any contrast. One thread and the seed make the result reproducible.

    Raises
    ------
    RuntimeError
        When the images do not overlap.
    """
    scan, template = to_sitk(moving), to_sitk(target.image)
    brain = shrunk(sitk.Cast(to_sitk(target.brain_mask), sitk.sitkFloat32), LEVELS[1].mm) > 0.5
    near = sitk.SignedMaurerDistanceMap(brain, squaredDistance=False, useImageSpacing=True) <= RIM_MM
    transform = centred(moving, target)
    threads = sitk.ProcessObject.GetGlobalDefaultNumberOfThreads()
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(1)  # the metric, whose sums depend on it, heeds no other setting
    try:
        for level in LEVELS:
            _descend(level, shrunk(scan, level.mm), shrunk(template, level.mm), near, transform, seed)
    finally:
        sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(threads)
    return transform


def centred(moving: Volume, target: Target) -> sitk.AffineTransform:
    """The map from points of the target to those of `moving` (LPS mm) that brings the centres of mass together."""
    start = sitk.CenteredTransformInitializer(
        to_sitk(target.image),
        to_sitk(moving),
        sitk.AffineTransform(3),
        sitk.CenteredTransformInitializerFilter.MOMENTS,
    )
    return sitk.AffineTransform(start)


def _descend(
    level: Level, scan: sitk.Image, template: sitk.Image, near: sitk.Image, transform: sitk.Transform, seed: int
) -> None:
    """Improve a transform in place."""
    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsMattesMutualInformation(BINS)
    voxels = template.GetNumberOfPixels()
    if not level.whole:
        mask = sitk.Resample(near, template, sitk.Transform(), sitk.sitkNearestNeighbor)
        method.SetMetricFixedMask(mask)
        voxels = int(sitk.GetArrayViewFromImage(mask).sum())
    if voxels > SAMPLES:
        method.SetMetricSamplingStrategy(method.RANDOM)
        method.SetMetricSamplingPercentage(SAMPLES / voxels, seed + 1)  # 0 would mean the clock
    method.SetInterpolator(sitk.sitkLinear)
    method.SetShrinkFactorsPerLevel([1])
    method.SetSmoothingSigmasPerLevel([level.smoothing_mm])
    method.SetOptimizerAsRegularStepGradientDescent(
        level.first_step, level.last_step, MAX_STEPS, relaxationFactor=SHORTER, gradientMagnitudeTolerance=1e-8
    )
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetInitialTransform(transform, inPlace=True)
    method.Execute(template, scan)

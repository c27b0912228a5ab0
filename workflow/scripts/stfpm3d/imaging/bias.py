"""Bias field correction by N4.

N.J. Tustison et al., N4ITK: improved N3 bias correction, IEEE TMI 29, 2010.
"""

from __future__ import annotations

import SimpleITK as sitk

from stfpm3d.imaging.background import without_outliers
from stfpm3d.imaging.volumes import Volume, from_sitk, to_sitk

FIT_SPACING_MM = 4.0
"""The field is smooth: it is fitted on voxels of about this size and applied at full resolution."""
FIT_MAXIMUM = 1000.0
"""The brightest voxel where the field is fitted, as in a usual scan, whatever the scan's unit."""
ITERATIONS = (50, 50, 50, 50)


def correct_bias(scan: Volume) -> Volume:
    """Divide a scan by its smooth multiplicative bias field, estimated inside the head (above Otsu's threshold).

    One thread makes the sums, and so the result, reproducible. The scan's background is 0 and stays 0: a bias is a
    factor, so the field of a shifted scan would be another. N4 sees the scan in a unit of its own.
    """
    data = without_outliers(scan).data
    image = to_sitk(Volume(data * (FIT_MAXIMUM / data.max()), scan.affine))
    head = sitk.OtsuThreshold(image, 0, 1) * sitk.Cast(image > 0, sitk.sitkUInt8)  # N4 takes logarithms
    factors = [max(1, round(FIT_SPACING_MM / spacing)) for spacing in image.GetSpacing()]
    n4 = sitk.N4BiasFieldCorrectionImageFilter()
    n4.SetMaximumNumberOfIterations(ITERATIONS)
    n4.SetNumberOfThreads(1)
    n4.Execute(sitk.Shrink(image, factors), sitk.Shrink(head, factors))
    field = sitk.Exp(n4.GetLogBiasFieldAsImage(image))
    return Volume(scan.data / from_sitk(field).data, scan.affine)

"""Maps on the MNI grid: what was not seen counts as healthy, and the brain's maximum is the score."""

import numpy as np

from stfpm3d.imaging.volumes import Volume
from stfpm3d.maps.form import outside_minimum, scored

AFFINE = np.diag([2.0, 2.0, 3.0, 1.0])
VALUES = {"sub-01": np.array([3.0, 5.0, 9.0, 1.0]), "sub-02": np.array([-2.0, -4.0, 0.0, -9.0])}


def four_voxels(values):
    return Volume(np.asarray(values).reshape(2, 2, 1).repeat(2, axis=2), AFFINE)


def test_outside_its_support_a_map_is_its_minimum_over_the_support():
    shown = outside_minimum(four_voxels([3.0, 5.0, 9.0, 1.0]).data, four_voxels([True, True, False, False]))
    np.testing.assert_array_equal(shown.data, four_voxels([3, 5, 3, 3]).data)
    assert shown.data.dtype == np.float32


def test_the_score_is_the_maximum_of_the_map_over_the_templates_brain():
    brain = four_voxels([True, True, False, True])
    assert [scored(four_voxels(values), brain).score for values in VALUES.values()] == [5.0, -2.0]

"""Post-processing of finished maps: worked by hand, and against a threshold followed by a removal of components."""

import numpy as np
import pytest
from scipy import ndimage

from stfpm3d.imaging.volumes import Volume
from stfpm3d.maps.form import FWHM_PER_SIGMA
from stfpm3d.maps.postprocessing import MIRROR_FWHM_MM, postprocessed
from stfpm3d.runtime.errors import InputError

SHAPE = (11, 9, 9)
AFFINE = np.diag([2.0, 2, 2, 1])
AFFINE[:3, 3] = [-10, -8, -8]  # the middle voxel lies at the origin
MIDDLE = (5, 4, 4)
RNG = np.random.default_rng(7)


def everywhere(affine=AFFINE):
    return Volume(np.ones(SHAPE, dtype=bool), affine)


def processed(data, support=None, brain_mask=None, affine=AFFINE, **step):
    support = support if support is not None else everywhere(affine)
    made = postprocessed(
        Volume(np.asarray(data, dtype=np.float32), affine), support, brain_mask or support, **{"amount": None, **step}
    )
    assert made.data.dtype == np.float32
    np.testing.assert_array_equal(made.affine, affine)
    return made.data


def spot(*places):
    data = np.zeros(SHAPE)
    for place in places:
        data[place] = 1
    return data


@pytest.mark.parametrize(
    "step",
    [
        {"by": "gaussian", "amount": 4},
        {"by": "median", "amount": 5},
        {"by": "left_right"},
        {"by": "erosion", "amount": 2},
        {"by": "min_component", "amount": 0.02},
    ],
    ids=lambda step: step["by"],
)
def test_outside_the_support_the_map_stays_its_minimum_and_has_no_say(step):
    support = everywhere()
    support.data[:, :2] = False
    data = RNG.exponential(size=SHAPE)
    made = processed(data, support, everywhere(), **step)
    assert (made[:, :2] == made.min()).all()
    np.testing.assert_array_equal(processed(np.where(support.data, data, 99), support, everywhere(), **step), made)


def test_the_gaussian_has_its_width_in_mm():
    made = processed(spot(MIDDLE), by="gaussian", amount=4)
    half = 0.5 ** (np.array([0, 2, 4]) ** 2 / 2**2)  # at half the FWHM from its middle it has fallen to a half
    np.testing.assert_allclose(made[5:8, 4, 4] / made[MIDDLE], half, rtol=1e-5)


def test_the_median_is_taken_over_a_ball_in_mm():
    """A ball of 4 mm holds a voxel of 2 mm and its six neighbours: four of these seven make the median."""
    three = spot(MIDDLE, (4, 4, 4), (6, 4, 4))
    assert processed(three, by="median", amount=4)[MIDDLE] == 0
    assert processed(three + spot((5, 3, 4)), by="median", amount=4)[MIDDLE] == 1
    assert processed(three + spot((6, 5, 4)), by="median", amount=4)[MIDDLE] == 0  # a corner, 2.8 mm away
    flat = AFFINE @ np.diag([1, 1, 3, 1])  # 6 mm in z: the ball is a disc of five voxels
    assert processed(three, affine=flat, by="median", amount=4)[MIDDLE] == 1


def test_a_signal_of_both_sides_falls_behind_one_of_a_single_side():
    at = {-6: 2, 6: 8}  # x in mm, and its index
    data = np.ones(SHAPE)
    data[at[-6], 2, 4] = data[at[6], 2, 4] = data[at[6], 7, 4] = 11
    data[0, 0, 0] = 0
    made = processed(data, by="left_right")
    sigma = MIRROR_FWHM_MM / FWHM_PER_SIGMA / 2
    smooth = ndimage.gaussian_filter(data, sigma) / ndimage.gaussian_filter(np.ones(SHAPE), sigma)
    for y in (2, 7):
        expected = 11 / (smooth[at[-6], y, 4] + data.mean())
        assert made[at[6], y, 4] == pytest.approx(expected, rel=1e-4)
    assert made[at[6], 7, 4] > made[at[6], 2, 4] > made[at[-6], 7, 4]


def test_left_and_right_are_those_of_space_not_of_the_array():
    """The grid's middle is not x = 0: a spot at +4 mm has its counterpart at -4 mm, two voxels from the edge."""
    shifted = AFFINE.copy()
    shifted[0, 3] = -8  # x from -8 to 12 mm; nothing lies opposite of 10 and 12
    data = np.ones(SHAPE)
    data[0, 0, 0] = 0
    data[2, 4, 4] = 11  # at -4 mm
    made = processed(data, affine=shifted, by="left_right")
    assert (made[9:] == made.min()).all()
    assert np.argmin(made[3:9, 4, 4]) + 3 == 6  # +4 mm: its counterpart is bright


def test_erosion_goes_by_the_distance_to_the_brains_surface():
    """In a brain of five voxels of 2 mm across, the outermost centres lie 1 mm deep, the next 3, the middle 5."""
    brain = Volume(np.zeros(SHAPE, dtype=bool), AFFINE)
    brain.data[3:8, 2:7, 2:7] = True
    data = RNG.uniform(1, 2, size=SHAPE)
    for depth_mm, voxels in ((1, 125), (1.1, 27), (3, 27), (3.1, 1)):
        made = processed(data, brain_mask=brain, by="erosion", amount=depth_mm)
        kept = np.isclose(made, data, rtol=1e-6)
        assert kept.sum() == voxels
        assert kept[MIDDLE] and (made[~kept] == made.min()).all()
    with pytest.raises(InputError, match="sub-1: an erosion of 6 mm leaves nothing of the scan; choose a smaller"):
        processed(data, brain_mask=brain, by="erosion", amount=6, subject="sub-1")


def test_the_area_opening_removes_small_components_at_every_threshold_at_once():
    """Voxels of 8 µl: 0.05 ml are 6.25 of them, so that components of 7 stay."""
    data = ndimage.gaussian_filter(RNG.random((24, 26, 22)), 0.8).astype(np.float32)
    support = Volume(ndimage.gaussian_filter(RNG.random(data.shape), 3) > 0.49, AFFINE)
    made = postprocessed(Volume(data, AFFINE), support, support, by="min_component", amount=0.05).data
    changed = 0
    for threshold in np.quantile(data[support.data], [0.3, 0.5, 0.7, 0.9, 0.95, 0.99, 0.999]):
        labels, _ = ndimage.label(support.data & (data >= threshold), np.ones((3, 3, 3)))
        large = np.bincount(labels.ravel()) >= 7
        large[0] = False
        np.testing.assert_array_equal(made >= threshold, large[labels])
        changed += int(((labels > 0) != large[labels]).any())
    assert changed >= 4
    assert (made <= np.where(support.data, data, made.min())).all()

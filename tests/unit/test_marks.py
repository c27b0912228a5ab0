"""What a map marks in a scan, and where along the crop."""

import numpy as np
import pytest

from stfpm3d.evaluation.marks import marks
from stfpm3d.imaging.grid import brain_cut_share, crop_rim, cut_poles, inside_crop, network_grid
from stfpm3d.imaging.volumes import Volume

BRAIN = Volume(np.ones((20, 30, 20), dtype=bool), np.diag([2.0, 2.0, 2.0, 1.0]))


def test_false_marks_are_those_outside_the_lesion_and_are_counted_along_the_rim():
    marked, lesion, rim = (np.zeros((20, 20, 20), dtype=bool) for _ in range(3))
    lesion[10:14, 10:14, 10:14] = True
    marked[12:16, 12:14, 12:14] = True  # 16 voxels, 8 of them in the lesion
    marked[0:2, 0:2, 0:2] = True  # along the rim
    marked[5, 5, 5:9] = True
    marked[18, 18, 18] = True  # too small to count
    rim[:3] = True
    found = marks(marked, lesion, rim, voxel_ml=0.5, min_voxels=2)
    assert found == (0.5 * 29, 0.5 * 21, 0.5 * 8, 2, 1)


def test_the_rim_is_the_part_of_the_crop_near_its_faces():
    grid = network_grid(BRAIN, 32, 16)
    inside, rim = inside_crop(BRAIN, grid), crop_rim(BRAIN, grid, 6)
    assert inside.sum() == 16**3 and (inside & ~rim).sum() == 10**3
    assert not (rim & ~inside).any()
    assert crop_rim(BRAIN, grid, 100).sum() == 16**3, "a shallow crop is all rim"
    box = network_grid(BRAIN, "brain", 60)  # of 1 mm
    assert box.shape == (44, 60, 44)
    assert (~crop_rim(BRAIN, box, 10)).sum() == 12 * 20 * 12


def test_the_poles_that_a_crop_cuts_off_are_named_with_their_shares():
    grid = network_grid(BRAIN, 40, 16)  # 20 of 30 voxels from back to front, all of the others
    assert cut_poles(BRAIN, grid) == pytest.approx({"occipital pole": 1 / 6, "frontal pole": 1 / 6})
    assert brain_cut_share(BRAIN, grid) == pytest.approx(1 / 3)
    assert cut_poles(BRAIN, network_grid(BRAIN, "brain", 16)) == {}

"""The pictures of the pages: which slice, which way round, and what is drawn on it."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from stfpm3d.imaging.volumes import Volume
from stfpm3d.reporting.figures import LESION, ScanPanels, block_on_grid, display_slice, focus, scan_png

SHAPE = (24, 28, 24)
AFFINE = np.array([[6.0, 0, 0, -70], [0, 6.0, 0, -80], [0, 0, 6.0, -70], [0, 0, 0, 1]])
LESION_RGB = tuple(int(LESION[i : i + 2], 16) for i in (1, 3, 5))


@pytest.fixture(scope="module")
def brain_mask():
    distance = np.linalg.norm((np.indices(SHAPE).T - (np.array(SHAPE) - 1) / 2) / np.array(SHAPE), axis=-1).T
    return Volume(distance < 0.42, AFFINE)


def test_slices_are_shown_in_radiological_display():
    data = np.zeros(SHAPE)
    data[20, 25, 22] = 1  # far right, anterior, superior
    for picture in (display_slice(data, "axial", 22), display_slice(data, "coronal", 25)):
        row, column = np.unravel_index(picture.argmax(), picture.shape)
        assert row < picture.shape[0] / 2, "anterior and superior are up"
        assert column < picture.shape[1] / 2, "the patient's right is on the left"
    row, column = np.unravel_index(display_slice(data, "sagittal", 20).argmax(), (24, 28))
    assert (row, column) == (1, 2), "superior is up, the nose points left"


def test_a_blocks_position_is_shown_where_the_network_saw_it():
    block = np.random.default_rng(2).random((4, 4, 4)).astype(np.float32)
    affine = np.array([[3.0, 0, 0, -20], [0, 3.0, 0, -30], [0, 0, 3.0, -10], [0, 0, 0, 1]])
    shown = block_on_grid(block, 4, affine, Volume(np.zeros((16, 16, 16)), affine)).data
    np.testing.assert_allclose(shown[::4, ::4, ::4], block, atol=1e-6)
    np.testing.assert_allclose(shown[2, 4, 8], (block[0, 1, 2] + block[1, 1, 2]) / 2, atol=1e-6)


def test_slices_go_through_the_lesion_or_the_maps_hottest_place(brain_mask):
    hot = np.zeros(SHAPE, dtype=np.float32)
    hot[12, 9, 15] = 5
    hot[0, 0, 0] = 100  # outside the brain
    lesion = np.zeros(SHAPE, dtype=bool)
    lesion[7, 12:16, 10] = True
    lesion[7, 13, 9:12] = True
    panels = ScanPanels(Volume(hot, AFFINE), {}, Volume(hot, AFFINE), Volume(lesion, AFFINE))
    assert focus(panels, brain_mask.data) == (7, 13, 10)
    assert focus(panels._replace(lesion_mask=None), brain_mask.data) == (12, 9, 15)


def test_a_picture_shows_the_lesion_only_where_there_is_one(brain_mask):
    def lesion_pixels(lesion):
        panels = ScanPanels(volume, {"Block 2": volume}, volume, lesion)
        png = scan_png(panels, brain_mask, windows=[(0, 1), (0, 1)], threshold=2, orientations=["axial"])
        pixels = np.asarray(Image.open(BytesIO(png)).convert("RGB")).astype(int)
        return int((abs(pixels - LESION_RGB).max(axis=-1) < 40).sum())

    volume = Volume(np.random.default_rng(4).random(SHAPE, np.float32), AFFINE)
    inside = np.zeros(SHAPE, dtype=bool)
    inside[8:14, 10:16, 10:14] = True
    assert lesion_pixels(Volume(inside, AFFINE)) > 50
    assert lesion_pixels(None) == 0

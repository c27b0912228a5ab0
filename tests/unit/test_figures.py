"""The pictures of the pages: which slice, which way round, and what is drawn on it."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from stfpm3d.imaging.volumes import Volume
from stfpm3d.reporting.figures import LESION, ScanPanels, block_on_grid, display_slice, focus, scan_png
from stfpm3d.reporting.scan_pictures import colour_scale, finding_png, whole_png

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
        png = scan_png(panels, brain_mask, windows=[(0, 1), (0, 1)], highest=1, threshold=2, orientations=["axial"])
        pixels = np.asarray(Image.open(BytesIO(png)).convert("RGB")).astype(int)
        return int((abs(pixels - LESION_RGB).max(axis=-1) < 40).sum())

    volume = Volume(np.random.default_rng(4).random(SHAPE, np.float32), AFFINE)
    inside = np.zeros(SHAPE, dtype=bool)
    inside[8:14, 10:16, 10:14] = True
    assert lesion_pixels(Volume(inside, AFFINE)) > 50
    assert lesion_pixels(None) == 0


def test_the_colours_of_a_bundle_are_its_own_and_healthy_scans_reach_half_of_them():
    scale = colour_scale(2.0, [2.5, 3.0, 4.5])
    assert scale.window == (2.0, 7.0)
    assert (scale.highest_healthy, scale.n_healthy) == (4.5, 3)
    odds = colour_scale(0.0, [-9.0, -3.5], log_odds=True)
    assert odds.window == (0.0, pytest.approx(np.log(99))), "negative values are normal, and are not marked"
    assert colour_scale(1.0, [1.0, 1.0]).top > 1, "maps that are one value have a scale"


def test_a_value_has_one_colour_whatever_else_a_scan_holds(brain_mask):
    """Two scans with a mark of the same value, one of them with a far higher value elsewhere."""
    image = Volume(brain_mask.data.astype(np.float32), AFFINE)

    def colours(highest):
        data = np.zeros(SHAPE, dtype=np.float32)
        data[10:14, 12:16, 10:14] = 3.0
        data[10, 20, 12] = highest
        png = finding_png(image, Volume(data, AFFINE), brain_mask, scale=colour_scale(2.0, [4.0]), centre_mm=(2, 4, 2))
        drawn = np.asarray(Image.open(BytesIO(png)).convert("RGB")).astype(int)
        half = drawn[drawn.shape[0] // 2 : int(0.8 * drawn.shape[0])]
        warm = half[half[..., 0] > half[..., 2] + 40]
        return set(map(tuple, warm))

    assert colours(3.0) & colours(40.0), "the mark's colour is in both pictures"
    assert len(colours(3.0)) == 1


def test_a_scan_is_shown_upright_whatever_its_orientation(brain_mask):
    data = np.random.default_rng(0).random(SHAPE).astype(np.float32)
    flip = np.diag([-1.0, 1, 1, 1])
    flip[0, 3] = SHAPE[0] - 1
    turned = Volume(data[::-1].swapaxes(1, 2), (AFFINE @ flip)[:, [0, 2, 1, 3]])
    assert whole_png(turned) == whole_png(Volume(data, AFFINE))

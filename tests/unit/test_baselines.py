"""Anomaly maps without learning, against values worked out with numpy and by hand."""

import numpy as np
import pytest

from stfpm3d.imaging.volumes import Volume
from stfpm3d.maps.baselines import fit_statistics, intensity_map, zscore_map

SHAPE = (10, 11, 12)
AFFINE = np.diag([2.0, 2.0, 3.0, 1.0])


def volume(data):
    return Volume(np.asarray(data), AFFINE)


@pytest.fixture
def support():
    inside = np.zeros(SHAPE, dtype=bool)
    inside[1:-1, 1:-1, 1:-1] = True
    return volume(inside)


@pytest.fixture
def training_scans():
    rng = np.random.default_rng(5)
    images = 1000 + rng.normal(size=(6, *SHAPE)).astype(np.float32)
    supports = rng.random((6, *SHAPE)) < 0.8
    return images, supports


@pytest.mark.parametrize(("lesion_sign", "anomalous"), [(1, "bright"), (-1, "dark")])
def test_the_intensity_map_is_highest_where_lesions_of_its_sign_are(lesion_sign, anomalous, support):
    image = np.random.default_rng(0).normal(size=SHAPE)
    image[3, 3, 3], image[5, 5, 5] = 9, -9
    image[0, 0, 0] = 100 if anomalous == "bright" else -100  # outside the support
    data = intensity_map(volume(image), support, lesion_sign).data
    assert np.unravel_index(data.argmax(), SHAPE) == ((3, 3, 3) if anomalous == "bright" else (5, 5, 5))
    assert (data[~support.data] == data[support.data].min()).all()


def test_streaming_statistics_equal_numpy_over_the_scans_that_hold_a_voxel(training_scans):
    images, supports = training_scans
    pairs = ((volume(image), volume(inside)) for image, inside in zip(images, supports, strict=True))
    statistics = fit_statistics(pairs)
    held = np.ma.masked_array(images.astype(np.float64), ~supports)
    enough = statistics.n >= 2
    np.testing.assert_array_equal(statistics.n, supports.sum(axis=0))
    np.testing.assert_allclose(statistics.mean[enough], held.mean(axis=0)[enough].data, rtol=1e-6)
    np.testing.assert_allclose(statistics.sd[enough], held.std(axis=0, ddof=1)[enough].data, rtol=1e-5)


def test_zscore_is_the_absolute_deviation_in_healthy_sds_with_a_floor(training_scans, support):
    images, _ = training_scans
    statistics = fit_statistics((volume(image), support) for image in images)
    floor = float(np.median(statistics.sd[support.data]))
    image = images[0] + np.float32(4)
    z = zscore_map(volume(image), support, statistics, sd_floor=floor, smoothing_mm=0).data
    expected = abs(image - images.mean(axis=0)) / np.maximum(images.std(axis=0, ddof=1), floor)
    np.testing.assert_allclose(z[support.data], expected[support.data], rtol=1e-3)
    assert (z[~support.data] == z[support.data].min()).all()


def test_smoothing_is_in_mm_and_does_not_fade_the_rim_of_the_support(training_scans, support):
    images, _ = training_scans
    statistics = fit_statistics((volume(image), support) for image in images)
    uniform = volume(statistics.mean + 3 * np.maximum(statistics.sd, 0.1))
    smoothed = zscore_map(uniform, support, statistics, sd_floor=0.1, smoothing_mm=14).data
    np.testing.assert_allclose(smoothed[support.data], 3, rtol=1e-3)

    spot = statistics.mean.copy()
    spot[5, 5, 6] += 50 * max(statistics.sd[5, 5, 6], 0.1)
    smoothed = zscore_map(volume(spot), support, statistics, sd_floor=0.1, smoothing_mm=2 * 2.3548).data
    one_sd_along_x, one_sd_along_z = smoothed[6, 5, 6] / smoothed[5, 5, 6], smoothed[5, 5, 7] / smoothed[5, 5, 6]
    assert one_sd_along_x == pytest.approx(np.exp(-1 / 2), rel=0.05)  # 2 mm away
    assert one_sd_along_z == pytest.approx(np.exp(-(1.5**2) / 2), rel=0.05)  # 3 mm away

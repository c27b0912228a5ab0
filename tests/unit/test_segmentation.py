"""Lesions from a single map, without a threshold from other scans."""

import math

import numpy as np
import pytest

from stfpm3d.imaging.volumes import Volume, save_volume
from stfpm3d.maps.form import Scan
from stfpm3d.maps.segmentation import segment, segmentation_maps

SHAPE = (10, 10, 10)
AFFINE = np.eye(4)


@pytest.fixture
def inside():
    mask = np.zeros(SHAPE, dtype=bool)
    mask[1:-1, 1:-1, 1:-1] = True
    return mask


def exact_two_means(values):
    """The cut into two clusters of least squares, among all cuts of the sorted values."""
    ordered = np.sort(values)
    cost = [
        part.size * part.var() + rest.size * rest.var()
        for part, rest in (np.split(ordered, [cut]) for cut in range(1, ordered.size))
    ]
    return values >= ordered[1 + int(np.argmin(cost))]


@pytest.mark.parametrize("scale", [1, 1e-25], ids=["", "values whose squares are no float32"])
def test_k_means_splits_the_brains_values_where_the_squares_are_least(inside, scale):
    rng = np.random.default_rng(2)
    data = rng.exponential(size=SHAPE)
    data[3:6, 3:6, 3:6] += 9
    data[0] = 1000  # outside: neither in a cluster nor lesion
    lesion = segment(Volume((scale * data).astype(np.float32), AFFINE), inside, None).data
    assert lesion.dtype == np.float32
    np.testing.assert_array_equal(lesion[inside], exact_two_means(data[inside]))
    assert not lesion[~inside].any()


@pytest.mark.parametrize(("fraction", "count"), [(0.01, 6), (0.5, 256), (1e-6, 1)])
def test_the_top_fraction_is_a_share_of_the_brains_voxels(inside, fraction, count):
    data = np.random.default_rng(0).permutation(1000).reshape(SHAPE).astype(np.float32)  # 512 of them inside
    lesion = segment(Volume(data, AFFINE), inside, fraction).data
    assert lesion.sum() == count
    assert data[lesion == 1].min() > data[inside & (lesion == 0)].max()


def test_a_segmentation_has_no_score_and_no_lesion_outside_brain_and_support(tmp_path, inside):
    support = inside.copy()
    support[:5] = False
    data = np.random.default_rng(0).random(SHAPE, np.float32)
    for name, content in (("brain", inside), ("support", support), ("map", data)):
        save_volume(tmp_path / f"{name}.nii.gz", Volume(content, AFFINE))
    make = segmentation_maps({"brain_mask": tmp_path / "brain.nii.gz"}, top_fraction=0.1)
    found = make(Scan("sub-01", tmp_path / "map.nii.gz", tmp_path / "support.nii.gz"))
    assert math.isnan(found.score)
    np.testing.assert_array_equal(found.map.data, segment(Volume(data, AFFINE), support, 0.1).data)


@pytest.mark.parametrize("top_fraction", [None, 0.1], ids=["k-means", "top fraction"])
def test_a_constant_map_has_no_lesion_and_that_is_said(tmp_path, caplog, inside, top_fraction):
    """A bare mask, or a network that gives the same everywhere: no voxel is more unusual than another."""
    data = np.where(inside, np.float32(0.3), np.float32(-1))  # outside the brain it may be anything
    for name, content in (("brain", inside), ("map", data)):
        save_volume(tmp_path / f"{name}.nii.gz", Volume(content, AFFINE))
    make = segmentation_maps({"brain_mask": tmp_path / "brain.nii.gz"}, top_fraction=top_fraction)
    found = make(Scan("sub-01", tmp_path / "map.nii.gz", tmp_path / "brain.nii.gz"))
    assert not found.map.data.any()
    assert "sub-01: its map is constant in the brain, and no voxel is marked" in caplog.text


def test_two_values_are_the_two_clusters(inside):
    data = np.zeros(SHAPE, dtype=np.float32)
    data[4:6, 4:6, 4:6] = 1e-6
    np.testing.assert_array_equal(segment(Volume(data, AFFINE), inside, None).data, data > 0)

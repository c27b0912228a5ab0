"""Findings of a map on a grid of 2 mm, worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from stfpm3d.imaging.volumes import Volume
from stfpm3d.prediction.anomalies import Atlas, find_anomalies
from stfpm3d.prediction.region_names import plain_name

AFFINE = np.diag([2.0, 2, 2, 1])
AFFINE[:3, 3] = -20  # voxel 10 lies at 0 mm


@pytest.fixture
def support() -> Volume:
    inside = np.zeros((21, 21, 21), dtype=bool)
    inside[1:20, 1:20, 1:20] = True
    return Volume(inside, AFFINE)


def map_of(**voxels) -> Volume:
    data = np.zeros((21, 21, 21), dtype=np.float32)
    for places, value in voxels.values():
        data[places] = value
    return Volume(data, AFFINE)


def test_a_finding_has_its_volume_place_and_strength(support) -> None:
    """3 x 1 x 1 voxels of 8 mm³ to the left, the middle one higher; the scan's brain is 1.5 times the template's."""
    found = find_anomalies(
        map_of(all=((slice(3, 6), 10, 12), 2.0), peak=((4, 10, 12), 5.0)),
        support,
        threshold=2.0,
        native_per_mni=1.5,
    )
    assert len(found) == 1
    assert found[0].volume_ml == pytest.approx(3 * 0.008 * 1.5)
    assert (found[0].peak, found[0].mean) == (5.0, 3.0)
    assert (found[0].x_mm, found[0].y_mm, found[0].z_mm) == pytest.approx((-12, 0, 4))
    assert found[0].side == "left"
    assert found[0].rim_mm == pytest.approx(8)  # voxel 4, the first one outside is 0
    assert found[0].regions == "n/a"


def test_voxels_that_touch_by_a_corner_are_one_finding_and_the_largest_comes_first(support) -> None:
    corner = map_of(a=((5, 5, 5), 1.0), b=((6, 6, 6), 1.0), single=((15, 15, 15), 9.0))
    found = find_anomalies(corner, support, threshold=1.0)
    assert [(anomaly.number, round(anomaly.volume_ml, 6)) for anomaly in found] == [(1, 0.016), (2, 0.008)]
    assert [anomaly.side for anomaly in found] == ["left", "right"]
    assert len(find_anomalies(corner, support, threshold=1.0, min_ml=0.01)) == 1


@pytest.mark.parametrize(("voxel", "side"), [(7, "left"), (8, "midline"), (12, "midline"), (13, "right")])
def test_the_midline_is_5_mm_wide_on_either_side(support, voxel, side) -> None:
    (found,) = find_anomalies(map_of(a=((voxel, 10, 10), 1.0)), support, threshold=1.0)
    assert found.side == side


def test_a_finding_that_crosses_the_midline_lies_on_both_sides_with_shares(support) -> None:
    """Of nine voxels from -12 to 4 mm the crossing one reaches 8 mm: 6 of 11 lie to the left, one in the plane."""
    (within,) = find_anomalies(map_of(a=((slice(4, 13), 10, 10), 1.0)), support, threshold=1.0)
    assert within.side == "midline", "its centre lies at -4 mm, and no voxel beyond 5 mm on the right"
    (crossing,) = find_anomalies(map_of(a=((slice(4, 15), 10, 10), 1.0)), support, threshold=1.0)
    assert (crossing.side, crossing.left_share) == ("both", pytest.approx(6.5 / 11))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("ctx-rh-superiorfrontal", "right superior frontal gyrus"),
        ("Left-Putamen", "left putamen"),
        ("Right-Inf-Lat-Vent", "right temporal horn of the lateral ventricle"),
        ("CC_Mid_Anterior", "corpus callosum (anterior middle part)"),
        ("Optic-Chiasm", "optic chiasm"),
    ],
)
def test_regions_have_the_names_that_people_use(name: str, words: str) -> None:
    assert plain_name(name) == words


def test_what_lies_outside_the_scans_brain_is_no_finding(support) -> None:
    assert find_anomalies(map_of(a=((0, 10, 10), 1.0)), support, threshold=1.0) == []


def test_regions_are_named_by_what_they_hold_of_the_finding(support) -> None:
    """Eight voxels: six in region 7, one in region 9, one in none."""
    labels = np.zeros((21, 21, 21), dtype=np.float32)
    labels[5, 5, 4:10], labels[5, 5, 10] = 7, 9
    atlas = Atlas(Volume(labels, AFFINE), {7: "Left-Putamen", 9: "Left-Pallidum"})
    (found,) = find_anomalies(map_of(a=((5, 5, slice(4, 12)), 1.0)), support, threshold=1.0, atlas=atlas)
    assert found.regions == "left putamen 75%, left pallidum 12%"

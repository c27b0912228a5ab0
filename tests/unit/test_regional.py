"""What a region says as a whole, and what a scan and both hemispheres have in common."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from stfpm3d.imaging.grid import NetworkGrid
from stfpm3d.imaging.volumes import Volume, save_volume
from stfpm3d.learning.resnet import AcsResNet
from stfpm3d.maps.form import Scan, less_mirrored
from stfpm3d.maps.gaussian import FeatureGaussian
from stfpm3d.maps.network import BlockMaps, NetworkMaps
from stfpm3d.maps.pooling import Pooling, in_medians

AFFINE = np.array([[4.0, 0, 0, -18], [0, 4, 0, 0], [0, 0, 4, 0], [0, 0, 0, 1]])  # x: -18, -14 ... 18 mm


def test_pooling_is_the_gaussian_mean_over_positions_that_see_brain() -> None:
    brain = np.zeros((32, 32, 32), dtype=bool)
    brain[:20] = True  # positions 0, 4 ... 20 along x get a share of a brain voxel, 24 and 28 none
    values = np.random.default_rng(0).normal(size=(1, 2, 8, 8, 8))
    found = Pooling(brain, stride=4, sigma=0.6)(torch.from_numpy(values), brain)
    place = np.stack(np.meshgrid(*[range(8)] * 3, indexing="ij"))
    offset = place - np.array([5, 3, 4])[:, None, None, None]
    weight = np.exp(-(offset**2).sum(axis=0) / (2 * 0.6**2)) * (abs(offset).max(axis=0) <= 2) * (place[0] <= 5)
    expected = (values * weight).sum(axis=(2, 3, 4)) / weight.sum()
    np.testing.assert_allclose(found[:, :, 5, 3, 4], expected, rtol=1e-5)


def test_beside_a_cut_the_brain_that_a_scan_holds_speaks_for_what_it_lacks() -> None:
    brain = np.ones((32, 32, 32), dtype=bool)
    support = brain.copy()
    support[20:] = False  # positions up to 16 have all of their 7 voxels along x, that at 20 has 3, the others none
    values = torch.zeros(1, 1, 8, 8, 8)
    values[:, :, 5:] = 9  # what the networks make of the cut
    pooling = Pooling(brain, stride=4, sigma=1.0)
    np.testing.assert_array_equal(
        pooling.held_share(support)[:, 4, 4], np.array([1, 1, 1, 1, 1, 3 / 7, 0, 0], dtype=np.float32)
    )
    assert float(pooling(values, support)[0, 0, :6].max()) < 1e-6
    assert float(pooling(values, brain)[0, 0, 4].max()) > 2


def test_agreement_is_what_the_teacher_finds_unusual_and_the_student_does_not_follow() -> None:
    teacher, student = (AcsResNet("resnet18", seed=seed).eval() for seed in (0, 1))
    scan = np.random.default_rng(0).normal(size=(32, 32, 32)).astype(np.float16)
    features = BlockMaps(teacher, student, agreement=True).features(scan)
    means, halves = [], [x.shape[1] // 2 for x in features]
    assert [2 * half for half in halves] == [2 * x.shape[1] for x in teacher.pyramid(torch.zeros(1, 1, 32, 32, 32))]
    for x, half, shift in zip(features, halves, (3.0, 0.0, -3.0), strict=True):
        mean = x.clone()
        mean[:, :half] -= 2  # the teacher's features lie 2 SD above healthy ones, the differences `shift` SD
        mean[:, half:] -= shift
        means.append(mean)
    gaussian = FeatureGaussian(2, means, [torch.ones_like(x) for x in features])
    found = BlockMaps(teacher, student, gaussian, agreement=True)(scan, np.ones(scan.shape, dtype=bool))
    for block, expected in zip(found, (6.0, 0.0, -6.0), strict=True):
        torch.testing.assert_close(block, torch.full_like(block, expected), rtol=1e-3, atol=1e-3)


def test_what_neighbours_agree_on_outweighs_what_alternates() -> None:
    teacher = AcsResNet("resnet18", seed=0).eval()
    scan = np.random.default_rng(0).normal(size=(32, 32, 32)).astype(np.float16)
    whole = np.ones(scan.shape, dtype=bool)
    poolings = [Pooling(whole, stride, 1.0) for stride in (4, 8, 16)]
    features = BlockMaps(teacher).features(scan)
    alternating = [2 * (torch.from_numpy(np.indices(x.shape[2:]).sum(axis=0)) % 2) - 1 for x in features]
    found = []
    for shift in ([torch.ones_like(sign) for sign in alternating], alternating):
        means = [x - sign for x, sign in zip(features, shift, strict=True)]
        gaussian = FeatureGaussian(2, means, [torch.ones_like(x) for x in features])
        plain, pooled = (
            BlockMaps(teacher, gaussian=gaussian, poolings=each)(scan, whole)[0] for each in (None, poolings)
        )
        torch.testing.assert_close(plain, torch.ones_like(plain), rtol=1e-3, atol=1e-3)
        found.append(float(pooled.mean()))
    assert found[0] == pytest.approx(1, rel=1e-3)
    assert found[1] < 0.05


def test_a_normalised_teacher_does_not_see_the_gain_of_its_features() -> None:
    teacher = AcsResNet("resnet18", seed=0).eval()
    features = BlockMaps(teacher, normalised=True).features(np.ones((32, 32, 32), dtype=np.float16))
    for block in features:
        torch.testing.assert_close(block.norm(dim=1), torch.ones_like(block[:, 0]))


def test_a_map_in_medians_says_the_same_of_a_scan_whose_map_is_higher_everywhere() -> None:
    values = torch.from_numpy(np.random.default_rng(0).uniform(1, 2, (1, 10, 4, 4)))
    seen = np.indices((10, 4, 4))[0] < 5
    low, high = (in_medians(gain * values, seen) for gain in (1, 7))
    torch.testing.assert_close(low, high)
    assert np.median(low[0].numpy()[seen]) == pytest.approx(1)


def test_the_other_hemisphere_lends_its_value_where_the_scan_holds_it() -> None:
    values, support = np.ones((10, 4, 4), dtype=np.float32), np.ones((10, 4, 4), dtype=bool)
    values[2] = 9  # at -10 mm; its partner is at +10 mm
    values[1] = 5  # at -14 mm; its partner is missing
    support[8] = False
    found = less_mirrored(Volume(values, AFFINE), Volume(support, AFFINE), 0.5).data[:, 0, 0]
    np.testing.assert_allclose(found, [0.5, 2.5, 8.5, 0.5, 0.5, 0.5, 0.5, -3.5, -1.5, 0.5])


def test_the_midline_is_at_zero_whatever_the_grid() -> None:
    affine = AFFINE.copy()
    affine[0, 3] = -10  # x: -10, -6 ... 26 mm; beyond 10 mm the mirror image leaves the grid
    values = np.arange(10, dtype=np.float32)[:, None, None] * np.ones((1, 4, 4), dtype=np.float32)
    found = less_mirrored(Volume(values, affine), Volume(np.ones(values.shape, dtype=bool), affine), 1.0).data
    np.testing.assert_allclose(found[:, 0, 0], [-5, -3, -1, 1, 3, 5, 0, 0, 0, 0])


def test_a_dark_spot_adds_to_the_map_of_a_t1_and_takes_nothing_from_the_other_side(tmp_path) -> None:
    grid = NetworkGrid((16, 16, 16), np.array([[2.0, 0, 0, -15], [0, 2, 0, 0], [0, 0, 2, 0], [0, 0, 0, 1]]))
    scan = np.zeros((16, 16, 16), dtype=np.float16)
    scan[4, 8, 8] = -3
    np.save(tmp_path / "scan.npy", scan)
    brain = Volume(np.ones(scan.shape, dtype=bool), grid.affine)
    save_volume(tmp_path / "support.nii.gz", brain, np.uint8)
    teacher = AcsResNet("resnet18", seed=0).eval()
    plain, weighted = (
        NetworkMaps(
            BlockMaps(teacher, teacher, blocks=[1]),
            grid,
            brain,
            combine="sum",
            in_medians=False,
            smoothing_mm=0,
            mirror_share=0,
            asymmetry_weight=weight,
            lesion_sign=-1,
        )(Scan("sub-01", tmp_path / "scan.npy", tmp_path / "support.nii.gz")).map.data
        for weight in (0.0, 2.0)
    )
    added = weighted - plain
    assert added[4, 8, 8] == 6
    assert np.count_nonzero(added) == 1

from __future__ import annotations

import numpy as np
import pytest
import torch

from stfpm3d.imaging.volumes import Volume
from stfpm3d.learning.matching import block_distances, combine_blocks, upsample
from stfpm3d.learning.resnet import STRIDES, AcsResNet
from stfpm3d.maps.form import map_on_mni
from stfpm3d.maps.network import BlockMaps


def test_the_distance_is_half_the_squared_distance_of_unit_vectors() -> None:
    teacher = torch.tensor([3.0, 0.0]).view(1, 2, 1, 1, 1)
    student = torch.tensor([1.0, 1.0]).view(1, 2, 1, 1, 1)
    # By hand: (1, 0) and (1, 1)/sqrt(2); half the squared distance is 1 - cos 45 degrees.
    assert block_distances([teacher], [student])[0].item() == pytest.approx(1 - np.sqrt(0.5))
    assert block_distances([teacher], [7 * teacher])[0].item() == pytest.approx(0, abs=1e-7)


def test_blocks_are_scaled_up_and_multiplied_or_added() -> None:
    blocks = [torch.full((1, n, n, n), value) for n, value in ((4, 0.5), (2, 0.2), (1, 0.1))]
    product, total = (combine_blocks(blocks, (16, 16, 16), combine) for combine in ("product", "sum"))
    assert product.shape == (1, 16, 16, 16)
    torch.testing.assert_close(product, torch.full_like(product, 0.01))
    torch.testing.assert_close(total, torch.full_like(total, 0.8))
    deep = combine_blocks(blocks[1:], (16, 16, 16), "product", [2, 3])
    torch.testing.assert_close(deep, torch.full_like(deep, 0.02))


def test_a_feature_is_put_back_where_its_receptive_field_is_centred() -> None:
    volume = torch.zeros(1, 1, 256, 16, 16)
    volume[0, 0, 128, 0, 0] = torch.nan  # spreads to every feature that sees this voxel
    with torch.no_grad():
        blocks = AcsResNet("resnet18", seed=0).eval().pyramid(volume)
    for block, stride in zip(blocks, STRIDES, strict=True):
        seeing = block.isnan().any(dim=1)[0, :, 0, 0].nonzero().double()
        assert seeing.min() > 0 and seeing.max() < 256 / stride - 1
        assert seeing.mean() == 128 / stride
        peak = torch.zeros(1, 256 // stride, 2, 2)
        peak[0, 128 // stride] = 1
        upsampled = upsample(peak, stride, (256, 16, 16))[0, :, 0, 0]
        assert upsampled.argmax() == 128
        assert torch.equal(upsampled[128 - stride : 129], upsampled[128 : 129 + stride].flip(0))


def test_a_student_that_is_the_teacher_sees_no_anomaly() -> None:
    teacher, other = (AcsResNet("resnet18", seed=seed).eval() for seed in (0, 1))
    scan = np.random.default_rng(0).normal(size=(32, 32, 32)).astype(np.float16)
    whole = np.ones(scan.shape, dtype=bool)
    same, different = (BlockMaps(teacher, student)(scan, whole) for student in (teacher, other))
    assert [block.shape for block in same] == [(1, 8, 8, 8), (1, 4, 4, 4), (1, 2, 2, 2)]
    assert not combine_blocks(same, scan.shape, "sum").any()
    assert combine_blocks(different, scan.shape, "product").min() > 0


def test_outside_crop_and_support_the_map_is_its_minimum() -> None:
    rng = np.random.default_rng(0)
    anomaly = rng.uniform(0.3, 0.9, (8, 8, 8)).astype(np.float32)
    crop = np.diag([2.0, 2.0, 2.0, 1.0])
    crop[:3, 3] = 4  # the crop starts two voxels inside the MNI grid, and ends two before its end
    support = np.ones((12, 12, 12), dtype=bool)
    support[5] = False
    on_mni = map_on_mni(Volume(anomaly, crop), Volume(support, np.diag([2.0, 2.0, 2.0, 1.0]))).data
    inside = np.zeros((12, 12, 12), dtype=bool)
    inside[2:10, 2:10, 2:10] = True
    expected = np.full((12, 12, 12), anomaly.min())
    expected[2:10, 2:10, 2:10] = anomaly
    expected[~support] = anomaly.min()
    np.testing.assert_allclose(on_mni, expected, rtol=1e-6)
    assert on_mni.dtype == np.float32

"""An atlas tells the networks where in the brain a voxel lies: their second input channel."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import test_student
import test_teacher
import torch
from safetensors import safe_open

from stfpm3d.imaging.atlas import atlas_channel, coordinate_channel
from stfpm3d.imaging.grid import NetworkGrid, write_grid
from stfpm3d.imaging.volumes import Volume, save_volume
from stfpm3d.learning.patches import PatchGrid, TripletDataset
from stfpm3d.learning.training import ScanDataset
from stfpm3d.maps.network import load_block_maps
from stfpm3d.runtime.errors import InputError

SIZE = 16
GRID = NetworkGrid((4, 4, 4), np.diag([2.0, 2, 2, 1]))


def test_coordinates_rise_from_0_to_1_along_the_diagonal() -> None:
    channel = coordinate_channel((5, 9, 3))
    assert channel.dtype == np.float32
    assert channel[0, 0, 0] == 0 and channel[4, 8, 2] == 1
    assert channel[4, 0, 0] == channel[0, 8, 0] == channel[0, 0, 2] == pytest.approx(1 / 3)
    assert channel[1, 4, 2] == pytest.approx((0.25 + 0.5 + 1) / 3)


def labels(path: Path, data: Any, shift_mm: float = 0) -> Path:
    """Labels in voxels of 1 mm; the network's crop has voxels of 2 mm whose centres are every second one's."""
    affine = np.eye(4)
    affine[0, 3] = shift_mm
    save_volume(path, Volume(np.asarray(data), affine), np.int16)
    return path


def test_labels_are_taken_from_the_nearest_voxel_and_divided_by_the_greatest(tmp_path: Path) -> None:
    data = np.random.default_rng(0).integers(1, 100, (7, 7, 5))  # ends before the crop does, in z
    data[1, 1, 1] = 102  # CerebrA's greatest label, between the crop's voxels
    channel = atlas_channel(labels(tmp_path / "labels.nii.gz", data), GRID)
    assert channel.dtype == np.float32
    np.testing.assert_allclose(channel[:, :, :3], data[::2, ::2, ::2] / 102, rtol=1e-6)
    assert not channel[:, :, 3].any()


def test_a_map_of_another_space_or_with_negative_values_is_refused(tmp_path: Path) -> None:
    data = np.arange(343).reshape(7, 7, 7)
    with pytest.raises(InputError, match=r"far\.nii is 0 in the whole crop .*: resample it to the template"):
        atlas_channel(labels(tmp_path / "far.nii", data, shift_mm=100), GRID)
    with pytest.raises(InputError, match=r"signed\.nii holds values down to -5; expected labels or shares"):
        atlas_channel(labels(tmp_path / "signed.nii", data - 5), GRID)


def test_patches_and_scans_carry_the_atlas_of_their_place(tmp_path: Path) -> None:
    atlas = np.arange(SIZE**3, dtype=np.float32).reshape((SIZE,) * 3)
    paths = [tmp_path / f"sub-{scan}.npy" for scan in range(2)]
    for scan, path in enumerate(paths):
        np.save(path, atlas + scan * SIZE**3)  # voxels tell scan and position
    grid = PatchGrid(np.ones((SIZE,) * 3, dtype=bool), 4, min_brain_fraction=0.5)
    triplets = TripletDataset(paths, ["a", "b"], grid, patch_size=4, triplets_per_scan=9, seed=0, epoch=0, atlas=atlas)[
        1
    ]
    assert triplets.shape == (9, 3, 2, 4, 4, 4)
    assert (triplets[:, :, 0] % SIZE**3 == triplets[:, :, 1]).all()
    _, scan = ScanDataset(paths, atlas)[1]
    np.testing.assert_array_equal(scan, [atlas + SIZE**3, atlas])


def test_teacher_student_and_maps_see_the_atlas(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    scans = [tmp_path / f"sub-{index}.npy" for index in range(8)]
    for path in scans:
        np.save(path, rng.normal(size=(SIZE,) * 3).astype(np.float16))
    np.save(tmp_path / "mask.npy", np.ones((SIZE,) * 3, dtype=bool))
    write_grid(tmp_path / "grid.json", NetworkGrid((SIZE, SIZE, SIZE), np.diag([4.0, 4, 4, 1])), 0.0)
    np.save(tmp_path / "atlas.npy", coordinate_channel((SIZE, SIZE, SIZE)))
    atlas = tmp_path / "atlas.npy"
    test_teacher.train(scans[:6], "teacher", epochs=1, atlas=atlas)
    test_student.train(tmp_path, "student", epochs=1, atlas=atlas)
    for name in ("teacher", "student", "student-initial"):
        with safe_open(tmp_path / f"{name}.safetensors", framework="pt") as file:
            assert json.loads(file.metadata()["network"])["in_channels"] == 2
            assert file.get_slice("conv1.weight").get_shape() == [64, 2, 7, 7]

    scan = np.load(scans[0])
    networks = {name: tmp_path / f"{name}.safetensors" for name in ("teacher", "student")}
    np.save(tmp_path / "elsewhere.npy", 1 - coordinate_channel((SIZE, SIZE, SIZE)))
    here, elsewhere = (
        load_block_maps(
            {**networks, "atlas": channel},
            normalised=False,
            agreement=False,
            accelerator="cpu",
            threads=1,
            precision="32-true",
        )(scan, np.ones(scan.shape, dtype=bool))
        for channel in (atlas, tmp_path / "elsewhere.npy")
    )
    assert [block.shape for block in here] == [(1, 4, 4, 4), (1, 2, 2, 2), (1, 1, 1, 1)]
    assert not any(torch.equal(*blocks) for blocks in zip(here, elsewhere, strict=True))

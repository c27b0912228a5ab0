from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import pytest

from stfpm3d.learning.patches import PatchGrid, TripletDataset, brain_voxels_per_patch
from stfpm3d.runtime.errors import InputError

SIZE, PATCH = 20, 4


@pytest.fixture
def brain_mask() -> np.ndarray:
    axes = np.indices((SIZE, SIZE, SIZE)) - (SIZE - 1) / 2
    return np.linalg.norm(axes, axis=0) < 8


@pytest.fixture
def volumes(tmp_path: Path) -> list[Path]:
    """Scans whose voxels tell scan and position: 8000 * scan + flat index, exact in float32."""
    paths = [tmp_path / f"sub-{scan}.npy" for scan in range(3)]
    for scan, path in enumerate(paths):
        np.save(path, (np.arange(SIZE**3, dtype=np.float32) + scan * SIZE**3).reshape(SIZE, SIZE, SIZE))
    return paths


def dataset(volumes: list[Path], brain_mask: np.ndarray, *, seed: int = 0, epoch: int = 0) -> TripletDataset:
    grid = PatchGrid(brain_mask, PATCH, min_brain_fraction=0.5)
    subjects = [path.stem for path in volumes]
    return TripletDataset(volumes, subjects, grid, patch_size=PATCH, triplets_per_scan=50, seed=seed, epoch=epoch)


def test_brain_voxels_are_counted_as_by_summing_each_patch(brain_mask: np.ndarray) -> None:
    counts = brain_voxels_per_patch(brain_mask, PATCH)
    assert counts.shape == (SIZE - PATCH + 1,) * 3
    for x, y, z in product((0, 3, 8, 16), repeat=3):
        assert counts[x, y, z] == brain_mask[x : x + PATCH, y : y + PATCH, z : z + PATCH].sum()


def test_neighbours_touch_the_anchor_on_its_grid_and_negatives_come_from_another_subject(
    volumes: list[Path], brain_mask: np.ndarray
) -> None:
    offsets = set()
    for own, triplets in enumerate(dataset(volumes, brain_mask)[index] for index in range(3)):
        assert triplets.shape == (50, 3, 1, PATCH, PATCH, PATCH)
        scans, positions = np.divmod(triplets[:, :, 0, 0, 0, 0].numpy().astype(int), SIZE**3)
        assert (scans[:, :2] == own).all() and (scans[:, 2] != own).all()
        corners = np.stack(np.unravel_index(positions, (SIZE, SIZE, SIZE)), axis=-1)
        offsets |= {tuple(offset) for offset in (corners[:, 1] - corners[:, 0]).tolist()}
        for x, y, z in corners.reshape(-1, 3):
            assert brain_mask[x : x + PATCH, y : y + PATCH, z : z + PATCH].mean() >= 0.5
    assert (0, 0, 0) not in offsets
    assert offsets <= set(product((-PATCH, 0, PATCH), repeat=3)) and len(offsets) > 20


def test_with_no_least_share_only_anchors_of_background_alone_are_discarded() -> None:
    """As the paper's text has it (section 3.1): negatives lie at a random position, neighbours next to the anchor."""
    brain_mask = np.zeros((12, 12, 12), dtype=bool)
    brain_mask[5, 6, 7] = True
    grid = PatchGrid(brain_mask, PATCH, min_brain_fraction=0)
    everywhere = set(product(range(12 - PATCH + 1), repeat=3))
    with_brain = set(product(range(2, 6), range(3, 7), range(4, 8)))  # corners of the patches that hold the voxel
    assert {tuple(corner) for corner in grid.corners.tolist()} == everywhere
    assert {tuple(corner) for corner in grid.anchors.tolist()} == with_brain
    rng = np.random.default_rng(0)
    drawn = [[tuple(corner.tolist()) for corner in grid.draw(rng)] for _ in range(500)]
    anchors, neighbours, negatives = zip(*drawn, strict=True)
    assert set(anchors) <= with_brain
    assert not set(neighbours) <= with_brain and set(neighbours) <= everywhere
    assert len(set(negatives)) > 200


def test_negatives_never_come_from_another_scan_of_the_same_subject(
    volumes: list[Path], brain_mask: np.ndarray
) -> None:
    grid = PatchGrid(brain_mask, PATCH, min_brain_fraction=0.5)
    subjects = ["sub-a", "sub-a", "sub-b"]
    triplets = TripletDataset(volumes, subjects, grid, patch_size=PATCH, triplets_per_scan=50, seed=0, epoch=0)
    negatives = [set((triplets[index][:, 2, 0, 0, 0, 0].numpy() // SIZE**3).astype(int)) for index in range(3)]
    assert negatives == [{2}, {2}, {0, 1}]


def test_a_scan_with_nan_is_named(volumes: list[Path], brain_mask: np.ndarray) -> None:
    np.save(volumes[1], np.full((SIZE, SIZE, SIZE), np.nan, dtype=np.float32))
    with pytest.raises(InputError, match=r"sub-1\.npy, or a scan .* holds NaN"):
        dataset(volumes, brain_mask)[1]


def test_triplets_are_a_function_of_seed_epoch_and_index(volumes: list[Path], brain_mask: np.ndarray) -> None:
    triplets = dataset(volumes, brain_mask, seed=1, epoch=2)[1]
    assert triplets.equal(dataset(volumes, brain_mask, seed=1, epoch=2)[1])
    assert not triplets.equal(dataset(volumes, brain_mask, seed=1, epoch=3)[1])
    assert not triplets.equal(dataset(volumes, brain_mask, seed=2, epoch=2)[1])


def test_a_grid_without_neighbouring_brain_and_a_lone_subject_are_refused(
    volumes: list[Path], brain_mask: np.ndarray
) -> None:
    with pytest.raises(InputError, match="min_brain_fraction"):
        PatchGrid(brain_mask, 12, min_brain_fraction=0.9)
    with pytest.raises(InputError, match="2 subjects"):
        dataset(volumes[:1], brain_mask)

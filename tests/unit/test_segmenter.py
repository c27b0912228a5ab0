"""A segmenter: its network, its loss against other implementations, and a training that repeats to the bit."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file
from sklearn.metrics import log_loss

from stfpm3d.imaging.grid import NetworkGrid, mask_on_network_grid, midline_grid, to_network_grid, write_grid
from stfpm3d.imaging.volumes import Volume, save_volume
from stfpm3d.learning import segmenter
from stfpm3d.learning.compute import Compute
from stfpm3d.learning.segmenter import (
    DICE_SMOOTHING_ML,
    SegmenterSettings,
    lesion_loss,
    normal_range,
    rate_factor,
    train_segmenter,
    untrained_segmenter,
)
from stfpm3d.learning.unet import LesionUNet, joined, load_segmenter, parted, save_segmenter, start_from
from stfpm3d.maps.form import Scan
from stfpm3d.maps.lesion_odds import segmenter_maps
from stfpm3d.runtime.errors import InputError
from stfpm3d.simulation.scan import Healthy, mirrored

SHAPE = (32, 32, 16)
GRID = NetworkGrid(SHAPE, np.array([[4.0, 0, 0, -64], [0, 4, 0, -64], [0, 0, 4, -30], [0, 0, 0, 1]]))
SETTINGS: dict[str, Any] = {
    "modality": "T1w",
    "seed": 3,
    "steps": 6,
    "batch_size": 2,
    "width": 16,
    "spacing_mm": 4.0,
    "comparisons": ("mirror", "mean", "deviation"),
    "learning_rate": 2e-3,
    "weight_decay": 1e-2,
    "mass_effect": True,
    "randomisation": 1.0,
}
COMPUTE = Compute(accelerator="cpu", devices=1, precision="32-true", threads=2)
CPU = {"accelerator": "cpu", "threads": 1, "precision": "32-true"}


def network(seed: int = 0, **changes: Any) -> LesionUNet:
    mean = torch.randn(SHAPE, generator=torch.Generator().manual_seed(1))
    mean = (mean + mirrored(mean)) / 2
    return LesionUNet(mean, torch.ones(SHAPE), **{"width": 16, "seed": seed, **changes}).eval()


def test_eight_voxels_become_channels_and_voxels_again() -> None:
    volumes = torch.randn(2, 3, 4, 6, 8)
    channels = joined(volumes)
    assert channels.shape == (2, 24, 2, 3, 4)
    assert channels[1, 8 + 0b101, 1, 2, 3] == volumes[1, 1, 3, 4, 7]  # channel 1; of its 8 voxels (1, 0, 1)
    assert torch.equal(parted(channels), volumes)


def test_the_default_network_has_about_a_million_weights_and_answers_every_voxel() -> None:
    assert sum(weights.numel() for weights in network(width=32).parameters()) == pytest.approx(1.05e6, rel=0.02)
    with torch.inference_mode():
        log_odds = network()(torch.randn(2, *SHAPE))
    assert log_odds.shape == (2, *SHAPE)
    assert float(log_odds.median()) == pytest.approx(-3, abs=1)  # at first it takes most voxels for healthy


def test_a_mirrored_scan_has_the_mirrored_map() -> None:
    scan = torch.randn(SHAPE, generator=torch.Generator().manual_seed(2))
    with torch.inference_mode():
        straight, turned = (network().log_odds(seen) for seen in (scan, mirrored(scan)))
    torch.testing.assert_close(mirrored(turned)[1:], straight[1:], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(("comparisons", "inputs"), [((), 8), (("mirror",), 16), (("mean", "deviation"), 24)])
def test_what_the_network_compares_with_can_be_left_out(comparisons: tuple, inputs: int, tmp_path: Path) -> None:
    made = network(comparisons=comparisons)
    assert made.get_parameter("encoder.0.first.weight").shape[1] == inputs
    save_segmenter(tmp_path / "model.safetensors", made)
    again = load_segmenter(tmp_path / "model.safetensors")
    scan = torch.randn(1, *SHAPE)
    with torch.inference_mode():
        assert torch.equal(again(scan), made(scan))


def test_a_network_for_t1w_sees_in_a_turned_t2w_scan_what_it_knows(tmp_path: Path) -> None:
    """A T2w scan that is the opposite of a T1w one: the same map, and the same healthy range of its brains."""
    brain = torch.zeros(SHAPE, dtype=torch.bool)
    brain[4:28, 4:28, 3:13] = True
    drawn = torch.randn(3, *SHAPE, generator=torch.Generator().manual_seed(3))
    lowest = drawn.masked_fill(~brain, torch.inf).amin(dim=(-3, -2, -1), keepdim=True)
    t1w, t2w = torch.where(brain, drawn, lowest), torch.where(brain, -drawn, torch.tensor(-9.0))
    known, opposite = (
        untrained_segmenter(
            [Healthy(scan, brain) for scan in scans],
            SegmenterSettings(**SETTINGS | {"modality": modality, "seed": seed}),
        )
        for scans, modality, seed in ((t1w, "T1w", 1), (t2w, "T2w", 2))
    )
    save_segmenter(tmp_path / "t1w.safetensors", known)
    start_from(opposite, tmp_path / "t1w.safetensors")
    save_segmenter(tmp_path / "t2w.safetensors", opposite)
    with torch.inference_mode():
        torch.testing.assert_close(load_segmenter(tmp_path / "t2w.safetensors")(t2w), known(t1w))


def test_the_loss_is_cross_entropy_in_the_brain_and_dice() -> None:
    rng = np.random.default_rng(0)
    log_odds, lesions = rng.normal(size=(2, *SHAPE)), rng.random((2, *SHAPE)) < 0.1
    brain = rng.random(SHAPE) < 0.7
    lesions &= brain
    found = 1 / (1 + np.exp(-log_odds))
    smoothing = DICE_SMOOTHING_ML / 0.064
    for number, loss in enumerate(
        lesion_loss(torch.from_numpy(log_odds).float(), torch.from_numpy(lesions), torch.from_numpy(brain), 0.064)
    ):
        p, y = found[number], lesions[number]
        dice = (2 * (p * y).sum() + smoothing) / (p.sum() + y.sum() + smoothing)
        entropy = log_loss(y[brain], p[brain])
        assert float(loss) == pytest.approx(3 * entropy + 0.5 * (1 - dice), rel=1e-5)


def test_the_learning_rate_rises_over_sixty_steps_and_falls_to_two_per_cent() -> None:
    assert rate_factor(0, 2000) == pytest.approx(1 / 60)
    assert rate_factor(59, 10**9) == pytest.approx(1)
    assert rate_factor(1000, 2000) == pytest.approx(0.02 + 0.49)
    assert rate_factor(2000, 2000) == pytest.approx(0.02)


def test_the_normal_range_is_that_of_scans_and_mirror_images() -> None:
    scans = [Healthy(torch.randn(SHAPE).half(), torch.ones(SHAPE, dtype=torch.bool)) for _ in range(3)]
    both = np.stack([seen.double().numpy() for image, _ in scans for seen in (image, mirrored(image))])
    mean, sd = normal_range(scans)
    np.testing.assert_allclose(mean.numpy(), both.mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(sd.numpy(), both.std(axis=0, ddof=1), atol=1e-5)


def test_the_box_around_the_midline_holds_the_brain_and_resamples_no_voxel_of_equal_size() -> None:
    affine = np.diag([2.0, 2, 2, 1])
    affine[:3, 3] = (-96, -132, -78)
    places = np.stack(np.meshgrid(*(np.arange(n) for n in (97, 115, 97)), indexing="ij"), axis=-1) * 2 + affine[:3, 3]
    brain = Volume(np.linalg.norm((places - [2, -18, 6]) / [68, 88, 72], axis=-1) < 1, affine)
    grid = midline_grid(brain, 2.0)
    assert grid.shape == (80, 96, 80)
    assert grid.affine[0] @ [40, 0, 0, 1] == 0
    assert mask_on_network_grid(brain, grid).sum() == brain.data.sum()
    scan = Volume(np.random.default_rng(0).normal(size=brain.shape).astype(np.float32), affine)
    first = ((grid.affine[:3, 3] - affine[:3, 3]) / 2).astype(int)
    box = tuple(slice(a, a + n) for a, n in zip(first, grid.shape, strict=True))
    np.testing.assert_array_equal(to_network_grid(scan, grid), scan.data[box].astype(np.float16))
    coarse = midline_grid(brain, 4.0)
    assert coarse.shape == (48, 48, 48) and coarse.affine[0] @ [24, 0, 0, 1] == 0


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six scans of two tissues, on the grid and as masks, and what else a training reads."""
    path = tmp_path_factory.mktemp("segmenter")
    rng = np.random.default_rng(0)
    voxels = np.stack(np.meshgrid(*(np.arange(n) for n in SHAPE), indexing="ij"), axis=-1)
    radius = np.linalg.norm((voxels - [16, 16, 8]) / [13, 14, 7], axis=-1)
    brain = radius < 1
    for number in range(6):
        tissue = np.where(radius < 0.7, 1.0, np.where(radius < 0.9, 0.6, 0.2)) + rng.normal(0, 0.05, SHAPE)
        tissue = (tissue - tissue[brain].mean()) / tissue[brain].std()
        np.save(path / f"sub-{number}.npy", np.where(brain, tissue, -2).astype(np.float16))
        save_volume(path / f"sub-{number}.nii.gz", Volume(brain, GRID.affine), dtype=np.uint8)
    np.save(path / "mask.npy", brain)
    write_grid(path / "grid.json", GRID, 0.0)
    landmarks = [0.0, 12, 24, 30, 36, 46, 56, 64, 72, 77, 82, 90, 100]
    lines = [f"{percentile}\t{landmark}" for percentile, landmark in enumerate(landmarks)]
    (path / "landmarks.tsv").write_text("\n".join(["percentile\tlandmark", *lines]) + "\n")
    return path


def train(folder: Path, run: str, checkpoints: str | None = None, **changes: Any) -> dict[str, torch.Tensor]:
    weights = changes.pop("weights", None)

    def scans(*numbers: int) -> tuple[list[Path], list[Path]]:
        return [folder / f"sub-{n}.npy" for n in numbers], [folder / f"sub-{n}.nii.gz" for n in numbers]

    train_segmenter(
        scans(0, 1, 2, 3),
        scans(4, 5),
        folder / "mask.npy",
        folder / "grid.json",
        folder / "landmarks.tsv",
        folder / f"{run}.safetensors",
        folder / f"{run}.tsv",
        folder / (checkpoints or f"{run}-checkpoints"),
        SegmenterSettings(**{**SETTINGS, **changes}),
        COMPUTE,
        weights=weights,
    )
    return load_file(folder / f"{run}.safetensors")


def test_a_training_that_was_interrupted_ends_with_the_weights_of_one_that_was_not(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(segmenter, "EPOCH_STEPS", 2)
    monkeypatch.setattr(segmenter, "VALIDATION_SAMPLES", 2)
    whole = train(folder, "whole")
    ended = segmenter.SegmenterTraining.on_train_epoch_end

    def killed(self: segmenter.SegmenterTraining) -> None:
        ended(self)
        if self.current_epoch == 1:
            raise KeyboardInterrupt

    with monkeypatch.context() as during:
        during.setattr(segmenter.SegmenterTraining, "on_train_epoch_end", killed)
        with pytest.raises((KeyboardInterrupt, SystemExit)):
            train(folder, "resumed", "kept")
    assert list((folder / "kept").glob("*.ckpt"))
    resumed = train(folder, "resumed", "kept")
    assert all(torch.equal(resumed[name], whole[name]) for name in whole)
    columns = ["epoch", "train_loss", "val_loss", "val_synthetic_ap", "chosen"]
    whole_record, resumed_record = (
        pd.read_csv(folder / f"{run}.tsv", sep="\t")[columns] for run in ("whole", "resumed")
    )
    pd.testing.assert_frame_equal(whole_record, resumed_record)


def test_a_training_learns_and_goes_on_from_given_weights(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segmenter, "EPOCH_STEPS", 20)
    monkeypatch.setattr(segmenter, "VALIDATION_SAMPLES", 8)
    easy = {"randomisation": 0.0, "mass_effect": False, "learning_rate": 5e-3}
    train(folder, "easy", steps=80, **easy)
    record = pd.read_csv(folder / "easy.tsv", sep="\t")
    assert record["train_loss"].iloc[-1] < 0.92 * record["train_loss"].iloc[0]
    assert record["chosen"].sum() == 1
    train(folder, "further", steps=20, weights=folder / "easy.safetensors", **easy)
    further = pd.read_csv(folder / "further.tsv", sep="\t")
    assert further["train_loss"].iloc[0] < 0.95 * record["train_loss"].iloc[0]
    easy_weights = load_file(folder / "easy.safetensors")
    kept = train(folder, "as-given", steps=0, weights=folder / "easy.safetensors")
    assert all(torch.equal(kept[name], easy_weights[name]) for name in easy_weights)
    with pytest.raises(InputError, match=r"easy\.safetensors: a segmenter of .* cannot start"):
        train(folder, "wider", width=32, weights=folder / "easy.safetensors")


def test_a_scans_map_is_the_networks_log_odds_on_the_mni_grid(folder: Path, tmp_path: Path) -> None:
    made = network()
    save_segmenter(tmp_path / "model.safetensors", made)
    image = np.load(folder / "sub-0.npy").astype(np.float32)
    save_volume(tmp_path / "image.nii.gz", Volume(image, GRID.affine))
    files = {
        "brain_mask": folder / "sub-0.nii.gz",
        "grid": folder / "grid.json",
        "model": tmp_path / "model.safetensors",
    }
    found = segmenter_maps(files, **CPU)(Scan("sub-0", tmp_path / "image.nii.gz", folder / "sub-0.nii.gz"))
    with torch.inference_mode():
        expected = made.log_odds(torch.from_numpy(image)).numpy()
    brain = np.load(folder / "mask.npy")
    np.testing.assert_allclose(found.map.data[brain], expected[brain], atol=1e-4)
    assert found.map.data[~brain] == pytest.approx(found.map.data.min())
    assert found.score == pytest.approx(expected[brain].max(), abs=1e-4)
    assert math.isfinite(found.score)

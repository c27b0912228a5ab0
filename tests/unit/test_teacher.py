from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from stfpm3d.learning.compute import Compute
from stfpm3d.learning.resnet import AcsResNet
from stfpm3d.learning.teacher import TeacherSettings, batch_statistics, train_teacher, triplet_loss
from stfpm3d.runtime.errors import InputError

SIZE = 16
SETTINGS: dict[str, Any] = {
    "architecture": "resnet18",
    "batch_size": 2,
    "patch_size": 8,
    "min_brain_fraction": 0.5,
    "triplets_per_scan": 2,
    "margin": 1.0,
    "squared": True,
    "learning_rate": 1e-4,
    "momentum": 0.0,
    "weight_decay": 1e-4,
    "lr_step_epochs": 1,
    "lr_decay": 0.8,
    "seed": 5,
}
COMPUTE = Compute(accelerator="cpu", devices=1, precision="32-true", threads=1)


@pytest.fixture
def scans(tmp_path: Path) -> list[Path]:
    rng = np.random.default_rng(0)
    paths = [tmp_path / f"sub-{index}.npy" for index in range(6)]
    for path in paths:
        np.save(path, rng.normal(size=(SIZE, SIZE, SIZE)).astype(np.float16))
    np.save(tmp_path / "mask.npy", np.ones((SIZE, SIZE, SIZE), dtype=bool))
    return paths


def train(scans: list[Path], run: str, **changes: Any) -> dict[str, torch.Tensor]:
    folder = scans[0].parent
    settings = SETTINGS | changes
    checkpoints = folder / settings.pop("checkpoints", f"{run}-checkpoints")
    atlas = settings.pop("atlas", None)
    train_teacher(
        scans[:4],
        scans[4:],
        [path.stem for path in scans[:4]],
        [path.stem for path in scans[4:]],
        folder / "mask.npy",
        folder / f"{run}.safetensors",
        folder / f"{run}.tsv",
        checkpoints,
        TeacherSettings(**settings),
        COMPUTE,
        atlas=atlas,
    )
    return load_file(folder / f"{run}.safetensors")


def test_the_triplet_loss_is_the_papers_equations_worked_by_hand() -> None:
    anchor = torch.tensor([[0.0, 0.0], [0.0, 0.0]])
    neighbour = torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    negative = torch.tensor([[2.0, 0.0], [0.0, 0.5]])
    # First: d+ = 1, d- = min(4, 1) by the swap: 1 + 1 - 1. Second: d- = min(0.25, 1.25): 1 + 1 - 0.25.
    assert triplet_loss(anchor, neighbour, negative, margin=1.0, squared=True).item() == pytest.approx((1 + 1.75) / 2)
    # Plain distances: d- = min(2, 1) and min(0.5, sqrt(1.25)).
    assert triplet_loss(anchor, neighbour, negative, margin=1.0, squared=False).item() == pytest.approx(
        (1 + 1.5) / 2, abs=1e-5
    )


def test_validation_normalises_by_the_batch_and_learns_nothing_from_it() -> None:
    network = AcsResNet("resnet18", embedding_dim=128, seed=0).eval()
    before = {name: buffer.clone() for name, buffer in network.named_buffers() if "running" in name}
    patches = torch.randn(6, 1, 16, 16, 16)
    with torch.no_grad(), batch_statistics(network):
        embeddings = network(patches)
    assert not any(module.training for module in network.modules())
    assert all(torch.equal(buffer, before[name]) for name, buffer in network.named_buffers() if name in before)
    with torch.no_grad():
        torch.testing.assert_close(embeddings, network.train()(patches))


def test_a_validation_that_fails_leaves_the_network_as_it_was() -> None:
    network = AcsResNet("resnet18", embedding_dim=128, seed=0).eval()
    with pytest.raises(KeyboardInterrupt), batch_statistics(network):
        raise KeyboardInterrupt
    assert not any(module.training for module in network.modules())
    assert {norm.momentum for norm in network.modules() if isinstance(norm, torch.nn.BatchNorm3d)} == {0.1}


def test_the_validation_loss_chooses_the_epoch(scans: list[Path]) -> None:
    weights = train(scans, "teacher", epochs=3)
    record = pd.read_csv(scans[0].parent / "teacher.tsv", sep="\t")
    assert record["epoch"].tolist() == [0, 1, 2]
    assert record.loc[record["chosen"] == 1, "val_loss"].tolist() == [record["val_loss"].min()]
    assert weights["fc.weight"].shape == (128, 512)


def test_a_training_that_diverges_says_so(scans: list[Path]) -> None:
    with pytest.raises(InputError, match="learning_rate"):
        train(scans, "wild", epochs=3, learning_rate=1e30)


def test_zero_epochs_keep_the_initial_weights(scans: list[Path]) -> None:
    weights = train(scans, "untrained", epochs=0)
    initial = AcsResNet("resnet18", embedding_dim=128, seed=SETTINGS["seed"]).state_dict()
    assert all(torch.equal(weights[name], initial[name]) for name in initial)


def test_a_training_that_was_cut_off_ends_with_the_weights_of_an_uninterrupted_one(scans: list[Path]) -> None:
    whole = train(scans, "whole", epochs=3)
    train(scans, "cut", epochs=1)
    resumed = train(scans, "resumed", epochs=3, checkpoints="cut-checkpoints")
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)
    folder = scans[0].parent
    assert (folder / "whole.tsv").read_text() == (folder / "resumed.tsv").read_text()

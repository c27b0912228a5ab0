from __future__ import annotations

import fcntl
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors.torch import load_file

from stfpm3d.imaging.grid import NetworkGrid, write_grid
from stfpm3d.learning.compute import Compute
from stfpm3d.learning.resnet import AcsResNet, load_network, save_network
from stfpm3d.learning.student import FrozenTeacher, StudentSettings, StudentTraining, feature_losses, train_student
from stfpm3d.learning.training import EpochLoaders
from stfpm3d.runtime.errors import InputError

SIZE = 16
SETTINGS: dict[str, Any] = {
    "epochs": 3,
    "batch_size": 2,
    "squared": True,
    "corruption": None,
    "selection": "auroc",
    "learning_rate": 0.1,
    "momentum": 0.0,
    "weight_decay": 1e-4,
    "patience": 5,
    "seed": 5,
}
COMPUTE = Compute(accelerator="cpu", devices=1, precision="32-true", threads=1)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Scans of smooth noise, 0-3 for training, 4-5 healthy, 6-7 with a bright cube; a mask; a random teacher."""
    rng = np.random.default_rng(0)
    for index in range(8):
        scan = rng.normal(size=(SIZE, SIZE, SIZE))
        if index >= 6:
            scan[4:10, 4:10, 4:10] += 8
        np.save(tmp_path / f"sub-{index}.npy", scan.astype(np.float16))
    np.save(tmp_path / "mask.npy", np.ones((SIZE, SIZE, SIZE), dtype=bool))
    write_grid(tmp_path / "grid.json", NetworkGrid((SIZE, SIZE, SIZE), np.diag([4.0, 4.0, 4.0, 1.0])), 0.0)
    save_network(tmp_path / "teacher.safetensors", AcsResNet("resnet18", embedding_dim=128, seed=0))
    return tmp_path


def train(
    folder: Path, run: str, validation: tuple[int, ...] = (4, 5, 6, 7), **changes: Any
) -> dict[str, torch.Tensor]:
    settings = SETTINGS | changes
    checkpoints = folder / settings.pop("checkpoints", f"{run}-checkpoints")
    atlas = settings.pop("atlas", None)
    train_student(
        [folder / f"sub-{index}.npy" for index in range(4)],
        [folder / f"sub-{index}.npy" for index in validation],
        [index >= 6 for index in validation],
        folder / "mask.npy",
        folder / "grid.json",
        folder / "teacher.safetensors",
        folder / f"{run}.safetensors",
        folder / f"{run}-initial.safetensors",
        folder / f"{run}.tsv",
        checkpoints,
        StudentSettings(**settings),
        COMPUTE,
        atlas=atlas,
    )
    return load_file(folder / f"{run}.safetensors")


def test_the_loss_is_the_mean_over_positions_summed_over_blocks() -> None:
    teacher = [
        torch.tensor([[1.0, 0.0], [1.0, 0.0]]).T.reshape(1, 2, 2, 1, 1),
        torch.tensor([1.0, 0.0]).view(1, 2, 1, 1, 1),
    ]
    student = [
        torch.tensor([[0.0, 2.0], [5.0, 0.0]]).T.reshape(1, 2, 2, 1, 1),
        torch.tensor([0.0, 1.0]).view(1, 2, 1, 1, 1),
    ]
    # Orthogonal unit vectors lie sqrt(2) apart. Block 1: one of two positions; block 2: its one position.
    assert feature_losses(teacher, student, squared=True).item() == pytest.approx(0.5 + 1.0)
    assert feature_losses(teacher, student, squared=False).item() == pytest.approx((0.5 + 1.0) / np.sqrt(2))


def test_training_brings_the_student_nearer_to_a_teacher_that_stays_as_it_is(folder: Path) -> None:
    rng = np.random.default_rng(0)
    anatomy = rng.normal(size=(32, 32, 32))
    for index in range(8):
        np.save(folder / f"sub-{index}.npy", (anatomy + rng.normal(0, 0.2, anatomy.shape)).astype(np.float16))
    np.save(folder / "mask.npy", np.ones(anatomy.shape, dtype=bool))
    before = (folder / "teacher.safetensors").read_bytes()
    trained = train(folder, "student", epochs=6, learning_rate=0.4, selection="loss")
    record = pd.read_csv(folder / "student.tsv", sep="\t")
    assert record["train_loss"].iloc[-1] < 0.8 * record["train_loss"].iloc[0]
    assert (folder / "teacher.safetensors").read_bytes() == before
    initial = load_file(folder / "student-initial.safetensors")
    own = AcsResNet("resnet18", seed=SETTINGS["seed"]).state_dict()
    assert all(torch.equal(initial[name], own[name]) for name in own)
    assert not torch.equal(trained["layer3.1.conv2.weight"], initial["layer3.1.conv2.weight"])
    assert torch.equal(trained["layer4.1.conv2.weight"], initial["layer4.1.conv2.weight"])


def test_the_teacher_stays_in_evaluation_mode_and_keeps_features_within_its_limit(folder: Path) -> None:
    network = load_network(folder / "teacher.safetensors")
    teacher = FrozenTeacher(network, cache_gb=30e-6).train()  # a pyramid of 16^3 voxels takes 21.5 kB
    assert not any(module.training for module in teacher.modules())
    volumes = torch.randn(2, 1, SIZE, SIZE, SIZE)
    first = teacher(torch.tensor([7, 3]), volumes)
    again = teacher(torch.tensor([3, 7]), volumes.flip(0))
    assert list(teacher.kept) == [7]
    assert all(torch.equal(a, b.flip(0)) for a, b in zip(first, again, strict=True))
    torch.testing.assert_close(first.block3, network.pyramid(volumes).block3, atol=1e-3, rtol=1e-3)


def test_a_scan_that_two_devices_have_seen_counts_once() -> None:
    rows = torch.tensor([[[4.0, 0.1], [5.0, 0.2], [6.0, 0.3]], [[7.0, 0.4], [8.0, 0.5], [4.0, 0.1 + 1e-7]]])
    devices = SimpleNamespace(all_gather=lambda own: rows)
    gathered = StudentTraining.gathered(devices, [rows[0]])  # pyright: ignore[reportArgumentType]
    np.testing.assert_allclose(gathered, [[4, 0.1], [5, 0.2], [6, 0.3], [7, 0.4], [8, 0.5]], rtol=1e-5)


def test_of_epochs_with_equal_auroc_the_lower_healthy_loss_is_best() -> None:
    networks = FrozenTeacher(AcsResNet("resnet18", seed=0), 0), AcsResNet("resnet18", seed=1)

    def best(selection: str, metric: str, epochs: list[tuple[float, float]]) -> int:
        changed: dict[str, Any] = SETTINGS | {"selection": selection}
        training = StudentTraining(*networks, torch.tensor([]), torch.tensor([]), StudentSettings(**changed))
        training.epochs = [{metric: value, "val_loss": loss} for value, loss in epochs]
        return training.best_epoch

    aurocs = [(0.9, 0.1), (1.0, 0.4), (1.0, 0.2), (1.0, 0.3)]
    assert best("auroc", "val_auroc", aurocs) == 2
    assert best("loss", "val_auroc", aurocs) == 0
    assert best("synthetic_ap", "val_synthetic_ap", [(0.3, 0.1), (0.5, 0.3), (0.5, 0.2), (0.4, 0.1)]) == 2


@pytest.mark.parametrize(
    "settings",
    [
        {"corruption": "noise"},
        {"corruption": "lesions"},
        {"selection": "synthetic_ap", "lesion_sign": 1},
    ],
)
def test_a_training_that_was_cut_off_ends_with_the_weights_of_an_uninterrupted_one(
    folder: Path, settings: dict[str, Any]
) -> None:
    settings = {"momentum": 0.9, **settings}
    whole = train(folder, "whole", epochs=2, **settings)
    train(folder, "cut", epochs=1, **settings)
    resumed = train(folder, "resumed", epochs=2, **settings, checkpoints="cut-checkpoints")
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)
    assert (folder / "whole.tsv").read_text() == (folder / "resumed.tsv").read_text()


def test_the_best_epoch_is_kept_over_a_kill_while_a_checkpoint_is_written(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {"epochs": 3, "momentum": 0.9}
    whole = train(folder, "whole", **settings)
    save, saved = torch.save, []

    def killed(checkpoint: dict, path: Path) -> None:
        saved.append(path)
        if len(saved) == 3:
            path.write_bytes(b"half of a checkpoint")
            raise KeyboardInterrupt
        save(checkpoint, path)

    with monkeypatch.context() as patch, pytest.raises((KeyboardInterrupt, SystemExit)):
        patch.setattr(torch, "save", killed)
        train(folder, "cut", **settings)
    (folder / "cut-checkpoints").rename(folder / "moved")
    resumed = train(folder, "resumed", **settings, checkpoints="moved")
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)
    assert (folder / "whole.tsv").read_text() == (folder / "resumed.tsv").read_text()


def test_training_stops_when_patience_is_out_and_stays_stopped(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(StudentTraining, "rank", lambda self, epoch: (-abs(epoch["epoch"] - 1),))  # the second is best
    settings: dict[str, Any] = {"epochs": 9, "patience": 2}
    train(folder, "patient", **settings)
    record = (folder / "patient.tsv").read_text()
    assert pd.read_csv(folder / "patient.tsv", sep="\t")["chosen"].tolist() == [0, 1, 0, 0]
    train(folder, "patient", **settings)
    assert (folder / "patient.tsv").read_text() == record


def test_without_validation_patients_the_loss_or_synthetic_lesions_choose(folder: Path) -> None:
    train(folder, "lesions", validation=(4, 5), selection="synthetic_ap", lesion_sign=1, epochs=1)
    assert 0 < pd.read_csv(folder / "lesions.tsv", sep="\t")["val_synthetic_ap"].item() < 1
    with pytest.raises(InputError, match="selection"):
        train(folder, "healthy", validation=(4, 5))
    train(folder, "healthy", validation=(4, 5), selection="loss", epochs=1)
    with pytest.raises(InputError, match="healthy validation scan"):
        train(folder, "patients", validation=(6, 7))


def test_a_scan_with_nan_and_a_diverging_training_are_named(folder: Path) -> None:
    with pytest.raises(InputError, match=r"diverged in epoch .* lower its learning_rate"):
        train(folder, "wild", epochs=3, learning_rate=1e30)
    scan = folder / "sub-2.npy"
    voxels = np.load(scan)
    np.save(scan, np.full_like(voxels, np.nan))
    with pytest.raises(InputError, match=r"sub-2\.npy holds NaN"):
        train(folder, "nan", epochs=1)
    np.save(scan, voxels)
    wild = AcsResNet("resnet18", embedding_dim=128, seed=0)
    torch.nn.init.constant_(wild.conv1.weight, 1e38)
    save_network(folder / "teacher.safetensors", wild)
    with pytest.raises(InputError, match="teacher's features are not finite"):
        train(folder, "blind", epochs=1)


def test_processes_that_load_scans_change_nothing_but_the_time(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = {"epochs": 1, "corruption": "noise"}
    alone = train(folder, "alone", **settings)
    monkeypatch.setattr(EpochLoaders, "workers", 2)
    helped = train(folder, "helped", **settings)
    assert all(torch.equal(alone[name], helped[name]) for name in alone)
    assert (folder / "alone.tsv").read_text() == (folder / "helped.tsv").read_text()
    np.save(folder / "sub-2.npy", np.full((SIZE,) * 3, np.nan))
    with pytest.raises(InputError) as error:
        train(folder, "nan", epochs=1)
    assert str(error.value) == f"{folder}/sub-2.npy holds NaN or infinite voxels; remove the file and run again."


def test_a_second_training_in_the_same_folder_is_refused(folder: Path) -> None:
    (folder / "busy").mkdir()
    with (folder / "busy" / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(InputError, match="another training"):
            train(folder, "second", checkpoints="busy")

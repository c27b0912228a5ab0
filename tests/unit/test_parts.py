"""The files of a bundle hold what they should, and fit each other, or the one that does not is named."""

from __future__ import annotations

import hashlib
import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import torch
from safetensors.numpy import load_file, save_file

from small_bundle import AFFINE, DESCRIPTION, GRID, SHAPE, edit, write_parts
from stfpm3d.imaging.volumes import Volume, save_volume
from stfpm3d.learning.resnet import AcsResNet, load_network, save_network
from stfpm3d.maps.gaussian import FeatureGaussian, save_gaussian
from stfpm3d.prediction.bundle import read_bundle, write_bundle
from stfpm3d.prediction.parts import read_parts
from stfpm3d.prediction.scans import GivenScan
from stfpm3d.prediction.stages import Compute, ScanStages
from stfpm3d.runtime.errors import InputError


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("parts")
    (folder / "run").mkdir()
    write_bundle(folder / "bundle", write_parts(folder / "run"), DESCRIPTION)
    return folder / "bundle"


def stages(bundle: Path) -> ScanStages:
    """What a scan would go through; its file is not opened."""
    return ScanStages(GivenScan("sub-1", "scan.nii"), read_bundle(bundle), bundle.parent / "out", Compute("cpu"))


def forge(bundle: Path, name: str) -> None:
    """Let `bundle.json` vouch for a file as it is now."""
    digest = hashlib.sha256((bundle / name).read_bytes()).hexdigest()
    edit(bundle, lambda content: content["files"].update({name: digest}), forged=True)


def test_a_whole_bundle_is_ready_for_scans(whole: Path) -> None:
    parts = stages(whole).parts
    assert parts.head.shape == parts.brain.shape == parts.healthy.mean.shape == SHAPE
    assert parts.atlas.names == {3: "left-putamen"}
    assert len(parts.landmarks) == 13


def volume(data: np.ndarray, affine: np.ndarray = AFFINE) -> Callable[[Path], None]:
    return lambda path: save_volume(path, Volume(data, affine))


def statistics(**changes: np.ndarray) -> Callable[[Path], None]:
    arrays: dict[str, Any] = {name: np.ones(SHAPE) for name in ("mean", "n")} | changes
    return lambda path: np.savez(path, **arrays)


def text(content: str) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        path.write_text(content)

    return write


def grid(**changes: Any) -> Callable[[Path], None]:
    return text(json.dumps({"shape": GRID.shape, "affine": GRID.affine.tolist()} | changes))


def other_network(path: Path) -> None:
    save_network(path, AcsResNet("resnet34", 2, seed=0))


def another_number_of_channels(path: Path) -> None:
    save_network(path, AcsResNet("resnet18", 1, seed=0))


def without_metadata(path: Path) -> None:
    save_file(load_file(path), path)


def without_its_last_block(path: Path) -> None:
    form = {"architecture": "resnet18", "in_channels": 2, "embedding_dim": None}
    kept = {name: tensor for name, tensor in load_file(path).items() if not name.startswith("layer3.")}
    save_file(kept, path, {"network": json.dumps(form)})


def no_such_network(path: Path) -> None:
    save_file(load_file(path), path, {"network": json.dumps({"architecture": "resnet9", "in_channels": 2})})


def a_tensor_of_another_shape(path: Path) -> None:
    form = {"architecture": "resnet18", "in_channels": 2, "embedding_dim": None}
    save_file(load_file(path) | {"bn1.weight": np.zeros(3, np.float32)}, path, {"network": json.dumps(form)})


def gaussian(n: int, *shapes: tuple[int, ...]) -> Callable[[Path], None]:
    blocks = [torch.ones(shape) for shape in shapes]
    return lambda path: save_gaussian(path, FeatureGaussian(n, blocks, [block.clone() for block in blocks]))


def a_pickle(path: Path) -> None:
    class Runs:
        def __reduce__(self) -> tuple[Any, ...]:
            return (Path.touch, (path.parent / "was_run",))

    path.write_bytes(pickle.dumps(Runs()))


def a_pickle_in_an_array(path: Path) -> None:
    array = np.array([{"any": "object"}], dtype=object)
    with path.open("wb") as file:
        if path.suffix == ".npy":
            np.save(file, array, allow_pickle=True)
        else:
            np.savez(file, mean=array, n=array)


def half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def nothing(path: Path) -> None:
    path.write_bytes(b"")


READ = [
    "atlas.npy",
    "brain_mask.nii.gz",
    "gaussian.safetensors",
    "grid.json",
    "head.nii.gz",
    "landmarks.tsv",
    "region_names.csv",
    "regions.nii.gz",
    "statistics.npz",
    "student.safetensors",
    "teacher.safetensors",
]
WRONG: list[tuple[str, Callable[[Path], None]]] = [
    *(
        (name, damage)
        for name in READ
        for damage in (half, nothing, a_pickle)
        if (name, damage) != ("region_names.csv", half)
    ),
    ("atlas.npy", a_pickle_in_an_array),
    ("statistics.npz", a_pickle_in_an_array),
    ("atlas.npy", lambda path: np.save(path, np.zeros((16, 16, 16), np.float32))),
    ("atlas.npy", lambda path: np.save(path, np.full(GRID.shape, np.nan))),
    ("atlas.npy", lambda path: np.save(path, np.full(GRID.shape, "a"))),
    ("brain_mask.nii.gz", volume(np.zeros(SHAPE))),
    ("head.nii.gz", volume(np.arange(8.0).reshape(2, 2, 2))),
    ("head.nii.gz", volume(np.random.default_rng(0).uniform(size=SHAPE), AFFINE @ np.diag([1.1, 1, 1, 1]))),
    ("head.nii.gz", lambda path: nib.save(nib.Nifti1Image(np.ones((4, 4), np.float32), AFFINE), path)),
    ("statistics.npz", statistics(mean=np.ones((2, 2, 2)))),
    ("statistics.npz", statistics(mean=np.full(SHAPE, np.inf))),
    ("statistics.npz", statistics(more=np.ones(SHAPE))),
    ("landmarks.tsv", text("percentile\tlandmark\n1\t0\n")),
    ("landmarks.tsv", text("percentile\tlandmark\n" + "1\t0\n" * 13)),
    ("landmarks.tsv", text("percentile\tlandmark\n" + "1\tnan\n" * 13)),
    ("region_names.csv", text("number,name\n1,a\n")),
    ("region_names.csv", text("index,name\none,a\n")),
    ("region_names.csv", text("index,name\n1\n")),
    ("grid.json", text("[]")),
    ("grid.json", text(9999 * "[")),
    ("grid.json", grid(shape=[0, 16, 16])),
    ("grid.json", grid(shape=[16, 16])),
    ("grid.json", grid(shape=[10**9, 10**9, 10**9])),
    ("grid.json", grid(affine=[[1, 2], [3, 4]])),
    ("grid.json", grid(affine=np.full((4, 4), np.nan).tolist())),
    ("grid.json", grid(affine=np.diag([5.0, 4, 5, 1]).tolist())),
    ("teacher.safetensors", another_number_of_channels),
    ("student.safetensors", other_network),
    ("student.safetensors", without_metadata),
    ("student.safetensors", without_its_last_block),
    ("teacher.safetensors", no_such_network),
    ("student.safetensors", a_tensor_of_another_shape),
    ("gaussian.safetensors", gaussian(5, (1, 64, 4, 4, 4), (1, 128, 2, 2, 2), (1, 256, 1, 1, 1))),
    ("gaussian.safetensors", gaussian(5, (1, 64, 8, 4, 4))),
    ("gaussian.safetensors", gaussian(1, (1, 64, 8, 4, 4), (1, 128, 4, 2, 2), (1, 256, 2, 1, 1))),
    ("gaussian.safetensors", without_metadata),
]


@pytest.mark.parametrize(("name", "damage"), WRONG)
def test_a_file_of_no_form_is_named_before_any_scan_is_read(whole: Path, name: str, damage) -> None:
    """Its digest is right: the bundle was made of it, or forged."""
    before = {path: (whole / path).read_bytes() for path in (name, "bundle.json")}
    try:
        damage(whole / name)
        forge(whole, name)
        with pytest.raises(InputError) as found:
            stages(whole)
    finally:
        for path, content in before.items():
            (whole / path).write_bytes(content)
    told = str(found.value)
    assert told.startswith(f"{whole / name} does not hold ") and "\n" not in told
    assert told.endswith("copy the whole bundle again from its source.")
    assert not (whole / "was_run").exists()
    assert not (whole.parent / "out").exists()


def test_weights_of_a_run_are_told_from_those_of_another_network_too(tmp_path: Path) -> None:
    save_network(tmp_path / "model.safetensors", AcsResNet("resnet18", 1, seed=0))
    half(tmp_path / "model.safetensors")
    with pytest.raises(InputError, match=r"model\.safetensors does not hold the weights that it should .* run again"):
        load_network(tmp_path / "model.safetensors")


def test_parts_are_those_that_were_written(whole: Path) -> None:
    brain = read_parts(read_bundle(whole)).brain_mask
    assert brain.data.sum() == 10 * 12 * 10
    np.testing.assert_array_equal(brain.affine, AFFINE)

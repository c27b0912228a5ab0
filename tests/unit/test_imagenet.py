"""ImageNet weights are torchvision's file, or the clone's, or nothing. A folder stands in for torchvision's server."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from published import published_weights
from stfpm3d.learning.clone_weights import copy_weights
from stfpm3d.learning.imagenet import fetch_weights, imagenet_url
from stfpm3d.learning.resnet import AcsResNet, load_checkpoint
from stfpm3d.runtime.errors import InputError

IN_CLONE = Path(__file__).resolve().parents[2] / "models" / "imagenet" / "resnet18-pyramid.safetensors"


@pytest.fixture
def published(tmp_path: Path) -> Path:
    """A checkpoint whose name carries the start of its sha256, as torchvision's do."""
    path = tmp_path / "server" / "resnet18.pth"
    path.parent.mkdir()
    torch.save(published_weights(), path)
    return path.rename(path.with_stem(f"resnet18-{hashlib.sha256(path.read_bytes()).hexdigest()[:8]}"))


def test_the_weights_are_those_that_torchvision_publishes() -> None:
    # The addresses that torchvision's documentation lists for IMAGENET1K_V1.
    assert [imagenet_url(f"resnet{depth}") for depth in (18, 34, 50)] == [
        "https://download.pytorch.org/models/resnet18-f37072fd.pth",
        "https://download.pytorch.org/models/resnet34-b627a593.pth",
        "https://download.pytorch.org/models/resnet50-0676ba61.pth",
    ]


def test_a_downloaded_checkpoint_is_whole_and_fits_the_network(tmp_path: Path, published: Path) -> None:
    output = tmp_path / "results" / "weights" / "resnet18.pth"
    fetch_weights(published.as_uri(), output)
    assert output.read_bytes() == published.read_bytes()
    load_checkpoint(AcsResNet("resnet18", embedding_dim=128, seed=0), output)


@pytest.mark.parametrize("fault", ["other bytes", "cut off", "not there"])
def test_a_failed_download_leaves_nothing_and_names_the_way_out(tmp_path: Path, published: Path, fault: str) -> None:
    if fault == "not there":
        published.unlink()
    else:
        content = published.read_bytes()
        published.write_bytes(content[:-1] + (b"" if fault == "cut off" else bytes([content[-1] ^ 1])))
    output = tmp_path / "weights" / "resnet18.pth"
    with pytest.raises(
        InputError, match=rf"{published.name} could not .*; connect .* or fetch file:.*`weights`"
    ) as error:
        fetch_weights(published.as_uri(), output)
    assert "\n" not in str(error.value)
    assert list(output.parent.iterdir()) == []


def test_the_weights_in_the_clone_are_those_of_torchvisions_stem_and_blocks_1_to_3(tmp_path: Path) -> None:
    copy_weights(IN_CLONE, tmp_path / "pyramid.safetensors")
    weights = load_file(tmp_path / "pyramid.safetensors")
    expected = {n: t.shape for n, t in published_weights().items() if not re.match(r"layer4|fc", n)}
    assert {name: tensor.shape for name, tensor in weights.items()} == expected
    # The first row of the first kernel as torchvision's users print it; folded batch norms change its scale alone.
    first = [-1.0419e-02, -6.1356e-03, -1.8098e-03, 7.4841e-02, 5.6615e-02, 1.7083e-02, -1.2694e-02]
    found = weights["conv1.weight"][0, 0, 0].double().numpy()
    assert np.corrcoef(found, first)[0, 1] > 0.99999
    assert np.dot(found, first) / np.dot(first, first) == pytest.approx(0.243, abs=0.005)
    assert IN_CLONE.stat().st_size < 6e6


def test_weights_of_the_clone_that_have_changed_are_not_used(tmp_path: Path) -> None:
    damaged = tmp_path / "resnet18-pyramid.safetensors"
    damaged.write_bytes(IN_CLONE.read_bytes()[:-1] + b"0")
    with pytest.raises(InputError, match=r"not the file that comes with this version \(sha256 [0-9a-f]{64}, expected"):
        copy_weights(damaged, tmp_path / "copy.safetensors")
    assert not (tmp_path / "copy.safetensors").exists()


def test_the_clones_weights_are_enough_for_a_teacher_that_learns_nothing_more(tmp_path: Path) -> None:
    network = AcsResNet("resnet18", embedding_dim=128, seed=0)
    load_checkpoint(network, IN_CLONE, pyramid_only=True)
    assert network.conv1.weight.dtype == torch.float32
    with pytest.raises(InputError, match=r"parameters are missing.*layer4"):
        load_checkpoint(network, IN_CLONE)

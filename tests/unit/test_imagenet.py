"""ImageNet weights are torchvision's file, or nothing. A folder stands in for torchvision's server."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
import torch

from published import published_weights
from stfpm3d.learning.imagenet import fetch_weights, imagenet_url
from stfpm3d.learning.resnet import AcsResNet, load_checkpoint
from stfpm3d.runtime.errors import InputError


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

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torchvision.models import get_model, resnet18

from acs_reference import with_acsconv
from published import published_weights
from stfpm3d.learning.folding import FoldedResNet
from stfpm3d.learning.resnet import (
    AcsResNet,
    Architecture,
    load_checkpoint,
    load_network,
    save_network,
    save_pyramid,
)
from stfpm3d.reporting.networks import read_network
from stfpm3d.runtime.errors import InputError


@pytest.mark.parametrize(
    ("in_channels", "expected"),
    [
        (1, 11_170_240),  # the authors' published code
        (2, 11_173_376),  # the paper, section 5
    ],
)
def test_parameter_counts_are_those_of_the_paper_in_the_network_and_in_its_file(
    tmp_path: Path, in_channels: int, expected: int
) -> None:
    network = AcsResNet("resnet18", in_channels, seed=0)
    assert sum(parameter.numel() for parameter in network.parameters()) == expected
    teacher = AcsResNet("resnet18", in_channels, embedding_dim=128, seed=0)
    for name, saved in (("student", network), ("teacher", teacher)):
        save_network(tmp_path / name, saved)
        assert read_network(tmp_path / name) == ("resnet18", in_channels, expected, 2 * expected)


def randomise_statistics(network: nn.Module) -> None:
    for name, buffer in network.named_buffers():
        if name.endswith("running_var"):
            nn.init.uniform_(buffer, 0.5, 2)
        elif name.endswith("running_mean"):
            nn.init.uniform_(buffer, -0.5, 0.5)


@pytest.mark.parametrize("architecture", ["resnet18", "resnet34", "resnet50"])
def test_a_network_is_torchvisions_with_acsconvs_convolutions(architecture: Architecture) -> None:
    torch.manual_seed(0)
    flat = get_model(architecture)
    randomise_statistics(flat)
    weights = {name: tensor.clone() for name, tensor in flat.state_dict().items()}
    network = AcsResNet(architecture, in_channels=3, embedding_dim=1000, seed=0)
    network.load_state_dict(weights, strict=True)
    reference = with_acsconv(flat)
    reference.load_state_dict(weights, strict=True)
    network, reference = network.double(), reference.double()  # fifty layers of single precision drift apart
    seen = []
    for name in ("layer1", "layer2", "layer3"):
        reference.get_submodule(name).register_forward_hook(lambda *call: seen.append(call[-1]))

    for shape in ((32, 40, 24), (33, 37, 25)):
        volumes = torch.randn(1, 3, *shape, dtype=torch.double)
        seen.clear()
        with torch.no_grad():
            expected = [reference.eval()(volumes), *seen]
            found = [network.eval()(volumes), *network.pyramid(volumes)]
        for ours, theirs in zip(found, expected, strict=True):
            assert (ours - theirs).abs().max() < 1e-5 * theirs.abs().max()


def ours_and_torchvisions(architecture: Architecture) -> tuple[AcsResNet, nn.Module]:
    """Two networks of the same weights in evaluation mode, one torchvision's with acsconv's convolutions."""
    torch.manual_seed(0)
    flat = get_model(architecture)
    randomise_statistics(flat)
    network = AcsResNet(architecture, in_channels=3, embedding_dim=1000, seed=0)
    network.load_state_dict(flat.state_dict())
    reference = with_acsconv(get_model(architecture))
    reference.load_state_dict(flat.state_dict())
    return network.eval(), reference.eval()


def test_the_gradient_is_that_of_torchvisions_with_acsconvs_convolutions() -> None:
    ours, torchvisions = ours_and_torchvisions("resnet18")
    volumes = torch.randn(2, 3, 33, 37, 25)
    for network in (ours, torchvisions):
        network(volumes).square().mean().backward()
    for (name, own), (_, reference) in zip(ours.named_parameters(), torchvisions.named_parameters(), strict=True):
        assert own.grad is not None and reference.grad is not None
        assert (own.grad - reference.grad).abs().max() < 1e-4 * reference.grad.abs().max(), name


@pytest.mark.parametrize("architecture", ["resnet18", "resnet50"])
def test_a_folded_network_has_the_pyramid_of_torchvisions_with_acsconvs_convolutions(
    architecture: Architecture,
) -> None:
    network, reference = ours_and_torchvisions(architecture)
    seen = []
    for name in ("layer1", "layer2", "layer3"):
        reference.get_submodule(name).register_forward_hook(lambda *call: seen.append(call[-1]))
    for shape in ((32, 40, 24), (33, 37, 25)):
        volumes = torch.randn(1, 3, *shape)
        seen.clear()
        with torch.no_grad():
            reference(volumes)
            found = FoldedResNet(network).pyramid(volumes)
        for ours, theirs in zip(found, seen, strict=True):
            assert (ours - theirs).abs().max() < 1e-5 * theirs.abs().max()


def test_initial_weights_are_a_function_of_the_seed_alone() -> None:
    state = torch.get_rng_state()
    first = AcsResNet("resnet18", embedding_dim=128, seed=3)
    assert torch.equal(torch.get_rng_state(), state)
    torch.rand(7)
    again, other = AcsResNet("resnet18", embedding_dim=128, seed=3), AcsResNet("resnet18", embedding_dim=128, seed=4)
    assert all(torch.equal(a, b) for a, b in zip(first.parameters(), again.parameters(), strict=True))
    assert not torch.equal(first.conv1.weight, other.conv1.weight)


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_a_torchvision_checkpoint_loads_with_its_rgb_planes_summed(tmp_path: Path, suffix: str) -> None:
    weights = published_weights()
    assert len(weights) == 102  # as in torchvision's resnet18-f37072fd.pth
    path = tmp_path / f"resnet18{suffix}"
    if suffix == ".pth":
        torch.save(weights, path)
    else:
        save_file(weights, path)
    network = AcsResNet("resnet18", embedding_dim=128, seed=0)
    embedding = network.state_dict()["fc.weight"].clone()
    load_checkpoint(network, path)
    loaded = network.state_dict()
    for name in weights.keys() - {"conv1.weight", "fc.weight", "fc.bias"}:
        assert torch.equal(loaded[name], weights[name])
    torch.testing.assert_close(loaded["conv1.weight"][:, 0], weights["conv1.weight"].sum(dim=1))
    assert torch.equal(loaded["fc.weight"], embedding)


def test_scan_and_atlas_take_two_rgb_planes_times_one_and_a_half(tmp_path: Path) -> None:
    weights = published_weights()
    torch.save(weights, tmp_path / "resnet18.pth")
    network = AcsResNet("resnet18", 2, embedding_dim=128, seed=0)
    load_checkpoint(network, tmp_path / "resnet18.pth")
    assert torch.equal(network.conv1.weight, weights["conv1.weight"][:, :2] * 1.5)


def state_dict_of_today() -> dict[str, Tensor]:
    return resnet18().state_dict()


def of_today_without_counts() -> dict[str, Tensor]:
    """A damaged file: the version of its layers says that they count their batches."""
    weights = resnet18().state_dict()
    for name in [name for name in weights if name.endswith("num_batches_tracked")]:
        del weights[name]
    return weights


def without_a_mean() -> dict[str, Tensor]:
    weights = published_weights()
    del weights["layer1.0.bn1.running_mean"]
    return weights


def with_a_stranger() -> dict[str, Tensor]:
    return published_weights() | {"layer5.weight": torch.zeros(1)}


def with_counts_of_one_entry() -> dict[str, Tensor]:
    """As torch 0.3 had scalars."""
    return published_weights() | {"bn1.num_batches_tracked": torch.zeros(1, dtype=torch.long)}


@pytest.mark.parametrize(
    "weights",
    [
        published_weights,
        state_dict_of_today,
        of_today_without_counts,
        without_a_mean,
        with_a_stranger,
        with_counts_of_one_entry,
    ],
)
def test_a_checkpoint_is_accepted_if_torch_accepts_it_for_torchvisions_network(
    tmp_path: Path, weights: Callable[[], dict[str, Tensor]]
) -> None:
    path = tmp_path / "resnet18.pth"
    torch.save(weights(), path)
    try:
        resnet18().load_state_dict(weights(), strict=True)
    except RuntimeError:
        with pytest.raises(InputError, match=r"resnet18\.pth: expected .* \((Missing|Unexpected) key"):
            load_checkpoint(AcsResNet("resnet18", embedding_dim=128, seed=0), path)
    else:
        network = AcsResNet("resnet18", embedding_dim=128, seed=0)
        load_checkpoint(network, path)
        assert not network.bn1.num_batches_tracked


def test_a_checkpoint_of_another_architecture_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "resnet34.pth"
    torch.save(published_weights("resnet34"), path)
    with pytest.raises(InputError, match=r"resnet34\.pth.*resnet18"):
        load_checkpoint(AcsResNet("resnet18", seed=0), path)


class Payload:
    """What an attacker would pickle."""

    def __reduce__(self) -> tuple:
        return (exec, ("raise SystemExit('code from a checkpoint ran')",))


def test_pickled_code_and_other_files_are_refused(tmp_path: Path) -> None:
    network = AcsResNet("resnet18", seed=0)
    torch.save({"conv1.weight": Payload()}, tmp_path / "evil.pth")
    torch.save({"state_dict": published_weights()}, tmp_path / "wrapped.pth")
    torch.save(published_weights(), tmp_path / "whole.pth")
    (tmp_path / "truncated.pth").write_bytes((tmp_path / "whole.pth").read_bytes()[:-1000])
    (tmp_path / "text.pth").write_text("these are no weights")
    (tmp_path / "text.safetensors").write_text("these are no weights")
    for name in ("evil.pth", "wrapped.pth", "truncated.pth", "text.pth", "text.safetensors", "missing.pth"):
        with pytest.raises(InputError, match=name):
            load_checkpoint(network, tmp_path / name)


def test_a_saved_network_is_built_again_from_its_file(tmp_path: Path) -> None:
    network = AcsResNet("resnet18", embedding_dim=128, seed=0)
    save_network(tmp_path / "model.safetensors", network)
    again = load_network(tmp_path / "model.safetensors")
    for copy in range(4):  # of an unordered header, four copies would hardly be alike
        save_network(tmp_path / f"{copy}.safetensors", network)
    assert len({path.read_bytes() for path in tmp_path.glob("*.safetensors")}) == 1
    assert not again.training
    x = torch.randn(1, 1, 32, 32, 32)
    with torch.no_grad():
        assert torch.equal(again(x), network.eval()(x))


def test_the_pyramid_shrinks_by_4_8_and_16() -> None:
    with torch.no_grad():
        blocks = AcsResNet("resnet18", seed=0).pyramid(torch.randn(1, 1, 32, 48, 64))
    assert [tuple(block.shape[1:]) for block in blocks] == [(64, 8, 12, 16), (128, 4, 6, 8), (256, 2, 3, 4)]


def test_a_pyramid_alone_gives_the_features_of_its_whole_network(tmp_path):
    network = AcsResNet("resnet18", embedding_dim=128, seed=3).eval()
    save_network(tmp_path / "whole.safetensors", network)
    save_pyramid(tmp_path / "pyramid.safetensors", tmp_path / "whole.safetensors")
    loaded = load_network(tmp_path / "pyramid.safetensors", last_block=3)
    volume = torch.rand(1, 1, 32, 32, 32)
    with torch.inference_mode():
        for whole, alone in zip(network.pyramid(volume), loaded.pyramid(volume), strict=True):
            assert torch.equal(whole, alone)
    sizes = [(tmp_path / f"{name}.safetensors").stat().st_size for name in ("pyramid", "whole")]
    assert sizes[0] < 0.3 * sizes[1]  # layer4 holds three quarters of a ResNet-18


def test_blocks_that_nobody_looks_at_are_not_computed(tmp_path):
    network = AcsResNet("resnet18", embedding_dim=128, seed=3).eval()
    save_network(tmp_path / "whole.safetensors", network)
    save_pyramid(tmp_path / "two.safetensors", tmp_path / "whole.safetensors", last_block=2)
    volume = torch.rand(1, 1, 32, 32, 32)
    with torch.inference_mode():
        whole = network.pyramid(volume)
        first, second, third = load_network(tmp_path / "whole.safetensors", last_block=2).pyramid(volume)
    assert torch.equal(first, whole[0]) and torch.equal(second, whole[1]) and third.shape[1] == 0
    load_network(tmp_path / "two.safetensors", last_block=2)
    with pytest.raises(InputError, match="layer3"):
        load_network(tmp_path / "two.safetensors", last_block=3)

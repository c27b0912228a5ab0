from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from torch import Tensor, nn

from stfpm3d.learning.acs import channels_last
from stfpm3d.learning.compute import Compute
from stfpm3d.learning.fanogan import EncoderTraining, FanoganSettings, gradient_penalty, train_fanogan
from stfpm3d.learning.fanogan_networks import (
    ConvMeanPool,
    FAnoGan,
    UpsampleConv,
    load_fanogan,
    save_fanogan,
    to_range,
)
from stfpm3d.learning.training import EpochLoaders, ScanDataset, fit
from stfpm3d.maps.reconstruction import residual_map
from stfpm3d.reporting.networks import read_network
from stfpm3d.runtime.errors import InputError

SIZE = 16
SETTINGS: dict[str, Any] = {
    "size": SIZE,
    "width": 2,
    "latent_dim": 4,
    "gan_epochs": 2,
    "encoder_epochs": 2,
    "batch_size": 2,
    "gan_learning_rate": 1e-3,
    "encoder_learning_rate": 1e-3,
    "critic_steps": 2,
    "gradient_penalty": 10.0,
    "kappa": 1.0,
    "seed": 5,
}
COMPUTE = Compute(accelerator="cpu", devices=1, precision="32-true", threads=1)


def balls(count: int) -> Tensor:
    """Scans (count, 1, 16, 16, 16) of a bright ball on a dark ground, its centre going from one end to the other."""
    x, y, z = torch.meshgrid(*(torch.arange(SIZE, dtype=torch.float32),) * 3, indexing="ij")
    distances = [((x - c).square() + (y - 8).square() + (z - 8).square()).sqrt() for c in torch.linspace(4, 12, count)]
    return torch.stack([3 * torch.tanh(4 - distance) for distance in distances])[:, None]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Eight balls: those of even number for training, of odd number for validation."""
    for index, scan in enumerate(balls(8)):
        np.save(tmp_path / f"sub-{index}.npy", scan[0].numpy().astype(np.float16))
    return tmp_path


def train(folder: Path, run: str, compute: Compute = COMPUTE, **changes: Any) -> dict[str, Tensor]:
    settings = SETTINGS | changes
    checkpoints = folder / settings.pop("checkpoints", f"{run}-checkpoints")
    volumes = [folder / f"sub-{index}.npy" for index in range(8)]
    train_fanogan(
        volumes[::2],
        volumes[1::2],
        folder / f"{run}.safetensors",
        folder / f"{run}-gan.tsv",
        folder / f"{run}.tsv",
        checkpoints,
        FanoganSettings(**settings),
        compute,
    )
    return load_file(folder / f"{run}.safetensors")


class Slope(nn.Module):
    """A critic of slope 5 everywhere: 3 of the first voxel plus 4 of the second."""

    def forward(self, scans: Tensor) -> Tensor:
        return 3 * scans.flatten(1)[:, 0] + 4 * scans.flatten(1)[:, 1]


class Bowl(nn.Module):
    """A critic whose slope at a scan is the scan's own norm: half its square."""

    def forward(self, scans: Tensor) -> Tensor:
        return scans.square().flatten(1).sum(dim=1) / 2


def test_the_penalty_is_the_squared_deviation_of_the_slope_from_one() -> None:
    real, fake = torch.randn(2, 3, 1, 2, 2, 2)
    assert gradient_penalty(Slope(), real, fake, torch.rand(3)).item() == pytest.approx((5 - 1) ** 2)
    # Two scans of one voxel: the slope is taken at 2 + 0.25 * (6 - 2) = 3 and at 0 + 0.5 * (4 - 0) = 2.
    real, fake = torch.tensor([2.0, 0.0]).view(2, 1, 1, 1, 1), torch.tensor([6.0, 4.0]).view(2, 1, 1, 1, 1)
    penalty = gradient_penalty(Bowl(), real, fake, torch.tensor([0.25, 0.5]))
    assert penalty.item() == pytest.approx(((3 - 1) ** 2 + (2 - 1) ** 2) / 2)


def test_resampling_convolutions_equal_their_two_steps() -> None:
    scans = torch.randn(2, 3, 4, 6, 8)
    down, up = ConvMeanPool(3, 5, 3, padding=1), UpsampleConv(3, 5, 3, padding=1)
    convolved = F.conv3d(scans, down.weight, down.bias, padding=1)
    torch.testing.assert_close(down(scans), F.avg_pool3d(convolved, 2), atol=1e-5, rtol=1e-4)
    enlarged = scans.repeat_interleave(2, 2).repeat_interleave(2, 3).repeat_interleave(2, 4)
    torch.testing.assert_close(up(scans), F.conv3d(enlarged, up.weight, up.bias, padding=1), atol=1e-5, rtol=1e-4)


def test_scans_become_latents_and_latents_scans() -> None:
    network = FAnoGan(32, 2, 6, seed=0)
    scans = to_range(3 * torch.randn(3, 1, 32, 32, 32))
    generated = network.generator(network.encoder(scans))
    assert network.encoder(scans).shape == (3, 6)
    assert generated.shape == scans.shape
    assert generated.abs().max() <= 1 and scans.abs().max() == 1
    assert network.critic.features(scans).shape == (3, 8 * 2 * 2**3)
    # The gradient penalty is a scan's own: the critic must not mix the scans of a batch, as batch norm does.
    torch.testing.assert_close(network.critic(scans)[:1], network.critic(scans[:1]), atol=1e-3, rtol=1e-3)
    assert not torch.allclose(network.encoder(scans)[:1], network.encoder(scans[:2])[:1], atol=1e-2)


def test_the_published_width_has_a_third_more_parameters_than_the_papers_networks() -> None:
    def convolution(inputs: int, outputs: int, edge: int = 3, bias: bool = True) -> int:
        return inputs * outputs * edge**3 + bias * outputs

    def block(inputs: int, outputs: int, middle: int) -> int:
        norms = 2 * inputs + 2 * middle
        convolutions = convolution(inputs, middle, bias=False) + convolution(middle, outputs)
        return norms + convolutions + convolution(inputs, outputs, edge=1)

    halvings = [(64, 128), (128, 256), (256, 512), (512, 512)]
    descent = convolution(1, 64) + sum(block(inputs, outputs, inputs) for inputs, outputs in halvings)
    vector = 512 * 4**3
    critic = descent + vector + 1
    encoder = descent + vector * 128 + 128
    ascent = sum(block(inputs, outputs, outputs) for outputs, inputs in halvings)
    generator = 128 * vector + vector + ascent + 2 * 64 + convolution(64, 1)

    with torch.device("meta"):
        network = FAnoGan(64, 64, 128, seed=0)
    counts = [
        sum(parameter.numel() for parameter in part.parameters())
        for part in (network.generator, network.critic, network.encoder)
    ]
    assert counts == [generator, critic, encoder] == [25_792_833, 21_598_465, 25_760_128]
    assert sum(counts) == 73_151_426  # paper, section 5: 55,029,542


def test_channels_that_lie_last_change_what_networks_find_by_rounding_alone() -> None:
    scans, mix = to_range(balls(4)), torch.linspace(0, 1, 4)
    plain, last = (FAnoGan(SIZE, 4, 4, seed=0).eval() for _ in range(2))
    last.to(memory_format=torch.channels_last_3d)
    expected, found = (
        (*network(given), gradient_penalty(network.critic, given, given / 2, mix))
        for network, given in ((plain, scans), (last, channels_last(scans)))
    )
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_equal_seeds_are_equal_networks_and_files(tmp_path: Path) -> None:
    torch.manual_seed(1)
    state = torch.random.get_rng_state()
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        save_fanogan(tmp_path / f"{name}.safetensors", FAnoGan(16, 2, 4, seed=seed))
    assert torch.equal(torch.random.get_rng_state(), state)
    a, b, c = ((tmp_path / f"{name}.safetensors").read_bytes() for name in "abc")
    assert a == b != c
    loaded = load_fanogan(tmp_path / "a.safetensors")
    assert read_network(tmp_path / "a.safetensors").parameters == sum(p.numel() for p in loaded.parameters())
    assert not loaded.training
    weights = FAnoGan(16, 2, 4, seed=3).state_dict()
    assert all(torch.equal(weights[name], value) for name, value in loaded.state_dict().items())


def test_residual_and_score_by_hand() -> None:
    class Grey(nn.Module):
        def forward(self, latents: Tensor) -> Tensor:
            return torch.full((len(latents), 1, SIZE, SIZE, SIZE), 0.25)

    class Doubled(nn.Module):
        def forward(self, scans: Tensor) -> Tensor:
            return 2 * scans.flatten(1)

    network = FAnoGan(SIZE, 2, 4, seed=0).eval()
    network.generator, network.critic.features = Grey(), Doubled()  # pyright: ignore[reportAttributeAccessIssue]
    # 2 SD are 0.5 in the generator's range; 0.25 above its grey, which is 1 SD.
    residual, score = residual_map(network, np.full((SIZE,) * 3, 2.0, dtype=np.float16), kappa=3.0)
    np.testing.assert_allclose(residual, np.ones((SIZE,) * 3))
    assert residual.dtype == np.float32
    assert score == pytest.approx(0.25**2 + 3 * 0.5**2)
    # Far out is white: 1, which is 0.75 or 3 SD from grey.
    assert residual_map(network, np.full((SIZE,) * 3, 9.0), kappa=0.0) == (pytest.approx(3.0), pytest.approx(0.75**2))


def test_generated_scans_come_near_the_real_ones(folder: Path) -> None:
    scans = to_range(balls(8))
    latents = torch.from_numpy(np.random.default_rng(0).standard_normal((64, 2), dtype=np.float32))

    @torch.no_grad()
    def distance_to_nearest(network: FAnoGan) -> float:
        generated = network.eval().generator(latents)
        return float((generated[:, None] - scans).square().flatten(2).mean(dim=2).amin(dim=0).mean())

    form = {"latent_dim": 2, "batch_size": 4, "critic_steps": 1, "gan_learning_rate": 2e-3}
    train(folder, "balls", **form, gan_epochs=30, encoder_epochs=1)
    untrained = FAnoGan(SIZE, SETTINGS["width"], 2, seed=SETTINGS["seed"])
    assert distance_to_nearest(load_fanogan(folder / "balls.safetensors")) < distance_to_nearest(untrained) / 2
    assert pd.read_csv(folder / "balls-gan.tsv", sep="\t")["chosen"].tolist() == [0] * 29 + [1]


class Waves(nn.Module):
    """A generator of two waves, whose heights are the latents."""

    def forward(self, latents: Tensor) -> Tensor:
        x = torch.linspace(0, 2 * torch.pi, SIZE)
        waves = torch.stack([wave.expand(SIZE, SIZE, SIZE) for wave in (x.sin()[:, None, None], x.cos()[:, None])])
        return torch.einsum("nk,kxyz->nxyz", 0.3 * latents, waves)[:, None].clamp(-1, 1)


def test_the_encoder_finds_the_latents_of_scans_that_the_generator_knows(tmp_path: Path) -> None:
    network = FAnoGan(SIZE, 2, 2, seed=0)
    network.generator = Waves()  # pyright: ignore[reportAttributeAccessIssue]
    scans = network.generator(torch.randn(32, 2, generator=torch.Generator().manual_seed(0)))
    volumes = [tmp_path / f"sub-{index}.npy" for index in range(len(scans))]
    for path, scan in zip(volumes, scans, strict=True):
        np.save(path, 4 * scan[0].numpy())  # in SDs, of which the generator's range holds four
    given, held_out = (ScanDataset(some) for some in (volumes[:24], volumes[24:]))
    settings: dict[str, Any] = SETTINGS | {"encoder_learning_rate": 2e-3}
    training = EncoderTraining(network, FanoganSettings(**settings))
    loaders = EpochLoaders(lambda epoch: given, [held_out], batch_size=8, seed=0)
    fit(training, loaders, tmp_path / "checkpoints", COMPUTE, epochs=12)
    with torch.no_grad():
        error = network.eval()(scans).image_distance[24:].mean()
    error_of_mean = (scans[24:] - scans[:24].mean(dim=0)).square().mean()
    assert error < error_of_mean / 3
    losses = [epoch["val_loss"] for epoch in training.epochs]
    assert losses[training.best_epoch] == min(losses)


def test_the_encoder_learns_beside_networks_that_stay_as_they_are(folder: Path) -> None:
    slow, fast = (train(folder, f"{rate}", encoder_epochs=1, encoder_learning_rate=rate) for rate in (1e-4, 1e-3))
    changed = {name for name in fast if not torch.equal(slow[name], fast[name])}
    assert changed and all(name.startswith("encoder.") for name in changed)
    other = train(folder, "other", critic_steps=1)  # twice as many steps of the generator
    assert not torch.equal(fast["generator.input.weight"], other["generator.input.weight"])


def test_a_mixed_precision_trains_as_the_full_one_does(folder: Path) -> None:
    settings: dict[str, Any] = {"gan_epochs": 1, "encoder_epochs": 1, "batch_size": 4, "critic_steps": 1}
    train(folder, "full", **settings)
    train(folder, "mixed", COMPUTE._replace(precision="bf16-mixed"), **settings)
    for record in ("", "-gan"):
        full, mixed = (pd.read_csv(folder / f"{run}{record}.tsv", sep="\t") for run in ("full", "mixed"))
        np.testing.assert_allclose(mixed, full, rtol=0.1, atol=0.05)


@pytest.mark.parametrize("phase", ["gan", "encoder"])
def test_a_kill_in_either_training_changes_nothing_in_the_end(
    folder: Path, phase: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = train(folder, "whole")
    save, saved = torch.save, []

    def killed(checkpoint: dict, path: Path) -> None:
        saved.append(path)
        if len(saved) == {"gan": 2, "encoder": 4}[phase]:
            path.write_bytes(b"half of a checkpoint")
            raise KeyboardInterrupt
        save(checkpoint, path)

    with monkeypatch.context() as patch, pytest.raises((KeyboardInterrupt, SystemExit)):
        patch.setattr(torch, "save", killed)
        train(folder, "cut", checkpoints="checkpoints")
    resumed = train(folder, "resumed", checkpoints="checkpoints")
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)
    for record in ("", "-gan"):
        assert (folder / f"whole{record}.tsv").read_text() == (folder / f"resumed{record}.tsv").read_text()


def test_a_training_that_diverges_names_the_key_to_change(folder: Path) -> None:
    with pytest.raises(InputError, match=r"diverged in epoch .* lower its gan_learning_rate"):
        train(folder, "wild", gan_learning_rate=1e30)
    with pytest.raises(InputError, match=r"diverged in epoch .* lower its encoder_learning_rate"):
        train(folder, "wild", encoder_learning_rate=1e38)

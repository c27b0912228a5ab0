"""The training of f-AnoGAN: a Wasserstein GAN of healthy scans, then an encoder into its latent space.

The steps and their constants are those of Schlegl's published code (github.com/tSchlegl/f-AnoGAN); see
`fanogan_networks`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from lightning.pytorch.utilities import rank_zero_only
from torch import Tensor, nn

from stfpm3d.learning.acs import channels_last
from stfpm3d.learning.compute import Compute
from stfpm3d.learning.fanogan_networks import FAnoGan, save_fanogan, to_range
from stfpm3d.learning.training import EpochLoaders, EpochSelection, ScanDataset, fit, save_epochs


@dataclass(frozen=True, kw_only=True)
class FanoganSettings:
    """A GAN's row of the config.

    `gradient_penalty` is the penalty's weight in the critic's loss, `kappa` that of the features in the encoder's.
    """

    size: int
    width: int
    latent_dim: int
    gan_epochs: int
    encoder_epochs: int
    batch_size: int
    gan_learning_rate: float
    encoder_learning_rate: float
    critic_steps: int
    gradient_penalty: float
    kappa: float
    seed: int


def gradient_penalty(critic: nn.Module, real: Tensor, fake: Tensor, mix: Tensor) -> Tensor:
    """Mean squared deviation from 1 of the critic's slope between real and generated scans (N, 1, X, Y, Z).

    Scan i's slope is taken at real + mix[i] · (fake - real), `mix` being (N,) from 0 to 1 (Gulrajani et al. 2017,
    equation 3). All is float32, also in a mixed-precision training: the slope of a sum overflows float16.
    """
    with torch.autocast(real.device.type, enabled=False):
        between = torch.lerp(real, fake.float(), mix.view(-1, 1, 1, 1, 1)).requires_grad_()
        (gradient,) = torch.autograd.grad(critic(between).sum(), between, create_graph=True)
    return (gradient.flatten(1).norm(dim=1) - 1).square().mean()


class _Training(EpochSelection[FAnoGan]):
    """What the two trainings share: on a CPU, channels that lie last save a third of a step."""

    def on_fit_start(self) -> None:
        if self.device.type == "cpu":
            self.network.to(memory_format=torch.channels_last_3d)

    def scans(self, batch: tuple[Tensor, Tensor]) -> Tensor:
        """The scans (N, 1, X, Y, Z) of a batch, as the networks take them."""
        return channels_last(to_range(batch[1]))


class GanTraining(_Training):
    """WGAN-GP: the critic learns to tell real scans from generated ones, the generator what the critic takes for real.

    Each batch is a step of the critic; after each `critic_steps` of them comes one of the generator. No epoch is chosen
    (the two losses say nothing about a scan's likeness): the last is kept.
    """

    learning_rate_key = "gan_learning_rate"
    # A step uses one of two networks, and the encoder waits for its own training.
    strategy = "ddp_find_unused_parameters_true"

    def __init__(self, network: FAnoGan, settings: FanoganSettings) -> None:
        super().__init__(network, learning_rate=settings.gan_learning_rate)
        self.settings = settings
        self.automatic_optimization = False

    def rank(self, epoch: dict[str, float]) -> tuple[float, ...]:
        return (epoch["epoch"],)

    def configure_optimizers(self) -> list[torch.optim.Optimizer]:  # pyright: ignore[reportIncompatibleMethodOverride]
        networks = (self.network.generator, self.network.critic)
        return [torch.optim.Adam(network.parameters(), self.learning_rate, betas=(0.0, 0.9)) for network in networks]

    def training_step(self, batch: tuple[Tensor, Tensor], batch_idx: int) -> None:
        real = self.scans(batch)
        step = self.current_epoch * int(self.trainer.num_training_batches) + batch_idx + 1
        rng = np.random.default_rng([self.settings.seed, step, self.global_rank])
        self._critic_step(real, rng)
        if step % self.settings.critic_steps == 0:
            self._generator_step(len(real), rng)

    def _critic_step(self, real: Tensor, rng: np.random.Generator) -> None:
        critic = self.network.critic
        with torch.no_grad():
            fake = self.network.generator(self._latents(len(real), rng))
        mix = torch.from_numpy(rng.random(len(real), dtype=np.float32)).to(real)
        penalty = gradient_penalty(critic, real, fake, mix)
        distance = critic(real).float().mean() - critic(fake).float().mean()
        self._descend(1, self.settings.gradient_penalty * penalty - distance)
        metrics = {"train_wasserstein_distance": distance, "train_gradient_penalty": penalty}
        self.log_dict(metrics, on_step=False, on_epoch=True, sync_dist=True, batch_size=len(real))

    def _generator_step(self, count: int, rng: np.random.Generator) -> None:
        critic = self.network.critic.requires_grad_(False)
        self._descend(0, -critic(self.network.generator(self._latents(count, rng))).float().mean())
        critic.requires_grad_(True)

    def _latents(self, count: int, rng: np.random.Generator) -> Tensor:
        draws = rng.standard_normal((count, self.network.latent_dim), dtype=np.float32)
        return torch.from_numpy(draws).to(self.device)

    def _descend(self, index: int, loss: Tensor) -> None:
        """One step of the optimizer at `index` of `configure_optimizers`."""
        optimizer = self.optimizers()[index]  # pyright: ignore[reportIndexIssue]
        optimizer.zero_grad()
        self.manual_backward(loss)
        optimizer.step()


class EncoderTraining(_Training):
    """izi_f: find the latent vector whose generated scan is the one given, for voxels and for the critic's features.

    Generator and critic stay as they are. The epoch with the lowest loss on healthy validation scans is best.
    """

    learning_rate_key = "encoder_learning_rate"

    def __init__(self, network: FAnoGan, settings: FanoganSettings) -> None:
        super().__init__(network, learning_rate=settings.encoder_learning_rate)
        self.kappa = settings.kappa
        for frozen in (network.generator, network.critic):
            frozen.requires_grad_(False).eval()

    def rank(self, epoch: dict[str, float]) -> tuple[float, ...]:
        return (-epoch["val_loss"],)

    def configure_optimizers(self) -> torch.optim.Optimizer:  # pyright: ignore[reportIncompatibleMethodOverride]
        # TensorFlow's defaults; it adds its eps of 1e-10 below the root.
        return torch.optim.RMSprop(self.network.encoder.parameters(), self.learning_rate, alpha=0.9, eps=1e-5)

    def training_step(self, batch: tuple[Tensor, Tensor]) -> Tensor:
        return self._loss("train_loss", self.scans(batch))

    def validation_step(self, batch: tuple[Tensor, Tensor]) -> None:
        self._loss("val_loss", self.scans(batch))

    def _loss(self, name: str, scans: Tensor) -> Tensor:
        loss = self.network(scans).distance(self.kappa).mean()
        self.log(name, loss, on_step=False, on_epoch=True, sync_dist=True, batch_size=len(scans))
        return loss


def train_fanogan(
    train_volumes: Sequence[Path],
    val_volumes: Sequence[Path],
    output: Path,
    gan_record: Path,
    record: Path,
    checkpoint_dir: Path,
    settings: FanoganSettings,
    compute: Compute,
) -> None:
    """Train a GAN and its encoder on healthy scans and write their weights.

    Parameters
    ----------
    train_volumes, val_volumes: one .npy (size, size, size) a healthy subject, z-normalized, on a network grid.
    output: .safetensors, generator, critic and encoder.
    gan_record, record: .tsv, the metrics of each epoch of GAN and encoder, and which was kept.
    checkpoint_dir: survives a kill, with a folder for each of the two trainings; see `training.fit`.
    """
    network = FAnoGan(settings.size, settings.width, settings.latent_dim, seed=settings.seed)
    train, validation = ScanDataset(train_volumes), ScanDataset(val_volumes)

    def run(training: EpochSelection, phase: str, epochs: int) -> None:
        loaders = EpochLoaders(lambda epoch: train, [validation], batch_size=settings.batch_size, seed=settings.seed)
        fit(training, loaders, checkpoint_dir / phase, compute, epochs=epochs)

    gan = GanTraining(network, settings)
    run(gan, "gan", settings.gan_epochs)
    encoder = EncoderTraining(network, settings)
    run(encoder, "encoder", settings.encoder_epochs)
    save_epochs(gan_record, gan)
    save_epochs(record, encoder)
    rank_zero_only(save_fanogan)(output, network)

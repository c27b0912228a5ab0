"""The training of a segmenter: a network that learns from healthy scans alone to see synthetic lesions.

What it is trained on has no patient: lesions, shapes and acquisitions are drawn (`simulation`). It stands to
student–teacher maps as the segmentation network of DeSTSeg does in 2D (X. Zhang et al., CVPR 2023), and to
reconstruction as DRÆM's (V. Zavrtanik et al., ICCV 2021).
"""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from lightning.pytorch.utilities import rank_zero_only
from torch import Tensor
from torch.utils.data import Dataset

from stfpm3d.imaging.grid import NetworkGrid, mask_on_network_grid, read_grid
from stfpm3d.imaging.standardize import read_landmarks
from stfpm3d.imaging.volumes import load_mask
from stfpm3d.learning.compute import Compute
from stfpm3d.learning.lesioned_scans import lesion_aps
from stfpm3d.learning.synthetic_scans import KeptSamples, SyntheticScans
from stfpm3d.learning.training import EpochLoaders, EpochSelection, fit, save_epochs
from stfpm3d.learning.unet import Comparison, LesionUNet, save_segmenter, start_from, turned
from stfpm3d.simulation.scan import CLIP_SD, Healthy, Simulation, mirrored
from stfpm3d.simulation.space import space_of
from stfpm3d.simulation.unseen import unseen_acquisition

EPOCH_STEPS = 100
"""Steps between two validations, and two checkpoints."""
WARM_UP_STEPS = 60
VALIDATION_SAMPLES = 16
ENTROPY_WEIGHT, DICE_WEIGHT = 3.0, 0.5
DICE_SMOOTHING_ML = 1.3
"""Added to both sides of the Dice quotient, so that a scan without a lesion is no division by nothing."""
AVERAGED = 0.995
"""Share of the average of weights that a step keeps."""


@dataclass(frozen=True, kw_only=True)
class SegmenterSettings:
    """A segmenter's row of the config, without the file of its initial weights, and the cohort's contrast.

    With 0 `steps` the initial weights are kept.
    """

    modality: str
    seed: int
    steps: int
    batch_size: int
    width: int
    spacing_mm: float
    comparisons: tuple[Comparison, ...]
    learning_rate: float
    weight_decay: float
    mass_effect: bool
    randomisation: float


def lesion_loss(log_odds: Tensor, lesions: Tensor, brain: Tensor, voxel_ml: float) -> Tensor:
    """Loss (N,) of log odds (N, X, Y, Z), given lesions (N, X, Y, Z): cross entropy in the brain, and soft Dice.

    `brain` (X, Y, Z) is the template's; the lesions lie within.
    """
    truth = lesions.float()
    entropy = F.binary_cross_entropy_with_logits(log_odds, truth, reduction="none")[:, brain].mean(dim=1)
    found, smoothing = torch.sigmoid(log_odds), DICE_SMOOTHING_ML / voxel_ml
    common, both = (found * truth).flatten(1).sum(dim=1), (found + truth).flatten(1).sum(dim=1)
    return ENTROPY_WEIGHT * entropy + DICE_WEIGHT * (1 - (2 * common + smoothing) / (both + smoothing))


def rate_factor(step: int, steps: int) -> float:
    """The share of the learning rate at a step: rising at first, then falling as a cosine, to 2 %."""
    return min(1.0, (step + 1) / WARM_UP_STEPS) * (0.02 + 0.49 * (1 + math.cos(math.pi * min(1.0, step / steps))))


class SegmenterTraining(EpochSelection[LesionUNet]):
    """Minimise the loss on synthetic scans; what is kept is the average of the weights of many steps.

    That epoch is best whose average best finds the synthetic lesions of validation scans (mean average precision).

    Parameters
    ----------
    brain
        The template's brain on the segmenter's grid, bool (X, Y, Z).
    """

    def __init__(self, network: LesionUNet, brain: Tensor, settings: SegmenterSettings) -> None:
        super().__init__(network, learning_rate=settings.learning_rate)
        self.settings, self.voxel_ml = settings, settings.spacing_mm**3 / 1000
        self.trained = copy.deepcopy(network)
        network.requires_grad_(False)  # the average
        self.brain: Tensor
        self.register_buffer("brain", brain, persistent=False)
        self.validated: list[Tensor] = []

    def rank(self, epoch: dict[str, float]) -> tuple[float, ...]:
        return epoch["val_synthetic_ap"], -epoch["val_loss"]

    def configure_optimizers(self) -> Any:
        settings = self.settings
        optimizer = torch.optim.AdamW(
            self.trained.parameters(), settings.learning_rate, betas=(0.9, 0.98), weight_decay=settings.weight_decay
        )
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: rate_factor(step, settings.steps))
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def configure_gradient_clipping(self, optimizer: Any, *_: Any, **__: Any) -> None:
        self.clip_gradients(optimizer, gradient_clip_val=1.0, gradient_clip_algorithm="norm")

    def training_step(self, batch: tuple[Tensor, ...]) -> Tensor:
        _, images, lesions = batch
        loss = lesion_loss(self.trained(images), lesions, self.brain, self.voxel_ml).mean()
        self.log("train_loss", loss, on_step=False, on_epoch=True, sync_dist=True, batch_size=len(images))
        return loss

    @torch.no_grad()
    def on_train_batch_end(self, *_: Any, **__: Any) -> None:
        kept = min(AVERAGED, self.global_step / (self.global_step + 9))
        for average, weights in zip(self.network.parameters(), self.trained.parameters(), strict=True):
            average.lerp_(weights, 1 - kept)

    def validation_step(self, batch: tuple[Tensor, ...]) -> None:
        indices, images, lesions = batch
        log_odds = self.network(images)
        losses = lesion_loss(log_odds, lesions, self.brain, self.voxel_ml)
        self.validated.append(torch.stack([indices.float(), losses, lesion_aps(log_odds, lesions, self.brain)], dim=1))

    def on_validation_epoch_end(self) -> None:
        scans = self.gathered(self.validated)
        self.log("val_loss", float(scans[:, 1].mean()))
        self.log("val_synthetic_ap", float(scans[:, 2].mean()))


def healthy_scans(images: Sequence[Path], supports: Sequence[Path], grid: NetworkGrid) -> list[Healthy]:
    """Standardized scans (.npy float16 on the grid) and their brains (masks on the MNI grid)."""
    return [
        Healthy(torch.from_numpy(np.load(image)), torch.from_numpy(mask_on_network_grid(load_mask(support), grid)))
        for image, support in zip(images, supports, strict=True)
    ]


def normal_range(scans: Sequence[Healthy]) -> tuple[Tensor, Tensor]:
    """Mean and SD (X, Y, Z) of healthy scans and their mirror images, float32, in one pass over the scans."""
    total, squares = torch.zeros(scans[0].image.shape).double(), torch.zeros(scans[0].image.shape).double()
    for image, _ in scans:
        for seen in (image, mirrored(image)):
            clipped = seen.double().clamp(-CLIP_SD, CLIP_SD)
            total += clipped
            squares += clipped.square()
    n = 2 * len(scans)
    mean = total / n
    return mean.float(), ((squares / n - mean.square()).clamp(min=0) * n / (n - 1)).sqrt().float()


def untrained_segmenter(scans: Sequence[Healthy], settings: SegmenterSettings) -> LesionUNet:
    """A network of random weights that knows the range of some healthy scans.

    It sees T2w scans `turned`, so that it can start from the weights of a network for T1w.
    """
    opposite = settings.modality == "T2w"
    seen = [scan._replace(image=turned(scan.image)) for scan in scans] if opposite else scans
    return LesionUNet(
        *normal_range(seen),
        width=settings.width,
        comparisons=settings.comparisons,
        turned=opposite,
        seed=settings.seed,
    )


def train_segmenter(
    train: tuple[Sequence[Path], Sequence[Path]],
    val: tuple[Sequence[Path], Sequence[Path]],
    brain_mask: Path,
    grid: Path,
    landmarks: Path,
    output: Path,
    record: Path,
    checkpoint_dir: Path,
    settings: SegmenterSettings,
    compute: Compute,
    *,
    weights: Path | None = None,
) -> None:
    """Train a segmenter and write its weights.

    Parameters
    ----------
    train, val: of healthy training and validation scans, the images (.npy (X, Y, Z) on the segmenter's grid) and the
        brains (NIfTI, MNI grid).
    brain_mask: .npy bool (X, Y, Z), the template's brain on that grid.
    grid: .json, the geometry of that grid.
    landmarks: .tsv, the study's Nyúl landmarks.
    output: .safetensors, the chosen epoch's weights.
    record: .tsv, the metrics of each epoch and which was chosen.
    checkpoint_dir: survives a kill; see `training.fit`.
    weights: .safetensors of another segmenter to start from, or None for random weights.
    """
    place = read_grid(grid)
    scans, kept = healthy_scans(*train, place), healthy_scans(*val, place)
    network = untrained_segmenter(scans, settings)
    if weights is not None:
        start_from(network, weights)
    training = SegmenterTraining(network, torch.from_numpy(np.load(brain_mask)), settings)
    if settings.steps > 0:
        scale = torch.from_numpy(read_landmarks(landmarks)).float()
        simulation = Simulation(space_of(place), scale, settings.modality, mass_effect=settings.mass_effect)
        epoch_steps = min(EPOCH_STEPS, settings.steps)
        loaders = _loaders(scans, kept, simulation, settings, epoch_steps * settings.batch_size)
        loaders.workers = compute.threads // 2  # which make samples while the network learns
        threads = compute.threads - loaders.workers
        epochs = -(-settings.steps // epoch_steps)
        fit(training, loaders, checkpoint_dir, compute._replace(threads=threads), epochs=epochs)
    save_epochs(record, training)
    rank_zero_only(save_segmenter)(output, network)


def _loaders(
    scans: Sequence[Healthy], kept: Sequence[Healthy], simulation: Simulation, settings: SegmenterSettings, count: int
) -> EpochLoaders:
    """`count` synthetic scans an epoch from training scans, and those of the validation scans that are kept."""

    def samples(epoch: int) -> Dataset:
        strength = settings.randomisation
        return SyntheticScans(scans, simulation, count, seed=settings.seed, epoch=epoch, strength=strength)

    validation = simulation._replace(lesioned=1.0, acquire=unseen_acquisition)
    return EpochLoaders(
        samples,
        [KeptSamples(kept, validation, VALIDATION_SAMPLES, seed=settings.seed)],
        batch_size=settings.batch_size,
        seed=settings.seed,
    )

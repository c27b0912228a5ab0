"""The teacher: an ACS ResNet that learns where patches lie, from triplets and without labels (paper, section 3.1)."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from lightning.pytorch.utilities import rank_zero_only
from torch import Tensor, nn

from stfpm3d.learning.channels import load_atlas
from stfpm3d.learning.compute import Compute
from stfpm3d.learning.patches import PatchGrid, TripletDataset
from stfpm3d.learning.resnet import AcsResNet, Architecture, load_checkpoint, save_network
from stfpm3d.learning.training import EpochLoaders, Sgd, SgdTraining, fit, save_epochs

log = logging.getLogger(__name__)

EMBEDDING_DIM = 128  # authors' published code


@dataclass(frozen=True, kw_only=True)
class TeacherSettings(Sgd):
    """A teacher's row of the config, without its weights, atlas, balance and input scale.

    With 0 `epochs` the initial weights are kept (experiment 1 of the paper). A step takes `batch_size` scans, each with
    `triplets_per_scan` triplets.
    """

    architecture: Architecture
    epochs: int
    batch_size: int
    patch_size: int
    min_brain_fraction: float
    triplets_per_scan: int
    margin: float
    squared: bool
    lr_step_epochs: int
    lr_decay: float
    seed: int


def squared_distance(a: Tensor, b: Tensor) -> Tensor:
    """Squared L2 distance of embeddings (N, D), as (N,)."""
    return (a - b).square().sum(dim=1)


def triplet_loss(anchor: Tensor, neighbour: Tensor, negative: Tensor, *, margin: float, squared: bool) -> Tensor:
    """Triplet margin loss with anchor swap of embeddings (N, D), its mean over triplets (paper, equations 2-4).

    `squared` is the paper's text; without it the distances are plain L2, as in the authors' published code.
    """
    distance = squared_distance if squared else F.pairwise_distance
    return F.triplet_margin_with_distance_loss(
        anchor, neighbour, negative, distance_function=distance, margin=margin, swap=True
    )


@contextmanager
def batch_statistics(network: nn.Module) -> Iterator[None]:
    """Let a network in evaluation mode normalise by its batch, as in training, without learning from it.

    In the first epochs the running statistics lag behind, embeddings lie close together and the triplet loss is near
    its margin: by running statistics an untrained teacher would be chosen.
    """
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm3d)]
    modes = [(norm.training, norm.momentum) for norm in norms]
    for norm in norms:
        norm.train()
        norm.momentum = 0.0
    try:
        yield
    finally:
        for norm, (training, momentum) in zip(norms, modes, strict=True):
            norm.train(training)
            norm.momentum = momentum


class TeacherTraining(SgdTraining):
    """Minimise the triplet loss; the epoch with the lowest validation triplet loss is best."""

    def __init__(self, network: AcsResNet, settings: TeacherSettings) -> None:
        super().__init__(network, settings)
        self.settings = settings

    def rank(self, epoch: dict[str, float]) -> tuple[float, ...]:
        return (-epoch["val_loss"],)

    def configure_optimizers(self) -> dict:
        optimizer = super().configure_optimizers()
        assert isinstance(optimizer, torch.optim.Optimizer)
        schedule = torch.optim.lr_scheduler.StepLR(optimizer, self.settings.lr_step_epochs, self.settings.lr_decay)
        return {"optimizer": optimizer, "lr_scheduler": schedule}

    def loss(self, triplets: Tensor) -> Tensor:
        """Loss of (scans, triplets, 3, C, p, p, p): all patches go through the network, and its batch norm, at once."""
        patches = triplets.flatten(0, 1).transpose(0, 1).flatten(0, 1)
        anchor, neighbour, negative = self.network(patches).float().chunk(3)
        return triplet_loss(anchor, neighbour, negative, margin=self.settings.margin, squared=self.settings.squared)

    def training_step(self, batch: Tensor) -> Tensor:
        loss = self.loss(batch)
        self.log("train_loss", loss, on_step=False, on_epoch=True, sync_dist=True, batch_size=len(batch))
        return loss

    def validation_step(self, batch: Tensor) -> None:
        with batch_statistics(self.network):
            loss = self.loss(batch)
        self.log("val_loss", loss, sync_dist=True, batch_size=len(batch))


def train_teacher(
    train_volumes: Sequence[Path],
    val_volumes: Sequence[Path],
    train_subjects: Sequence[str],
    val_subjects: Sequence[str],
    brain_mask: Path,
    output: Path,
    record: Path,
    checkpoint_dir: Path,
    settings: TeacherSettings,
    compute: Compute,
    *,
    weights: Path | None = None,
    atlas: Path | None = None,
) -> None:
    """Train a teacher on scans of the network grid and write its weights.

    Parameters
    ----------
    train_volumes, val_volumes: one .npy (X, Y, Z) a scan; healthy subjects and patients.
    train_subjects, val_subjects: whose scans they are.
    brain_mask: .npy bool (X, Y, Z), the template's brain on the same grid.
    output: .safetensors, the whole network with its embedding `fc`; the student needs blocks 1-3 alone.
    record: .tsv, the losses of each epoch and which was chosen.
    checkpoint_dir: survives a kill; see `training.fit`.
    weights: initial weights (`resnet.load_checkpoint`), or None for random ones.
    atlas: .npy (X, Y, Z) on the same grid, the network's second input channel, or None.
    """
    channel = load_atlas(atlas)
    network = AcsResNet(settings.architecture, 1 if channel is None else 2, EMBEDDING_DIM, seed=settings.seed)
    if weights is not None:
        load_checkpoint(network, weights, pyramid_only=settings.epochs == 0)
    training = TeacherTraining(network, settings)
    if settings.epochs > 0:
        grid = PatchGrid(np.load(brain_mask), settings.patch_size, settings.min_brain_fraction)
        log.info("%d positions for anchors, of %d with enough brain", len(grid.anchors), len(grid.corners))

        def triplets(volumes: Sequence[Path], subjects: Sequence[str], epoch: int) -> TripletDataset:
            return TripletDataset(
                volumes,
                subjects,
                grid,
                patch_size=settings.patch_size,
                triplets_per_scan=settings.triplets_per_scan,
                seed=settings.seed,
                epoch=epoch,
                atlas=channel,
            )

        fit(
            training,
            EpochLoaders(
                lambda epoch: triplets(train_volumes, train_subjects, epoch),
                [triplets(val_volumes, val_subjects, 0)],
                batch_size=settings.batch_size,
                seed=settings.seed,
            ),
            checkpoint_dir,
            compute,
            epochs=settings.epochs,
        )
    save_epochs(record, training)
    rank_zero_only(save_network)(output, network)

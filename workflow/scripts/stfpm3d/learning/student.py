"""The student: it learns the teacher's features on healthy scans, and only there (paper, section 3.2)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from lightning.pytorch.utilities import rank_zero_only
from sklearn.metrics import roc_auc_score
from torch import Tensor, nn
from torch.utils.data import Dataset, Subset

from stfpm3d.imaging.grid import NetworkGrid, mask_on_network_grid, read_grid
from stfpm3d.imaging.standardize import read_landmarks
from stfpm3d.imaging.volumes import Volume, load_mask
from stfpm3d.learning.channels import load_atlas
from stfpm3d.learning.compute import Compute
from stfpm3d.learning.corruption import CorruptedScans, Corruption, OtherAcquisitions, corrupter
from stfpm3d.learning.lesioned_scans import LesionedScans, lesion_aps
from stfpm3d.learning.matching import block_distances, combine_blocks, feature_differences
from stfpm3d.learning.resnet import AcsResNet, Pyramid, load_network, save_network
from stfpm3d.learning.training import EpochLoaders, ScanDataset, Sgd, SgdTraining, fit, save_epochs
from stfpm3d.runtime.errors import InputError
from stfpm3d.simulation.scan import Simulation
from stfpm3d.simulation.space import space_of

Selection = Literal["auroc", "synthetic_ap", "loss"]


@dataclass(frozen=True, kw_only=True)
class StudentSettings(Sgd):
    """A student's row of the config, without its teacher.

    `corruption` is what the student sees of a training scan instead of the clean one, or None; validation scans are
    clean. `lesion_sign` is 1 for synthetic lesions that are bright, -1 for dark ones, which the `selection`
    "synthetic_ap" needs. `modality` is the cohort's contrast, which the corruption "acquisition" needs.
    """

    epochs: int
    batch_size: int
    squared: bool
    corruption: Corruption | None
    selection: Selection
    patience: int
    seed: int
    lesion_sign: int | None = None
    modality: str | None = None


def feature_losses(teacher: Sequence[Tensor], student: Sequence[Tensor], *, squared: bool) -> Tensor:
    """Each scan's distance of normalised features, averaged over positions and summed over blocks: (N,).

    `squared` is half the squared L2 distance (paper, equation 5); without it half the distance, as in the authors'
    published code.
    """
    if squared:
        distances = block_distances(teacher, student)
    else:
        distances = [torch.linalg.vector_norm(d, dim=1) / 2 for d in feature_differences(teacher, student)]
    return torch.stack([distance.flatten(1).mean(dim=1) for distance in distances]).sum(dim=0)


class FrozenTeacher(nn.Module):
    """The teacher, always in evaluation mode, without gradients.

    Its features of a scan never change, so on a CPU they are kept in memory up to `cache_gb`: the teacher's forward is
    a third of a training step, half of a validation step. Scans go through one by one, so that what is kept and what
    is computed anew agree to the bit.
    """

    def __init__(self, network: AcsResNet, cache_gb: float) -> None:
        super().__init__()
        network.layer4, network.fc = nn.Sequential(), nn.Identity()  # three quarters of the weights, never used
        self.network = network.eval().requires_grad_(False)
        self.free_bytes = int(cache_gb * 1e9)
        self.kept: dict[int, Pyramid] = {}

    def train(self, mode: bool = True) -> FrozenTeacher:
        return super().train(False)

    def forward(self, indices: Tensor, volumes: Tensor) -> Pyramid:
        """Features of volumes (N, C, X, Y, Z), which `indices` (N,) tell apart."""
        pyramids = [self._features(int(index), scan[None]) for index, scan in zip(indices, volumes, strict=True)]
        return Pyramid(*(torch.cat(blocks) for blocks in zip(*pyramids, strict=True)))

    @torch.no_grad()
    def _features(self, index: int, scan: Tensor) -> Pyramid:
        if index in self.kept:
            return self.kept[index]
        pyramid = self.network.pyramid(scan)
        if not all(block.isfinite().all() for block in pyramid):
            raise InputError("The teacher's features are not finite: its training diverged; lower its learning_rate.")
        size = sum(block.nbytes for block in pyramid)
        if scan.device.type == "cpu" and size <= self.free_bytes:
            self.kept[index] = pyramid
            self.free_bytes -= size
        return pyramid


class StudentTraining(SgdTraining):
    """Minimise the feature loss on healthy scans.

    With `selection` "auroc" that epoch is best which best tells validation patients from healthy scans by the maximum
    of the product map; with "synthetic_ap" the one whose product maps best show synthetic lesions in healthy validation
    scans (mean average precision); of equals the one with the lower loss on healthy validation scans. With "loss" the
    latter alone counts.

    Parameters
    ----------
    is_patient: bool (scans,), by the index of a scan.
    brain_mask: bool (X, Y, Z) on the network grid, over which a map's maximum is taken.
    """

    def __init__(
        self,
        teacher: FrozenTeacher,
        network: AcsResNet,
        is_patient: Tensor,
        brain_mask: Tensor,
        settings: StudentSettings,
    ) -> None:
        super().__init__(network, settings, patience=settings.patience)
        self.settings = settings
        self.teacher = teacher
        # The loss ends at block 3: layer4 gets no gradient, which distributed training must know.
        network.layer4.requires_grad_(False)
        self.is_patient: Tensor
        self.brain_mask: Tensor
        self.register_buffer("is_patient", is_patient, persistent=False)
        self.register_buffer("brain_mask", brain_mask, persistent=False)
        self.validated: list[Tensor] = []
        self.lesioned: list[Tensor] = []

    def rank(self, epoch: dict[str, float]) -> tuple[float, ...]:
        if self.settings.selection == "loss":
            return (-epoch["val_loss"],)
        return epoch[f"val_{self.settings.selection}"], -epoch["val_loss"]

    def training_step(self, batch: tuple[Tensor, ...]) -> Tensor:
        indices, volumes, *corrupted = batch
        seen = corrupted[0] if corrupted else volumes
        teacher, student = self.teacher(indices, volumes), self.network.pyramid(seen)
        loss = feature_losses(teacher, student, squared=self.settings.squared).mean()
        self.log("train_loss", loss, on_step=False, on_epoch=True, sync_dist=True, batch_size=len(volumes))
        return loss

    def validation_step(self, batch: tuple[Tensor, ...], batch_idx: int = 0, dataloader_idx: int = 0) -> None:
        indices, volumes, *lesions = batch
        teacher, student = self.teacher(indices, volumes), self.network.pyramid(volumes)
        maps = combine_blocks(block_distances(teacher, student), volumes.shape[2:], "product")
        if lesions:
            self.lesioned.append(torch.stack([indices.float(), lesion_aps(maps, lesions[0], self.brain_mask)], dim=1))
            return
        losses = feature_losses(teacher, student, squared=self.settings.squared)
        scores = maps[:, self.brain_mask].amax(dim=1)
        self.validated.append(torch.stack([indices.float(), self.is_patient[indices].float(), losses, scores], dim=1))

    def on_validation_epoch_end(self) -> None:
        scans = self.gathered(self.validated)
        patient, loss, score = scans[:, 1] == 1, scans[:, 2], scans[:, 3]
        self.check_finite({"val_loss": float(loss.mean()), "val_score": float(score.mean())})
        self.log("val_loss", float(loss[~patient].mean()))
        if patient.any():
            self.log("val_auroc", float(roc_auc_score(patient, score)))
        if self.lesioned:
            self.log("val_synthetic_ap", float(self.gathered(self.lesioned)[:, 1].mean()))


def other_acquisitions(
    supports: Sequence[Path], landmarks: Path | None, grid: NetworkGrid, modality: str | None
) -> OtherAcquisitions | None:
    """Random acquisitions of the training scans with these brains (NIfTI, MNI grid); None where there are none."""
    if not supports:
        return None
    assert landmarks is not None and modality is not None
    simulation = Simulation(space_of(grid), torch.from_numpy(read_landmarks(landmarks)).float(), modality)
    return OtherAcquisitions(simulation, [mask_on_network_grid(load_mask(support), grid) for support in supports])


def train_student(
    train_volumes: Sequence[Path],
    val_volumes: Sequence[Path],
    val_is_patient: Sequence[bool],
    brain_mask: Path,
    grid: Path,
    teacher: Path,
    output: Path,
    initial: Path,
    record: Path,
    checkpoint_dir: Path,
    settings: StudentSettings,
    compute: Compute,
    *,
    cache_gb: float = 2.0,
    atlas: Path | None = None,
    train_supports: Sequence[Path] = (),
    landmarks: Path | None = None,
) -> None:
    """Train a student of the teacher's architecture, from random weights, and write its weights.

    Parameters
    ----------
    train_volumes: one .npy (X, Y, Z) a healthy training subject, on the network grid.
    val_volumes, val_is_patient: validation scans and their groups; patients choose the epoch, nothing else.
    brain_mask: .npy bool (X, Y, Z), the template's brain on the same grid.
    grid: .json, the geometry of that grid.
    teacher: .safetensors written by `train_teacher`.
    output, initial: .safetensors, the student's weights of the chosen epoch and before training.
    record: .tsv, the metrics of each epoch and which was chosen.
    checkpoint_dir: survives a kill; see `training.fit`.
    cache_gb: memory for the teacher's features (10^9 bytes), used on a CPU only.
    atlas: .npy (X, Y, Z), the second input channel of teacher and student, or None.
    train_supports: for the corruption "acquisition": the training scans' brains (NIfTI, MNI grid).
    landmarks: for the same: .tsv, the study's Nyúl landmarks.

    Raises
    ------
    InputError
        If there is no healthy validation scan, or no patient and `selection` is "auroc".
    """
    if all(val_is_patient):
        raise InputError("The student needs a healthy validation scan: give the validation part of the split one.")
    if settings.selection == "auroc" and not any(val_is_patient):
        raise InputError(
            "No validation patient is there to choose an epoch by AUROC: set the student's selection to `loss`."
        )
    frozen = FrozenTeacher(load_network(teacher), cache_gb)
    network = AcsResNet(frozen.network.architecture, frozen.network.in_channels, seed=settings.seed)
    rank_zero_only(save_network)(initial, network)

    scans = ScanDataset([*train_volumes, *val_volumes], load_atlas(atlas))
    place = read_grid(grid)
    brain = Volume(np.load(brain_mask), place.affine)
    acquisitions = other_acquisitions(train_supports, landmarks, place, settings.modality)

    def seen_in(epoch: int) -> Dataset:
        indices = range(len(train_volumes))
        if settings.corruption is None:
            return Subset(scans, indices)
        corrupt = corrupter(settings.corruption, brain, acquisitions)
        return CorruptedScans(scans, indices, corrupt, seed=settings.seed, epoch=epoch)

    validated = range(len(train_volumes), len(scans))
    validation: list[Dataset] = [Subset(scans, validated)]
    if settings.selection == "synthetic_ap":
        assert settings.lesion_sign is not None
        healthy = [index for index, is_patient in zip(validated, val_is_patient, strict=True) if not is_patient]
        validation.append(LesionedScans(scans, healthy, brain, settings.lesion_sign, seed=settings.seed))

    training = StudentTraining(
        frozen,
        network,
        torch.tensor([False] * len(train_volumes) + list(val_is_patient)),
        torch.from_numpy(brain.data),
        settings,
    )
    loaders = EpochLoaders(seen_in, validation, batch_size=settings.batch_size, seed=settings.seed)
    fit(training, loaders, checkpoint_dir, compute, epochs=settings.epochs)
    save_epochs(record, training)
    rank_zero_only(save_network)(output, network)

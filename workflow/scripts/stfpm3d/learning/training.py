"""What the trainings share: the scans, the choice of an epoch, and Lightning's Trainer."""

from __future__ import annotations

import fcntl
import logging
import math
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import numpy as np
import pandas as pd
import torch
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.fabric.plugins.io.torch_io import TorchCheckpointIO
from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.fabric.utilities.warnings import PossibleUserWarning
from lightning.pytorch import LightningDataModule, LightningModule, Trainer
from lightning.pytorch.callbacks import Callback, ModelCheckpoint, TQDMProgressBar
from lightning.pytorch.utilities import rank_zero_only
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset, Subset

from stfpm3d.learning.channels import stack_channels
from stfpm3d.learning.compute import Compute, missing_devices
from stfpm3d.learning.resnet import AcsResNet
from stfpm3d.runtime.errors import InputError
from stfpm3d.runtime.files import replacing
from stfpm3d.runtime.logs import told

log = logging.getLogger(__name__)


class ScanDataset(Dataset[tuple[int, Tensor]]):
    """Whole scans: (index, float32 (C, X, Y, Z)) of .npy files (X, Y, Z) on the network grid, memory-mapped.

    The second channel is `atlas` (X, Y, Z), if there is one.
    """

    def __init__(self, volumes: Sequence[Path], atlas: NDArray | None = None) -> None:
        self.volumes = volumes
        self.atlas = atlas

    def __len__(self) -> int:
        return len(self.volumes)

    def __getitem__(self, index: int) -> tuple[int, Tensor]:
        scan = stack_channels(np.load(self.volumes[index], mmap_mode="r"), self.atlas)
        if not np.isfinite(scan).all():
            raise InputError(f"{self.volumes[index]} holds NaN or infinite voxels; remove the file and run again.")
        return index, torch.from_numpy(scan)


class EpochLoaders(LightningDataModule):
    """Loaders that are made anew in each epoch, so that data and order are functions of (seed, epoch).

    A Lightning checkpoint holds no state of the random generators; this makes a resumed training equal an
    uninterrupted one, however many `workers` (processes beside the training) load the scans.
    """

    workers = 0
    pinned = False
    """Whether batches wait in memory from which a GPU copies them directly."""

    def __init__(
        self, train_of_epoch: Callable[[int], Dataset], validation: Sequence[Dataset], *, batch_size: int, seed: int
    ) -> None:
        super().__init__()
        self.train_of_epoch = train_of_epoch
        self.validation = validation
        self.batch_size = batch_size
        self.seed = seed

    def train_dataloader(self) -> DataLoader:
        assert self.trainer is not None
        epoch = self.trainer.current_epoch
        scans = self.train_of_epoch(epoch)
        # Not the loader's own shuffling: its generator's state depends on how often Lightning opens the loader.
        order = np.random.default_rng([self.seed, epoch]).permutation(len(scans))  # pyright: ignore[reportArgumentType]
        return self._loader(Subset(scans, order.tolist()))

    def val_dataloader(self) -> list[DataLoader]:
        return [self._loader(scans) for scans in self.validation]

    def _loader(self, scans: Dataset) -> DataLoader:
        return DataLoader(scans, self.batch_size, num_workers=self.workers, pin_memory=self.pinned)


NetworkT = TypeVar("NetworkT", bound=nn.Module)


class EpochSelection(LightningModule, Generic[NetworkT]):
    """A training that remembers its epochs' metrics and the best epoch's weights.

    Subclasses log `train_loss` and the validation metrics by which `rank` compares epochs; the memory is part of the
    one checkpoint, so that no kill can leave the weights of one epoch beside the metrics of another. The training ends
    after `patience` epochs without a better one. (Lightning's EarlyStopping forgets, when resumed, that it had
    stopped; and ties between epochs are not its matter.)
    """

    learning_rate_key = "learning_rate"
    """The config's name of the learning rate."""
    strategy = "auto"
    """Lightning's strategy on several devices."""

    def __init__(self, network: NetworkT, *, learning_rate: float, patience: int | None = None) -> None:
        super().__init__()
        self.network = network
        self.learning_rate = learning_rate
        self.patience = patience
        self.epochs: list[dict[str, float]] = []
        self.best_weights: dict[str, Tensor] = {}
        self.started = (0, 0.0)

    def rank(self, epoch: dict[str, float]) -> tuple[float, ...]:
        """How good an epoch is: of two, the greater is better, and the earlier one of equals."""
        raise NotImplementedError

    @property
    def best_epoch(self) -> int:
        """Index of the best epoch so far."""
        return max(range(len(self.epochs)), key=lambda index: self.rank(self.epochs[index]))

    def on_train_start(self) -> None:
        self.started = (self.current_epoch, time.monotonic())
        self._stop_if_patience_is_out()

    def on_train_epoch_end(self) -> None:
        metrics = {name: float(value) for name, value in self.trainer.callback_metrics.items()}
        self.check_finite(metrics)
        self.epochs.append({"epoch": self.current_epoch} | metrics)
        if self.best_epoch == len(self.epochs) - 1:
            self.best_weights = {name: value.cpu().clone() for name, value in self.network.state_dict().items()}
        figures = ", ".join(f"{name} {value:.6g}" for name, value in sorted(metrics.items()))
        place = f"epoch {self.current_epoch} of {self.trainer.max_epochs}"
        left = self._time_left()
        shown = told(f"epoch {self.current_epoch + 1} of {self.trainer.max_epochs} is done, {left}")
        log.info("%s: %s (best: %d); %s", place, figures, self.best_epoch, left, extra=shown)
        self._stop_if_patience_is_out()

    def check_finite(self, metrics: dict[str, float]) -> None:
        """Raise `InputError` when a metric of the current epoch is NaN or infinite."""
        if not all(math.isfinite(value) for value in metrics.values()):
            figures = ", ".join(f"{name} {value:g}" for name, value in metrics.items())
            raise InputError(
                f"The training diverged in epoch {self.current_epoch} ({figures}): lower its "
                f"{self.learning_rate_key} (now {self.learning_rate:g})."
            )

    def gathered(self, batches: list[Tensor]) -> NDArray[np.float32]:
        """The rows of all batches of all devices, by their index, one a scan: devices get equal numbers, some twice."""
        gathered = self.all_gather(torch.cat(batches))
        assert isinstance(gathered, Tensor)
        batches.clear()
        rows = gathered.reshape(-1, gathered.shape[-1]).cpu().numpy()
        _, first = np.unique(rows[:, 0], return_index=True)  # by index: a second time the last bits may differ
        return rows[first]

    def on_save_checkpoint(self, checkpoint: dict) -> None:
        checkpoint["epochs_so_far"] = self.epochs
        checkpoint["best_weights"] = self.best_weights

    def on_load_checkpoint(self, checkpoint: dict) -> None:
        self.epochs = checkpoint["epochs_so_far"]
        self.best_weights = checkpoint["best_weights"]
        log.info("going on from the checkpoint after epoch %d", len(self.epochs) - 1)

    def _time_left(self) -> str:
        first, start = self.started
        assert self.trainer.max_epochs is not None
        to_go = self.trainer.max_epochs - self.current_epoch - 1
        minutes = (time.monotonic() - start) / (self.current_epoch + 1 - first) * to_go / 60
        return f"at most {math.ceil(minutes)} min left"

    def _stop_if_patience_is_out(self) -> None:
        if self.patience is not None and self.epochs and len(self.epochs) - 1 - self.best_epoch >= self.patience:
            self.trainer.should_stop = True


@dataclass(frozen=True, kw_only=True)
class Sgd:
    """What a stochastic gradient descent is set to, as in a config's row."""

    learning_rate: float
    momentum: float
    weight_decay: float


class SgdTraining(EpochSelection[AcsResNet]):
    """A training by stochastic gradient descent, as of teacher and student (paper, section 4.3)."""

    def __init__(self, network: AcsResNet, sgd: Sgd, *, patience: int | None = None) -> None:
        super().__init__(network, learning_rate=sgd.learning_rate, patience=patience)
        self.sgd = sgd

    def configure_optimizers(self) -> torch.optim.Optimizer | dict:  # pyright: ignore[reportIncompatibleMethodOverride]
        trained = [parameter for parameter in self.parameters() if parameter.requires_grad]
        return torch.optim.SGD(trained, self.sgd.learning_rate, self.sgd.momentum, weight_decay=self.sgd.weight_decay)


class WholeCheckpoints(TorchCheckpointIO):
    """A checkpoint replaces the one before it only when it is whole.

    Lightning writes to the system's temporary folder and moves the file, which is a slow copy between file systems.
    """

    def save_checkpoint(self, checkpoint: dict[str, Any], path: str | Path, storage_options: Any = None) -> None:
        with replacing(path) as temporary:
            torch.save(checkpoint, temporary)


def fit(
    training: EpochSelection,
    loaders: EpochLoaders,
    checkpoint_dir: Path,
    compute: Compute,
    *,
    epochs: int,
) -> None:
    """Train, and leave the best epoch's weights in `training`; zero epochs leave it as it is.

    Epochs end with a checkpoint in `checkpoint_dir`; where one is found the training goes on from it. The folder must
    therefore belong to one set of data, settings and code. With an equal `compute` a CPU repeats a training to the bit.

    Raises
    ------
    InputError
        If another process trains in this folder.
    """
    if epochs == 0:
        return
    torch.set_num_threads(compute.threads)
    # Else, where all is to be deterministic, torch fills each new tensor with NaN: a twentieth of a step.
    torch.utils.deterministic.fill_uninitialized_memory = False  # pyright: ignore[reportAttributeAccessIssue]
    callbacks: list[Callback] = [ModelCheckpoint(checkpoint_dir, "last", enable_version_counter=False)]
    watched = sys.stderr.isatty() and sys.stdout.isatty()  # Lightning draws its bar on stdout
    if watched:
        callbacks.append(TQDMProgressBar())
    with devices_found(compute.accelerator, compute.devices):
        trainer = Trainer(
            accelerator=compute.accelerator,
            devices=compute.devices,
            strategy=training.strategy if compute.devices > 1 else "auto",
            precision=compute.precision,
            max_epochs=epochs,
            callbacks=callbacks,
            # Under srun Lightning would choose its SLURM environment, start no second rank and can hang.
            plugins=[LightningEnvironment(), WholeCheckpoints()],
            # No error: torch warns of f-AnoGAN's mean pooling, which repeats to the bit.
            deterministic="warn",
            reload_dataloaders_every_n_epochs=1,
            num_sanity_val_steps=0,
            logger=False,
            enable_progress_bar=watched,
            enable_model_summary=False,
        )
    if trainer.strategy.root_device.type != "cpu":
        loaders.workers, loaders.pinned = compute.threads, True  # or the GPU would wait for them
    last = checkpoint_dir / "last.ckpt"
    # No news: a teacher in evaluation mode, loaders without workers, a checkpoint to resume from, other products.
    logging.getLogger("lightning.pytorch.utilities.rank_zero").setLevel(logging.WARNING)
    with _alone_in(checkpoint_dir), warnings.catch_warnings():
        warnings.simplefilter("ignore", PossibleUserWarning)
        warnings.filterwarnings("ignore", message="Checkpoint directory .* exists")
        warnings.filterwarnings("ignore", message="You passed in a `val_dataloader`")  # a GAN has no use for it
        warnings.filterwarnings("ignore", message="The dirpath has changed")  # all that counts is in the checkpoint
        try:
            trainer.fit(training, loaders, ckpt_path=last if last.exists() else None)
        except InputError as error:  # of a worker it is a traceback that ends in the sentence
            raise InputError(str(error).rsplit(f"{InputError.__name__}: ", 1)[-1].strip()) from error
    training.network.load_state_dict(training.best_weights)


@contextmanager
def devices_found(accelerator: str, devices: int) -> Iterator[None]:
    """Let Lightning choose devices within; raise `InputError` where this machine has not as many."""
    try:
        yield
    except (MisconfigurationException, RuntimeError) as error:  # Trainer's and Fabric's
        raise missing_devices(accelerator, devices, str(error).strip()) from error


@rank_zero_only
def save_epochs(path: Path, training: EpochSelection) -> None:
    """Write the epochs' metrics as TSV; `chosen` is 1 for the epoch whose weights were kept."""
    table = pd.DataFrame(training.epochs)
    if training.epochs:
        table["chosen"] = (table.index == training.best_epoch).astype(int)
    with replacing(path) as temporary:
        table.to_csv(temporary, sep="\t", index=False)


@contextmanager
def _alone_in(checkpoint_dir: Path) -> Iterator[None]:
    """Hold the folder's lock: a killed Snakemake may leave a training behind that goes on writing."""
    checkpoint_dir.mkdir(parents=True, exist_ok=True)
    with (checkpoint_dir / "lock").open("w") as lock:
        try:
            rank_zero_only(fcntl.flock)(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise InputError(
                f"{checkpoint_dir}: another training still writes its checkpoints there; wait for it or end it."
            ) from error
        yield

"""Train one f-AnoGAN."""

from pathlib import Path
from typing import TYPE_CHECKING

from stfpm3d.learning.checkpoints import checkpoint_folder, checkpoints_beside
from stfpm3d.learning.compute import Compute
from stfpm3d.learning.fanogan import FanoganSettings, train_fanogan
from stfpm3d.runtime.logs import rule_log

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

folder = checkpoints_beside(snakemake.output["model"])
with (
    rule_log(snakemake.log[0]),
    checkpoint_folder(folder, dict(snakemake.params.items()), snakemake.input) as checkpoints,
):
    train_fanogan(
        [Path(path) for path in snakemake.input["train"]],
        [Path(path) for path in snakemake.input["val"]],
        Path(snakemake.output["model"]),
        Path(snakemake.output["gan_epochs"]),
        Path(snakemake.output["epochs"]),
        checkpoints,
        FanoganSettings(**snakemake.params["settings"]),
        Compute(**snakemake.params["compute"]),
    )

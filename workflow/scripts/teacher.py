"""Train one teacher."""

from pathlib import Path
from typing import TYPE_CHECKING

from stfpm3d.learning.checkpoints import checkpoint_folder, checkpoints_beside
from stfpm3d.learning.compute import Compute
from stfpm3d.learning.teacher import TeacherSettings, train_teacher
from stfpm3d.runtime.logs import rule_log

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

folder = checkpoints_beside(snakemake.output["model"])
with (
    rule_log(snakemake.log[0]),
    checkpoint_folder(folder, dict(snakemake.params.items()), snakemake.input) as checkpoints,
):
    train_teacher(
        [Path(path) for path in snakemake.input["train"]],
        [Path(path) for path in snakemake.input["val"]],
        snakemake.params["train_subjects"],
        snakemake.params["val_subjects"],
        Path(snakemake.input["brain_mask"]),
        Path(snakemake.output["model"]),
        Path(snakemake.output["epochs"]),
        checkpoints,
        TeacherSettings(**snakemake.params["settings"]),
        Compute(**snakemake.params["compute"]),
        weights=Path(snakemake.input["weights"]) if snakemake.input.get("weights") else None,
        atlas=Path(snakemake.input["atlas"]) if snakemake.input.get("atlas") else None,
    )

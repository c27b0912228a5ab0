"""Train one student."""

from pathlib import Path
from typing import TYPE_CHECKING

from stfpm3d.learning.checkpoints import checkpoint_folder, checkpoints_beside
from stfpm3d.learning.compute import Compute
from stfpm3d.learning.student import StudentSettings, train_student
from stfpm3d.runtime.logs import rule_log

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

folder = checkpoints_beside(snakemake.output["model"])
with (
    rule_log(snakemake.log[0]),
    checkpoint_folder(folder, dict(snakemake.params.items()), snakemake.input) as checkpoints,
):
    given = snakemake.input
    train_student(
        [Path(path) for path in given["train"]],
        [Path(path) for path in given["val"]],
        snakemake.params["val_is_patient"],
        Path(given["brain_mask"]),
        Path(given["grid"]),
        Path(given["teacher"]),
        Path(snakemake.output["model"]),
        Path(snakemake.output["initial"]),
        Path(snakemake.output["epochs"]),
        checkpoints,
        StudentSettings(**snakemake.params["settings"]),
        Compute(**snakemake.params["compute"]),
        atlas=Path(given["atlas"]) if given.get("atlas") else None,
        train_supports=[Path(path) for path in given.get("train_supports", [])],
        landmarks=Path(given["landmarks"]) if given.get("landmarks") else None,
    )

"""Train one segmenter."""

from pathlib import Path
from typing import TYPE_CHECKING

from stfpm3d.learning.checkpoints import checkpoint_folder, checkpoints_beside
from stfpm3d.learning.compute import Compute
from stfpm3d.learning.segmenter import SegmenterSettings, train_segmenter
from stfpm3d.runtime.logs import rule_log

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

folder = checkpoints_beside(snakemake.output["model"])
with (
    rule_log(snakemake.log[0]),
    checkpoint_folder(folder, dict(snakemake.params.items()), snakemake.input) as checkpoints,
):
    given = snakemake.input
    train_segmenter(
        ([Path(path) for path in given["train"]], [Path(path) for path in given["train_supports"]]),
        ([Path(path) for path in given["val"]], [Path(path) for path in given["val_supports"]]),
        Path(given["brain_mask"]),
        Path(given["grid"]),
        Path(given["landmarks"]),
        Path(snakemake.output["model"]),
        Path(snakemake.output["epochs"]),
        checkpoints,
        SegmenterSettings(**snakemake.params["settings"]),
        Compute(**snakemake.params["compute"]),
        weights=Path(given["weights"]) if given.get("weights") else None,
    )

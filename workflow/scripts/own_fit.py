"""Let a method of the user's learn."""

from pathlib import Path
from typing import TYPE_CHECKING

from stfpm3d.learning.checkpoints import checkpoint_folder, checkpoints_beside
from stfpm3d.maps.foreign import fit_own
from stfpm3d.runtime.logs import rule_log

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

given, output = snakemake.input, snakemake.output["fitted"]
folder = checkpoints_beside(output)
with rule_log(snakemake.log[0]), checkpoint_folder(folder, dict(snakemake.params.items()), given) as resume:
    scans = list(zip(given["images"], given["supports"], strict=True))
    fit_own(dict(given.items()), scans, output, Path(resume), **snakemake.params["settings"])

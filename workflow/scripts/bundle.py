"""Make the bundle of one experiment."""

from pathlib import Path
from typing import TYPE_CHECKING

from stfpm3d.prediction.making import make_bundle
from stfpm3d.runtime.files import read_table
from stfpm3d.runtime.logs import rule_log

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with rule_log(snakemake.log[0]):
    given, params = snakemake.input, snakemake.params
    make_bundle(
        Path(snakemake.output["description"]).parent,
        {role: given[role] for role in params["roles"]},
        validation=list(zip(given["images"], given["supports"], strict=True)),
        scores=read_table(given["scores"]),
        metrics=read_table(given["metrics"]),
        card_template=given["card"],
        notes=given.get("notes"),
        **{name: params[name] for name in ("settings", "config", "participants", "made_by", "development")},
    )

"""Gather what was predicted: a table, a page, and the files of the data set."""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from stfpm3d.prediction.clone_models import name_in_clone
from stfpm3d.prediction.data_set import links, read_own_bundle
from stfpm3d.prediction.derivatives import write_dataset
from stfpm3d.prediction.gathering import gather
from stfpm3d.prediction.page import CARD, write_predictions_page
from stfpm3d.runtime.files import replacing, write_table
from stfpm3d.runtime.logs import rule_log

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with rule_log(snakemake.log[0]):
    given, output = snakemake.input, snakemake.output
    out = Path(output["table"]).parent
    bundle = read_own_bundle(out, snakemake.params["bundle"])
    description = bundle.description
    rows = gather(given["statuses"])
    write_dataset(out, links(out), description)
    write_table(output["table"], rows)
    with replacing(out / CARD) as temporary:
        shutil.copyfile(bundle.files["MODEL_CARD"], temporary)
    model = name_in_clone(snakemake.params["bundle"])
    write_predictions_page(output["page"], given["template"], rows, out, description, model=model)

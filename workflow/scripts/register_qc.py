"""Show how well the scans were registered."""

from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from stfpm3d.imaging.template import Template
from stfpm3d.imaging.volumes import load_mask, load_volume
from stfpm3d.reporting.quality import write_quality
from stfpm3d.runtime.logs import rule_log

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with rule_log(snakemake.log[0]):
    given, output = snakemake.input, snakemake.output
    scans = pd.DataFrame(snakemake.params["scans"])
    scans = scans.assign(image=given["images"], placement=given["placements"])
    head, brain = load_volume(given["head"], "template"), load_volume(given["brain"], "template")
    write_quality(
        scans,
        Template(head, brain, load_mask(given["brain_mask"], "template")),
        space=snakemake.params["space"],
        page_template=given["page_template"],
        page=output["page"],
        table=output["table"],
        pictures=Path(output["pictures"]),
        report=snakemake.params["report"],
    )

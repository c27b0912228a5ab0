"""Fit the Nyúl landmarks on training scans."""

from typing import TYPE_CHECKING

import pandas as pd

from stfpm3d.imaging.landmarks import fit_landmarks
from stfpm3d.imaging.standardize import PERCENTILES
from stfpm3d.runtime.files import replacing
from stfpm3d.runtime.logs import rule_log

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with rule_log(snakemake.log[0]) as log:
    values = fit_landmarks(snakemake.input["images"], snakemake.input["masks"])
    with replacing(snakemake.output["landmarks"]) as temporary:
        pd.DataFrame({"percentile": PERCENTILES, "landmark": values}).to_csv(temporary, sep="\t", index=False)
    log.info("landmarks of %d training scans: %s", len(snakemake.input["images"]), values.round(2))

"""Test whether histograms of intensity tell patients from healthy scans."""

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from stfpm3d.evaluation.protocol import metric_table
from stfpm3d.imaging.standardize import read_landmarks
from stfpm3d.imaging.volumes import load_mask, load_volume
from stfpm3d.probes.histogram import histogram_rows, intensity_histogram
from stfpm3d.runtime.files import write_table
from stfpm3d.runtime.logs import progress, rule_log

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with rule_log(snakemake.log[0]):
    given = snakemake.input
    histograms = []
    if given["landmarks"]:
        landmarks = read_landmarks(given["landmarks"])
        files = list(zip(given["images"], given["supports"], given["lesion_masks"], strict=True))
        for image, support, lesion in progress(files, "histograms"):
            scan = intensity_histogram(load_volume(image), load_mask(support), load_mask(lesion), landmarks, image)
            histograms.append(scan)
    rows = histogram_rows(pd.DataFrame(snakemake.params["scans"]), np.array(histograms))
    write_table(snakemake.output["metrics"], metric_table("histogram", "probes", rows))

"""Does a threshold hold at a site that had no say in it? Nothing is trained again: networks know all sites."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd

from stfpm3d.evaluation.intervals import Estimate
from stfpm3d.evaluation.protocol import Row
from stfpm3d.evaluation.voxels import read_voxels
from stfpm3d.evaluation.voxelwise import quantile_threshold
from stfpm3d.imaging.ranking import BINS, Histogram
from stfpm3d.imaging.volumes import Volume

SITE_COLUMNS = ["experiment", "site", "fpr", "n_healthy_val_others", "n_healthy_test"]


def site_rates(scans: pd.DataFrame, brain_mask: Volume, healthy_quantile: float) -> pd.DataFrame:
    """Each site's false-positive rate at the threshold that the other sites' healthy validation scans set.

    It is the share of the site's healthy test scans' brain voxels at or above that threshold.

    Parameters
    ----------
    scans
        One row a healthy scan: `participant_id`, `group`, `split` (val or test), `site`, `map` (path, MNI grid).
    brain_mask
        The template's brain mask on the MNI grid.
    healthy_quantile
        Share of these validation voxels below the threshold.

    Returns
    -------
    Columns `SITE_COLUMNS` without the experiment, one row a site with a test scan; `fpr` is NaN where no other site has
    a validation scan.
    """
    parts = {split: scans[scans["split"] == split] for split in ("val", "test")}

    @cache
    def voxels(site: str, split: str) -> Histogram:
        """Histogram of the brain voxels of one site's scans of one part."""
        rows = parts[split]
        scanned = read_voxels(rows[rows["site"] == site].assign(lesion_mask=None), brain_mask)
        return sum((scan.normal for scan in scanned), start=np.zeros(BINS, dtype=np.int64))

    counts = {split: rows["site"].value_counts(sort=False) for split, rows in parts.items()}
    rows = []
    for site, n_test in counts["test"].items():
        others = counts["val"].drop(site, errors="ignore")
        rate = np.nan
        if len(others):
            reference = np.sum([voxels(other, "val") for other in others.index], axis=0)
            threshold = quantile_threshold(reference, healthy_quantile)
            rate = voxels(site, "test")[threshold:].sum() / voxels(site, "test").sum()
        rows.append({"site": site, "fpr": rate, "n_healthy_val_others": others.sum(), "n_healthy_test": n_test})
    return pd.DataFrame(rows, columns=SITE_COLUMNS[1:])


def site_row(rates: pd.DataFrame) -> Row:
    """`probe_site_fpr`, the worst site's rate; NaN with one site. It counts the test scans of all sites with a rate."""
    known = rates.dropna(subset="fpr")
    return Row("test", "probe_site_fpr", Estimate(float(known["fpr"].max())), int(known["n_healthy_test"].sum()), 0)

"""The shortcut, measured: do scores tell patients from healthy scans where there is no lesion to be seen?

Each probe is a pair of rows of the metrics table (protocol `probes`), an AUROC and its permutation p. It fires when
the groups differ by something else than lesions: scanner, site, preparation, but also mass effect or atrophy, so it
is never proof of a shortcut. Figures within patients and between sites stand beside.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.stats import PermutationMethod, mannwhitneyu

from stfpm3d.evaluation import imagewise
from stfpm3d.evaluation.intervals import Estimate
from stfpm3d.evaluation.protocol import Row
from stfpm3d.probes.regions import MIN_SUBJECTS
from stfpm3d.probes.removed import DISTANCES_MM

FIRES_FROM = 0.70
"""AUROC from which on a probe fires, if its p is below `ALPHA`."""
ALPHA = 0.05
PERMUTATIONS = 9999


def fires(auroc: float, p: float) -> bool:
    """Whether a probe fires; never where it is not known (NaN)."""
    return auroc >= FIRES_FROM and p < ALPHA


def separation(metric: str, scans: pd.DataFrame, seed: int = 0) -> list[Row]:
    """How well scores tell patients from healthy subjects, as two rows: the AUROC, and `{metric}_p`.

    p is one-sided, of the permutation test of the groups' labels (Mann-Whitney's U, which is the AUROC times the number
    of pairs). A subject's scans of several sessions become their mean, and the rows count subjects. Below
    `MIN_SUBJECTS` of a group both are NaN.

    Parameters
    ----------
    scans
        One row a scan: `participant_id`, `group` (healthy or patient) and `score`. Rows without a score are left out,
        unless all are.
    """
    scored = scans if scans["score"].isna().all() else scans.dropna(subset="score")
    subjects = scored.groupby(["participant_id", "group"])["score"].mean().reset_index()
    healthy, patients = (subjects.loc[subjects["group"] == group, "score"] for group in ("healthy", "patient"))
    found, p = Estimate(np.nan), np.nan
    if min(len(healthy), len(patients)) >= MIN_SUBJECTS and imagewise.is_measurable(subjects):
        found = imagewise.estimates(subjects)["image_auroc"]
        method = PermutationMethod(n_resamples=PERMUTATIONS, batch=1000, rng=np.random.default_rng(seed))
        p = float(mannwhitneyu(patients, healthy, alternative="greater", method=method).pvalue)
    return probe_pair(metric, found, p, len(healthy), len(patients))


def removed_rows(scans: pd.DataFrame) -> list[Row]:
    """The probes `probe_removed_6mm` and so on of one experiment.

    Parameters
    ----------
    scans
        One row a copy that lost its lesion: `participant_id`, `group`, and the scores of `distant.distant_scores`,
        absent where no copy was made.
    """
    names = {f"probe_removed_{far}mm": f"score_{far}mm" for far in DISTANCES_MM}
    scans = scans.reindex(columns=["participant_id", "group", *names.values()])
    return [row for metric, score in names.items() for row in separation(metric, scans.assign(score=scans[score]))]


def probe_pair(metric: str, auroc: Estimate, p: float, n_healthy: int, n_patient: int) -> list[Row]:
    """The two rows of a probe that may fire."""
    return [
        Row("test", metric, auroc, n_healthy, n_patient),
        Row("test", f"{metric}_p", Estimate(p), n_healthy, n_patient),
    ]

"""The probe that needs no experiment: do intensities outside the lesions tell patients from healthy scans?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import rankdata
from sklearn.linear_model import Ridge
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from stfpm3d.evaluation import imagewise
from stfpm3d.evaluation.intervals import Estimate
from stfpm3d.evaluation.protocol import Row
from stfpm3d.imaging.removal import standardized_outside, with_margin
from stfpm3d.imaging.volumes import Volume
from stfpm3d.probes.regions import MIN_SUBJECTS
from stfpm3d.probes.separation import PERMUTATIONS, probe_pair

EDGES_SD = np.linspace(-4, 4, 33)
"""Of the bins, in SDs of the brain; the first and the last also take what lies beyond."""
FOLDS = 5
RIDGE = 10.0
"""Penalty of the classifier, least squares on the standardized bins: they are about as many as the subjects."""

Fold = tuple[NDArray[np.intp], NDArray[np.intp]]


def intensity_histogram(
    stripped: Volume, support: Volume, lesion: Volume, landmarks: NDArray[np.float64], subject: str = ""
) -> NDArray[np.float64]:
    """Square roots of the shares (bins,) of a scan's intensities, standardized without the lesion and its margin."""
    region = with_margin(lesion)
    values = standardized_outside(stripped, support, region, landmarks, subject).data[support.data & ~region.data]
    counts, _ = np.histogram(np.clip(values, EDGES_SD[0], EDGES_SD[-1]), EDGES_SD)
    return np.sqrt(counts / counts.sum())


def histogram_rows(scans: pd.DataFrame, histograms: NDArray[np.float64], *, seed: int = 0) -> list[Row]:
    """The probe `probe_histogram`: the AUROC of a linear classifier's scores of subjects that it was not fitted on.

    p is the share of permuted labels with which the same cross-validation reaches as much. Labels are permuted within
    the folds, in which the groups have the same shares. The interval draws the subjects' scores again. Below
    `MIN_SUBJECTS` of a group all are NaN.

    Parameters
    ----------
    scans
        One row a scan: `participant_id` and `group` (healthy or patient). Several scans of a subject become their mean.
    histograms
        One row a scan (scans, bins); none where the groups are too small.
    """
    subjects = scans.drop_duplicates("participant_id")[["participant_id", "group"]]
    is_patient = (subjects["group"] == "patient").to_numpy()
    n_healthy, n_patient = int((~is_patient).sum()), int(is_patient.sum())
    if min(n_healthy, n_patient) < MIN_SUBJECTS:
        return probe_pair("probe_histogram", Estimate(np.nan), np.nan, n_healthy, n_patient)
    means = pd.DataFrame(histograms).groupby(scans["participant_id"].to_numpy()).mean()
    features = means.loc[subjects["participant_id"]].to_numpy()
    folds = list(StratifiedKFold(FOLDS, shuffle=True, random_state=seed).split(features, is_patient))
    labels = np.tile(is_patient[:, None], 1 + PERMUTATIONS)  # the first column stays as it is
    rng = np.random.default_rng(seed)
    for _, fold in folds:
        labels[fold, 1:] = rng.permuted(labels[fold, 1:], axis=0)
    scores = out_of_fold(features, labels, folds)
    found = imagewise.estimates(subjects.assign(score=scores[:, 0]))["image_auroc"]
    rank_sums = (rankdata(scores, axis=0) * labels).sum(axis=0)  # AUROC grows with the patients' sum of ranks
    p = float((rank_sums >= rank_sums[0]).mean())
    return probe_pair("probe_histogram", found, p, n_healthy, n_patient)


def out_of_fold(features: NDArray[np.float64], labels: NDArray[np.bool_], folds: Sequence[Fold]) -> NDArray[np.float64]:
    """Each subject's score (subjects, labellings) from the fit of each labelling on the other folds' subjects."""
    classifier = make_pipeline(StandardScaler(), Ridge(RIDGE))
    return np.asarray(cross_val_predict(classifier, features, labels.astype(float), cv=folds))

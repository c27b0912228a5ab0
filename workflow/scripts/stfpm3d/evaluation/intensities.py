"""The probe that needs no experiment: do intensities outside the lesions tell patients from healthy scans?"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import StratifiedKFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from stfpm3d.evaluation import imagewise
from stfpm3d.evaluation.intervals import Estimate
from stfpm3d.evaluation.probes import probe_pair
from stfpm3d.evaluation.protocol import Row
from stfpm3d.imaging.removal import standardized_outside, with_margin
from stfpm3d.imaging.volumes import Volume
from stfpm3d.study.regions import MIN_SUBJECTS

EDGES_SD = np.linspace(-4, 4, 33)
"""Of the bins, in SDs of the brain; the first and the last also take what lies beyond."""
FOLDS = 5
REFITS = 999
"""Permutations of the labels; the classifier is fitted anew in each."""


def intensity_histogram(
    stripped: Volume, support: Volume, lesion: Volume, landmarks: NDArray[np.float64], subject: str = ""
) -> NDArray[np.float64]:
    """Square roots of the shares (bins,) of a scan's intensities, standardized without the lesion and its margin."""
    region = with_margin(lesion)
    values = standardized_outside(stripped, support, region, landmarks, subject).data[support.data & ~region.data]
    counts, _ = np.histogram(np.clip(values, EDGES_SD[0], EDGES_SD[-1]), EDGES_SD)
    return np.sqrt(counts / counts.sum())


def histogram_rows(scans: pd.DataFrame, histograms: NDArray[np.float64], *, seed: int = 0) -> list[Row]:
    """The probe `probe_histogram`: the AUROC of a logistic regression's scores of subjects that it was not fitted on.

    Its p is the share of permuted labels with which the same cross-validation reaches as much; its interval draws the
    subjects' scores again. Below `MIN_SUBJECTS` of a group all are NaN.

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
    scores = out_of_fold(features, is_patient)
    found = imagewise.estimates(subjects.assign(score=scores))["image_auroc"]
    rng = np.random.default_rng(seed)
    permuted = (rng.permutation(is_patient) for _ in range(REFITS))
    reached = [roc_auc_score(labels, out_of_fold(features, labels)) >= found.value for labels in permuted]
    return probe_pair("probe_histogram", found, (1 + sum(map(bool, reached))) / (1 + REFITS), n_healthy, n_patient)


def out_of_fold(features: NDArray[np.float64], is_patient: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Each subject's score from the fit on the other folds' subjects."""
    classifier = make_pipeline(StandardScaler(), LogisticRegression(C=0.1, max_iter=1000))
    folds = StratifiedKFold(FOLDS, shuffle=True, random_state=0)
    return np.asarray(cross_val_predict(classifier, features, is_patient, cv=folds, method="decision_function"))

"""All experiments in one table, and each one's average precision per patient against a reference experiment's.

That comparison, in pairs, is the primary endpoint. Everything else in the tables is descriptive, so the
correction for many comparisons is over these alone.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.stats import permutation_test

from stfpm3d.evaluation.intervals import mean_estimate
from stfpm3d.runtime.errors import InputError

COMPARISON_COLUMNS = ["experiment", "reference", "difference", "ci_low", "ci_high", "p", "p_holm", "n_patient"]
MIN_PATIENTS = 6  # with five pairs no two-sided p reaches 0.05
EXACT_PATIENTS = 15  # all sign flips are tried up to here
FLIPS = 10_000


def compare_metrics(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """All experiments' metrics in one table.

    Raises
    ------
    InputError
        When two experiments' numbers stand on different scans: they could not be compared.
    """
    table = pd.concat(tables, ignore_index=True)
    measured = table[(table[["n_healthy", "n_patient"]] > 0).any(axis=1)]  # a segmentation's threshold is on no scan
    counts = measured.groupby(["protocol", "split", "metric"])[["n_healthy", "n_patient"]].nunique().max(axis=1)
    if (counts > 1).any():
        _, split, metric = counts.idxmax()  # pyright: ignore[reportGeneralTypeIssues]
        raise InputError(
            f"{metric} on the {split} split stands on different numbers of scans in different experiments; "
            "evaluate all of them on the same cohort."
        )
    return table


def compare_patients(patients: pd.DataFrame, reference: str) -> pd.DataFrame:
    """Test whether experiments differ from a reference in their average precision per patient.

    Parameters
    ----------
    patients
        The tables of test patients of all experiments: `experiment`, `participant_id` and `patient_ap`. A patient's
        scans of several sessions become their mean.
    reference
        Name of the experiment that all others are compared with.

    Returns
    -------
    Columns `COMPARISON_COLUMNS`, one row for each other experiment: the mean difference to the reference with its
    bootstrap interval, the p of a two-sided paired sign-flip permutation test, and p after Holm; NaN below
    `MIN_PATIENTS`.
    """
    table = patients.pivot_table(index="participant_id", columns="experiment", values="patient_ap")
    rows = []
    for experiment in patients["experiment"].unique():
        if experiment != reference:
            difference = table[experiment] - table[reference]
            found = mean_estimate(difference, difference.index.tolist())
            ends = {"ci_low": found.ci_low, "ci_high": found.ci_high}
            p = sign_flip_p(difference)
            rows.append({"experiment": experiment, "difference": found.value, **ends, "p": p, "n_patient": len(table)})
    compared = pd.DataFrame(rows, columns=[name for name in COMPARISON_COLUMNS if name != "p_holm"])
    return compared.assign(reference=reference, p_holm=holm(compared["p"]))[COMPARISON_COLUMNS]


def sign_flip_p(differences: ArrayLike, seed: int = 0) -> float:
    """Two-sided p that paired differences have mean zero, by flipping their signs.

    All flips up to `EXACT_PATIENTS` pairs, else `FLIPS` random ones; NaN below `MIN_PATIENTS` pairs.
    """
    values = np.asarray(differences, dtype=float)
    if values.size < MIN_PATIENTS:
        return np.nan
    flips = 2**values.size if values.size <= EXACT_PATIENTS else FLIPS
    rng = np.random.default_rng(seed)
    result = permutation_test((values,), np.mean, permutation_type="samples", n_resamples=flips, batch=1000, rng=rng)
    return float(result.pvalue)


def holm(p_values: Sequence[float] | pd.Series) -> NDArray[np.float64]:
    """The p values after Holm's step-down correction (Holm 1979); NaN stays and counts for nothing."""
    values = np.asarray(p_values, dtype=float)
    order = np.argsort(values)[: np.count_nonzero(~np.isnan(values))]
    corrected = np.full(values.shape, np.nan)
    corrected[order] = np.minimum(np.maximum.accumulate(values[order] * np.arange(len(order), 0, -1)), 1)
    return corrected

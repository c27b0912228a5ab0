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

COMPARISON_COLUMNS = ["experiment", "reference", "difference", "ci_low", "ci_high", "p", "p_holm", "p_holm_floor"]
COMPARISON_COLUMNS += ["n_patient"]
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
        The tables of test patients of the experiments to compare: `experiment`, `participant_id` and `patient_ap`. A
        patient's scans of several sessions become their mean.
    reference
        Name of the experiment that all others are compared with.

    Returns
    -------
    Columns `COMPARISON_COLUMNS`, one row for each other experiment: the mean difference to the reference with its
    bootstrap interval, the p of a two-sided paired sign-flip permutation test, p after Holm, and the smallest p after
    Holm that these patients and comparisons can give: where that is not below 0.05, nothing can be shown.
    """
    table = patients.pivot_table(index="participant_id", columns="experiment", values="patient_ap")
    rows = []
    for experiment in patients["experiment"].unique():
        if experiment != reference:
            difference = table[experiment] - table[reference]
            found = mean_estimate(difference, difference.index.tolist())
            row = {
                "experiment": experiment,
                "difference": found.value,
                "ci_low": found.ci_low,
                "ci_high": found.ci_high,
            }
            rows.append({**row, "p": sign_flip_p(difference), "p_floor": least_p(difference), "n_patient": len(table)})
    compared = pd.DataFrame(
        rows, columns=["experiment", "difference", "ci_low", "ci_high", "p", "p_floor", "n_patient"]
    )
    corrected = {"p_holm": holm(compared["p"]), "p_holm_floor": holm(compared["p_floor"])}
    return compared.assign(reference=reference, **corrected)[COMPARISON_COLUMNS]


def sign_flip_p(differences: ArrayLike, seed: int = 0) -> float:
    """Two-sided p that paired differences have mean zero, by flipping their signs.

    All flips up to `EXACT_PATIENTS` differences that are not 0, else `FLIPS` random ones. A difference of exactly 0 has
    no sign to flip and says nothing.
    """
    values = np.asarray(differences, dtype=float)
    values = values[values != 0]
    if values.size < 2:
        return 1.0
    flips = 2**values.size if values.size <= EXACT_PATIENTS else FLIPS
    rng = np.random.default_rng(seed)
    result = permutation_test((values,), np.mean, permutation_type="samples", n_resamples=flips, batch=1000, rng=rng)
    return float(result.pvalue)


def least_p(differences: ArrayLike) -> float:
    """The smallest p that `sign_flip_p` gives of differences of these sizes: when all have one sign.

    Of the 2^n flips of the n differences that are not 0, two are as extreme then: all signs kept, and all changed. With
    random flips the observed signs count as one more flip.
    """
    n = np.count_nonzero(differences)
    return min(1.0, 2 / (2**n if n <= EXACT_PATIENTS else FLIPS + 1))


def holm(p_values: Sequence[float] | pd.Series) -> NDArray[np.float64]:
    """The p values after Holm's step-down correction (Holm 1979).

    None of them falls when one of the p values rises: of the smallest possible p values they are the smallest possible.
    """
    values = np.asarray(p_values, dtype=float)
    order = np.argsort(values)
    corrected = np.empty(values.shape)
    corrected[order] = np.minimum(np.maximum.accumulate(values[order] * np.arange(len(order), 0, -1)), 1)
    return corrected

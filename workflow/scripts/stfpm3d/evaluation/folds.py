"""What a cross-validation says of an experiment: the mean of every number over the folds, and its SD."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

FOLD_COLUMNS = ["experiment", "protocol", "split", "metric", "mean", "sd", "n_fold", "n_healthy", "n_patient"]
NUMBER = ["experiment", "protocol", "split", "metric"]


def summarise_folds(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Mean and SD (n - 1) over the folds' tables of metrics (columns `experiment.METRIC_COLUMNS`).

    Returns
    -------
    Columns `FOLD_COLUMNS`, in the order of the first table: `n_fold` counts the folds in which a number was available,
    `n_healthy` and `n_patient` add up the scans behind it in these folds. The folds' trainings share scans, so that the
    SD is no standard error.
    """
    known = pd.concat(tables, ignore_index=True).astype({"value": float})
    known.loc[known["value"].isna(), ["n_healthy", "n_patient"]] = 0
    summary = known.groupby(NUMBER, sort=False).agg(
        mean=("value", "mean"),
        sd=("value", "std"),
        n_fold=("value", "count"),
        n_healthy=("n_healthy", "sum"),
        n_patient=("n_patient", "sum"),
    )
    return summary.reset_index()[FOLD_COLUMNS]

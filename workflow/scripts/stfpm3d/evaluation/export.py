"""The tables of results as JSON, for programs that do not read tables."""

from __future__ import annotations

import json

import pandas as pd

KEYS = ["experiment", "protocol", "split", "metric"]


def results_json(metrics: pd.DataFrame, comparisons: pd.DataFrame) -> str:
    """The metrics table nested as `metrics[experiment][protocol][split][metric]`, each with its `value`, `ci_low`,
    `ci_high`, `n_healthy` and `n_patient`, beside the list of `comparisons`.

    Strict JSON (RFC 8259), which has no NaN: what is not available is null.
    """
    nested: dict[str, dict] = {}
    for row in _records(metrics):
        experiment, protocol, split, metric = (row.pop(key) for key in KEYS)
        nested.setdefault(experiment, {}).setdefault(protocol, {}).setdefault(split, {})[metric] = row
    return json.dumps({"metrics": nested, "comparisons": _records(comparisons)}, indent=1, allow_nan=False) + "\n"


def _records(table: pd.DataFrame) -> list[dict]:
    """The rows in plain types, None for NaN."""
    return table.astype(object).where(table.notna(), None).to_dict("records")

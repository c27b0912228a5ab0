"""The record of a bundle: what its experiment reached on the test scans of its run."""

from __future__ import annotations

from typing import Any

import pandas as pd

from stfpm3d.reporting.findings import Findings
from stfpm3d.reporting.trust import verdict

MEASURED = ("voxel_auprc", "prevalence", "dice", "lesion_recall", "healthy_fp_ml", "patient_fp_ml")


def record_of(metrics: pd.DataFrame, experiment: str) -> dict[str, Any]:
    """A `description.Record` of an experiment.

    Parameters
    ----------
    metrics
        The table of all metrics.
    """
    findings = Findings(metrics)
    values = {name: findings.value(experiment, name) for name in MEASURED if experiment in findings.with_metric(name)}
    counts = {
        f"n_{group}": findings.count(experiment, name, group)
        for name, group in (("healthy_fp_ml", "healthy"), ("voxel_auprc", "patient"))
        if experiment in findings.with_metric(name)
    }
    has_scores = experiment in findings.with_metric("image_auroc")
    return {
        **dict.fromkeys(MEASURED),
        **{name: value for name, value in values.items() if pd.notna(value)},
        **{"n_healthy": 0, "n_patient": 0, **counts},
        "image_score": verdict(metrics, experiment).level if has_scores else "unknown",
    }

"""The report's first screen: what was found, how sure it is, and what the image score is worth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from stfpm3d.reporting.findings import Findings, factor, listed, number

BASELINES = ("intensity", "zscore", "padim", "fanogan")  # methods


class Standing(NamedTuple):
    """One voxel AUPRC on the first screen, with its 95 % interval; NaN where it has none."""

    experiment: str
    role: str
    value: float
    low: float
    high: float


class Comparison(NamedTuple):
    """By how much the experiment shown exceeds another in average precision per patient."""

    experiment: str
    difference: float
    ci_low: float
    ci_high: float
    p_holm: float


class Summary(NamedTuple):
    """What the first screen says of the experiment shown."""

    headline: str
    lead: str
    """Which of the others do as well; empty where nothing can be compared."""
    standings: Sequence[Standing]
    """Its voxel AUPRC, the best baseline's and that of its own initial weights; empty where it has none."""
    top: float
    """The highest number among them and their intervals, and the prevalence."""
    n_lesion: int
    n_detected: int
    comparisons: Sequence[Comparison]
    """It against the baselines and its own initial weights, as far as they were tested against each other."""
    n_compared: int
    """Patients behind the comparisons."""


def summarize(
    findings: Findings,
    patients: pd.DataFrame,
    comparisons: pd.DataFrame,
    *,
    shown: str,
    experiments: Mapping[str, Mapping[str, Any]],
    untrained: str | None,
) -> Summary:
    """Gather the first screen.

    Parameters
    ----------
    findings
        The strict protocol's numbers.
    patients, comparisons
        Tables of all experiments (`evaluation.experiment`, `evaluation.comparison`).
    shown
        The experiment that is summed up.
    experiments
        The `method` of each experiment, and by what it is `segmented_by`; then it is no baseline.
    untrained
        The experiment with the initial weights of `shown`, if there is one.
    """
    own = patients[patients["experiment"] == shown]
    n_lesion, n_detected = (int(own[name].sum()) for name in ("n_lesion", "n_detected"))
    baselines = [
        name
        for name, row in experiments.items()
        if row["method"] in BASELINES and not row["segmented_by"] and name != shown
    ]
    others = baselines + ([untrained] if untrained else [])
    standings = _standings(findings, shown, baselines, untrained)
    drawn = [*(end for row in standings for end in (row.value, row.high)), findings.value(shown, "prevalence")]
    compared = _compared(comparisons, shown, others)
    return Summary(
        headline=_headline(findings, shown, n_lesion, n_detected),
        lead=_lead(findings, shown, others),
        standings=standings,
        top=float(np.nanmax(drawn)) if standings else np.nan,
        n_lesion=n_lesion,
        n_detected=n_detected,
        comparisons=compared,
        n_compared=int(comparisons["n_patient"].max()) if compared else 0,
    )


def _headline(findings: Findings, shown: str, n_lesion: int, n_detected: int) -> str:
    auprc = findings.value(shown, "voxel_auprc")
    if np.isnan(auprc):
        missing = "lesion mask" if findings.count(shown, "image_auroc", "patient") else "patient"
        return f"{shown}: no {missing} to measure against"
    times = f"voxel AUPRC is {factor(auprc / findings.value(shown, 'prevalence'))} times chance"
    return f"{shown} finds {n_detected} of {n_lesion} lesions; its {times}" if n_lesion else f"{shown}: its {times}"


def _lead(findings: Findings, shown: str, others: Sequence[str]) -> str:
    auprc = findings.value(shown, "voxel_auprc")
    known = {name: findings.value(name, "voxel_auprc") for name in others}
    known = {name: value for name, value in known.items() if not np.isnan(value)}
    if np.isnan(auprc) or not known:
        return ""
    ahead = [f"{name} ({number(value)})" for name, value in known.items() if value >= auprc]
    if ahead:
        return f"By voxel AUPRC, as good or better: {', '.join(ahead)}."
    return f"Its voxel AUPRC is above that of {listed(list(known))}."


def _standings(findings: Findings, shown: str, baselines: Sequence[str], untrained: str | None) -> list[Standing]:
    if np.isnan(findings.value(shown, "voxel_auprc")):
        return []
    known = [name for name in baselines if not np.isnan(findings.value(name, "voxel_auprc"))]
    best = max(known, key=lambda name: findings.value(name, "voxel_auprc"), default=None)
    roles = {shown: "", best: "best baseline", untrained: "before training"}
    return [
        Standing(name, role, *findings.estimate(name, "voxel_auprc"))
        for name, role in roles.items()
        if name is not None
    ]


def _compared(comparisons: pd.DataFrame, shown: str, others: Sequence[str]) -> list[Comparison]:
    """The tested differences, their sign turned where the experiment shown is the reference."""
    found = []
    for row in comparisons.to_dict("records"):
        if row["reference"] == shown and row["experiment"] in others:
            ends = -row["ci_high"], -row["ci_low"]
            found.append(Comparison(row["experiment"], -row["difference"], *ends, row["p_holm"]))
        elif row["experiment"] == shown and row["reference"] in others:
            ends = row["ci_low"], row["ci_high"]
            found.append(Comparison(row["reference"], row["difference"], *ends, row["p_holm"]))
    return [row for row in found if not np.isnan(row.difference)]

"""The report's first screen: what every row finds, and which differences between rows are shown."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import pandas as pd

from stfpm3d.reporting.findings import Findings, listed

ALPHA = 0.05
"""A p after Holm below it shows a difference."""
LESION_SUMS = ("n_lesion", "n_detected", "n_component")
TESTED = ("difference", "ci_low", "ci_high", "p", "p_holm")


class Row(NamedTuple):
    """What one experiment finds, and how its average precision per patient differs from the reference's.

    Numbers that are not available are NaN; so are all of the test's where none was made.
    """

    experiment: str
    kind: str
    n_lesion: int
    n_detected: int
    n_component: int
    """What it marks in patients; as many of it false as are more than the lesions found."""
    healthy_fp_ml: float
    patient_ap: float
    difference: float
    """Above 0 where this row's average precision is above the reference's: the sign of `comparisons.tsv`."""
    ci_low: float
    ci_high: float
    p: float
    p_holm: float

    @property
    def verdict(self) -> Literal["better", "worse", "not shown", "not tested"]:
        """What the test shows of this row against the reference."""
        if np.isnan(self.p_holm):
            return "not tested"
        if self.p_holm >= ALPHA:
            return "not shown"
        return "better" if self.difference > 0 else "worse"

    @property
    def disagrees(self) -> bool:
        """Whether the interval leaves 0 out and the test rejects nothing."""
        return self.verdict == "not shown" and (self.ci_low > 0 or self.ci_high < 0)


class Summary(NamedTuple):
    """What the first screen says."""

    headline: str
    tested: Sequence[str]
    """What the comparison shows and what it does not, a sentence each."""
    rows: Sequence[Row]
    """Every experiment that is measured inside the brain, in order."""
    reference: str
    """The experiment that the others are compared with."""
    n_compared: int
    """Patients behind the comparisons."""
    published: Sequence[str]
    """The experiments that are the paper's own."""

    @property
    def own(self) -> Row:
        """The row of the experiment shown."""
        return self.rows[0]


def summarize(
    findings: Findings,
    patients: pd.DataFrame,
    comparisons: pd.DataFrame,
    *,
    shown: str,
    experiments: Mapping[str, Mapping[str, Any]],
) -> Summary:
    """Gather the first screen.

    Parameters
    ----------
    findings
        The strict protocol's numbers.
    patients, comparisons
        Tables of all experiments (`evaluation.experiment`, `evaluation.comparison`).
    shown
        The experiment that is summed up; its row comes first.
    experiments
        The `kind` of each experiment (`study.plan`), and by what it is `segmented_by`, or None.
    """
    sums = patients.groupby("experiment")[list(LESION_SUMS)].sum().to_dict("index")
    tests: dict[Hashable, dict[Hashable, Any]] = comparisons.set_index("experiment").to_dict("index")
    order = [shown, *(name for name in findings.experiments if name != shown)]
    rows = [_row(findings, name, experiments[name]["kind"], sums, tests) for name in order]
    reference = str(comparisons["reference"].iloc[0]) if len(comparisons) else shown
    graded = [name for name in order if not experiments[name]["segmented_by"]]
    verdicts = _verdicts([row for row in rows if row.experiment in graded], shown, reference)
    return Summary(
        headline=_headline(findings, rows[0], verdicts),
        tested=_sentences(shown, verdicts),
        rows=rows,
        reference=reference,
        n_compared=int(comparisons["n_patient"].max()) if len(comparisons) else 0,
        published=[row.experiment for row in rows if row.kind == "as published"],
    )


def _row(
    findings: Findings,
    experiment: str,
    kind: str,
    sums: Mapping[Hashable, Mapping[Hashable, Any]],
    tests: Mapping[Hashable, Mapping[Hashable, Any]],
) -> Row:
    n_lesion, n_detected, n_component = (int(sums.get(experiment, {}).get(name, 0)) for name in LESION_SUMS)
    alarms_ml, ap = (findings.value(experiment, name) for name in ("healthy_fp_ml", "patient_ap"))
    difference, low, high, p, p_holm = (float(tests.get(experiment, {}).get(name, np.nan)) for name in TESTED)
    return Row(experiment, kind, n_lesion, n_detected, n_component, alarms_ml, ap, difference, low, high, p, p_holm)


def _verdicts(rows: Sequence[Row], shown: str, reference: str) -> dict[str, list[str]]:
    """The other experiments by what is shown of the one shown against them; without those not tested against it."""
    turned = {"better": "worse", "worse": "better", "not shown": "not shown"}
    found: dict[str, list[str]] = {"better": [], "worse": [], "not shown": []}
    for row in rows:
        if row.verdict == "not tested":
            continue
        if shown == reference:
            found[turned[row.verdict]].append(row.experiment)
        elif row.experiment == shown:
            found[row.verdict].append(reference)
    return found


def _headline(findings: Findings, own: Row, verdicts: Mapping[str, Sequence[str]]) -> str:
    if np.isnan(findings.value(own.experiment, "voxel_auprc")):
        missing = "lesion mask" if findings.count(own.experiment, "image_auroc", "patient") else "patient"
        return f"{own.experiment}: no {missing} to measure against"
    finds = f"{own.experiment} finds {own.n_detected} of {own.n_lesion} lesions"
    if not own.n_lesion:
        finds = f"{own.experiment}: no lesion to be counted"
    better, others = len(verdicts["better"]), sum(map(len, verdicts.values()))
    if not others:
        return f"{finds}; not tested against any other row"
    if not better:
        return f"{finds}; not shown to be better than any other row"
    if better == others:
        return f"{finds}; shown to be better than {'every other row' if others > 1 else verdicts['better'][0]}"
    return f"{finds}; shown to be better than {better} of {others} other rows"


def _sentences(shown: str, verdicts: Mapping[str, Sequence[str]]) -> list[str]:
    texts = {"better": "shown to be better than", "worse": "shown to be worse than"}
    found = [f"{shown} is {text} {listed(verdicts[key])}." for key, text in texts.items() if verdicts[key]]
    if verdicts["not shown"]:
        found.append(f"{shown} is not shown to be better or worse than {listed(verdicts['not shown'], 'or')}.")
    return found

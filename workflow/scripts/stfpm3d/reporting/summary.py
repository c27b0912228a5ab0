"""The report's first screen: what every row finds, and which differences between rows are shown."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
import pandas as pd

from stfpm3d.reporting.findings import Findings, counted, listed

SHOWN_BELOW = 0.05
"""A p after Holm below it shows a difference; where it cannot get below, none can be shown."""
LESION_SUMS = ("n_lesion", "n_detected", "n_component")
TESTED = ("difference", "ci_low", "ci_high", "p", "p_holm", "p_holm_floor")
Verdict = Literal["better", "worse", "not shown", "cannot be shown", "not tested"]


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
    patient_fp_ml: float
    """What is marked outside the lesion of a patient, mean."""
    patient_ap: float
    difference: float
    """Above 0 where this row's average precision is above the reference's: the sign of `comparisons.tsv`."""
    ci_low: float
    ci_high: float
    p: float
    p_holm: float
    p_holm_floor: float
    """The smallest p after Holm that the test could have given."""

    @property
    def verdict(self) -> Verdict:
        """What the test shows of this row against the reference."""
        if np.isnan(self.p_holm):
            return "not tested"
        if self.p_holm < SHOWN_BELOW:
            return "better" if self.difference > 0 else "worse"
        return "not shown" if self.p_holm_floor < SHOWN_BELOW else "cannot be shown"

    @property
    def disagrees(self) -> bool:
        """Whether the interval leaves 0 out and the test rejects nothing."""
        return self.verdict in ("not shown", "cannot be shown") and (self.ci_low > 0 or self.ci_high < 0)


class Summary(NamedTuple):
    """What the first screen says."""

    headline: str
    tested: Sequence[str]
    """What the comparison shows, what it does not and what it cannot, a sentence each."""
    rows: Sequence[Row]
    """Every experiment that is measured inside the brain, in order."""
    reference: str
    """The experiment that the others are compared with."""
    n_compared: int
    """Patients behind the comparisons."""
    p_floors: tuple[float, ...]
    """The smallest p after Holm that the comparisons could have given, without repeats, from the least on."""
    published: Sequence[str]
    """The experiments that are the paper's own."""

    @property
    def compared(self) -> Sequence[Row]:
        """The rows that are tested against the reference."""
        return [row for row in self.rows if row.verdict != "not tested"]

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
        The `kind` of each experiment (`study.plan`).
    """
    sums = patients.groupby("experiment")[list(LESION_SUMS)].sum().to_dict("index")
    tests: dict[Hashable, dict[Hashable, Any]] = comparisons.set_index("experiment").to_dict("index")
    order = [shown, *(name for name in findings.experiments if name != shown)]
    rows = [_row(findings, name, experiments[name]["kind"], sums, tests) for name in order]
    reference = str(comparisons["reference"].iloc[0]) if len(comparisons) else shown
    n_compared = int(comparisons["n_patient"].max()) if len(comparisons) else 0
    verdicts = _verdicts(rows, shown, reference)
    return Summary(
        headline=_headline(findings, rows[0], verdicts, n_compared),
        tested=list(_sentences(shown, verdicts, n_compared)),
        rows=rows,
        reference=reference,
        n_compared=n_compared,
        p_floors=tuple(sorted(set(comparisons["p_holm_floor"]))),
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
    measured = (findings.value(experiment, name) for name in ("healthy_fp_ml", "patient_fp_ml", "patient_ap"))
    tested = (float(tests.get(experiment, {}).get(name, np.nan)) for name in TESTED)
    return Row(experiment, kind, n_lesion, n_detected, n_component, *measured, *tested)


def _verdicts(rows: Sequence[Row], shown: str, reference: str) -> dict[Verdict, list[str]]:
    """The other experiments by what is shown of the one shown against them; without those not tested against it."""
    turned: dict[Verdict, Verdict] = {"better": "worse", "worse": "better"}
    found: dict[Verdict, list[str]] = {name: [] for name in get_args(Verdict)}
    for row in rows:
        verdict = row.verdict
        if verdict == "not tested":
            continue
        if shown == reference:
            found[turned.get(verdict, verdict)].append(row.experiment)
        elif row.experiment == shown:
            found[verdict].append(reference)
    return found


def _headline(findings: Findings, own: Row, verdicts: Mapping[Verdict, Sequence[str]], n_patient: int) -> str:
    if np.isnan(findings.value(own.experiment, "voxel_auprc")):
        missing = "lesion mask" if findings.count(own.experiment, "image_auroc", "patient") else "patient"
        return f"{own.experiment}: no {missing} to measure against"
    finds = f"{own.experiment} finds {own.n_detected} of {own.n_lesion} lesions"
    if not own.n_lesion:
        finds = f"{own.experiment}: no lesion to be counted"
    return f"{finds}; {_outcome(verdicts, n_patient)}"


def _outcome(verdicts: Mapping[Verdict, Sequence[str]], n_patient: int) -> str:
    """What the headline says of the comparison."""
    better, beyond = len(verdicts["better"]), len(verdicts["cannot be shown"])
    others = sum(map(len, verdicts.values()))
    if not others:
        return "not tested against any other row"
    if beyond == others:
        return f"{counted(n_patient, 'patient')} cannot show a difference to any other row"
    if better == others:
        return f"shown to be better than {'every other row' if others > 1 else verdicts['better'][0]}"
    if better:
        return f"shown to be better than {better} of {others} other rows"
    if beyond:
        known = f"the {counted(others - beyond, 'row')} to which {counted(n_patient, 'patient')} can show a difference"
        return f"not shown to be better than {known}"
    return "not shown to be better than any other row"


def _sentences(shown: str, verdicts: Mapping[Verdict, Sequence[str]], n_patient: int) -> Iterator[str]:
    shows: tuple[Verdict, ...] = ("better", "worse")
    for verdict in shows:
        if verdicts[verdict]:
            yield f"{shown} is shown to be {verdict} than {listed(verdicts[verdict])}."
    if verdicts["not shown"]:
        yield f"{shown} is not shown to be better or worse than {listed(verdicts['not shown'], 'or')}."
    if verdicts["cannot be shown"]:
        others = listed(verdicts["cannot be shown"], "or")
        yield f"A difference between {shown} and {others} cannot be shown with {counted(n_patient, 'patient')}."

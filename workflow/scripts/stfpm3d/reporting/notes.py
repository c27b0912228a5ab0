"""How far the report's numbers can be trusted, in sentences."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd

from stfpm3d.evaluation.marks import Marks
from stfpm3d.reporting.findings import Findings, number, p_equals, percent, score, volume
from stfpm3d.reporting.summary import Row
from stfpm3d.reporting.trust import site_warning

LEARNED_FACTOR = 1.3  # a student that gains less over its own initial weights has not learned
RELIABLE_PATIENTS = 10
RIM_MM = 10.0
"""False marks that lie no farther from the crop's faces may be the cut's own."""


class Note(NamedTuple):
    """One sentence on how far the numbers can be trusted."""

    warning: bool
    text: str
    place: Literal["found", "sure", "below"] = "below"
    """Beside what was found, beside how sure it is, or below the first screen."""


def notes(
    metrics: pd.DataFrame,
    shown: str,
    initial: Mapping[str, str],
    healthy_quantile: float,
    cut_share: float,
    excluded: Sequence[str] = (),
    registration: pd.DataFrame | None = None,
    *,
    poles: Mapping[str, float] | None = None,
    rows: Sequence[Row] = (),
    marked: Sequence[Marks] = (),
    rim_share: float = np.nan,
) -> list[Note]:
    """What a reader must know before believing the numbers, warnings first.

    Parameters
    ----------
    metrics
        The metrics table of all experiments.
    shown
        The experiment whose maps the report shows.
    initial
        Each trained experiment's counterpart with the student's initial weights.
    healthy_quantile
        The quantile of healthy validation voxels that is the threshold of Dice and IoU.
    cut_share
        Share of the template's brain outside the network's crop.
    excluded
        The reason of each excluded scan.
    registration
        The table of `quality.write_quality`: every scan's `outlier` and `starts`.
    poles
        What of the brain lies beyond the crop's faces (`imaging.grid.cut_poles`).
    rows
        What every experiment finds, and whether it differs from the one shown (`summary.Summary`); none where that is
        not the reference.
    marked
        What the experiment shown marks in each test scan.
    rim_share
        Share of the template's brain within `RIM_MM` of the crop's faces.
    """
    findings = Findings(metrics)
    tests = {row.experiment: row for row in rows}
    found = []
    for trained, untrained in initial.items():
        note = _learning_note(findings, trained, untrained)
        if trained == shown and untrained in tests:
            note = _tested(note, tests[untrained])
        found.append(note._replace(place="found") if trained == shown else note)
    found += _patients_notes(findings, shown)
    if failing := site_warning(metrics, shown, healthy_quantile):
        found.append(Note(True, failing))
    if registration is not None and (text := _registration_note(registration)):
        found.append(Note(True, text))
    if not findings.count(shown, "image_auroc", "patient", "val"):
        text = "The validation part has no patient: healthy scans alone chose a student's epoch."
        found.append(Note(False, text))
    if excluded:
        reasons = ", ".join(f"{reason} ({count})" for reason, count in Counter(excluded).most_common())
        found.append(Note(False, f"Scans that the participants table excludes: {reasons}."))
    kept = "keeps the whole of the template's brain."
    named = [f"{pole} {percent(share)}" for pole, share in (poles or {}).items() if share >= 0.0005]
    where = f" ({', '.join(named)})" if named else ""
    cut = f"cuts off {percent(cut_share)} of the template's brain{where}; lesions there count as missed."
    found.append(Note(False, f"The network's crop {cut if cut_share >= 0.0005 else kept}"))
    found += _rim_notes(marked, rim_share)
    if (outside := findings.value(shown, "lesion_outside_mask")) >= 0.0005:
        unseen = f"{percent(outside)} of the lesion volume lies outside the template's brain mask"
        found.append(Note(False, f"{unseen}, where nothing is scored."))
    return sorted(found, key=lambda note: not note.warning)


def _registration_note(registration: pd.DataFrame) -> str:
    """How many scans lie on the template unlike the others, or were hard to bring there; empty for none."""
    outliers, hard = int(registration["outlier"].sum()), int((registration["starts"] > 1).sum())
    if not outliers and not hard:
        return ""
    return (
        f"Of {len(registration)} registered scans {outliers} stand{'s' if outliers == 1 else ''} out and {hard}"
        f" {'was' if hard == 1 else 'were'} hard to register: look at their pictures in the page of quality control."
    )


def _rim_notes(marked: Sequence[Marks], rim_share: float) -> list[Note]:
    """How much of what is marked falsely lies along the crop's faces; none where nothing is."""
    false_ml, rim_ml, n_false, n_rim = (
        sum(getattr(scan, name) for scan in marked) for name in ("false_ml", "rim_ml", "n_false", "n_rim")
    )
    if not false_ml:
        return []
    text = (
        f"Of {volume(false_ml)} ml that are marked falsely in the test scans {volume(rim_ml)} ml"
        f" ({percent(rim_ml / false_ml)}; {n_rim} of {n_false} false components) lie within {RIM_MM:.0f} mm of the"
        f" faces of the network's crop, where {percent(rim_share)} of the brain lies."
    )
    if crowded := rim_ml / false_ml > 2 * rim_share:
        text += " The cut itself looks unusual to the network: judge marks along it with care."
    return [Note(bool(crowded), text)]


def _tested(note: Note, test: Row) -> Note:
    """The note on what was learned, with what the comparison with the initial weights shows."""
    if test.verdict == "not shown":
        but = f" By AP per patient a difference is not shown ({p_equals(test.p_holm)})."
        return Note(True, note.text + but, note.place)
    if test.verdict == "cannot be shown":
        but = f" By AP per patient so few patients cannot show a difference (p = {score(test.p_holm_floor)} at best)."
        return Note(True, note.text + but, note.place)
    return note


def _patients_notes(findings: Findings, shown: str) -> list[Note]:
    patients = findings.count(shown, "image_auroc", "patient")
    measured = findings.count(shown, "voxel_auprc", "patient")
    unreliable = f"test patients; below {RELIABLE_PATIENTS} they and their intervals are unreliable."
    if not patients:
        text = "The test part has no patient: AUROC, AUPRC, AP, Dice and IoU are not available."
        return [Note(True, text, "found")]
    if not measured:
        text = f"No lesion can be measured: none of the {patients} test patients has a lesion mask inside the brain; "
        found = [Note(True, text + "the voxel metrics, Dice and IoU are not available.", "found")]
        few = Note(True, f"Image AUROC and AP stand on {patients} {unreliable}", "sure")
        return [*found, few] if patients < RELIABLE_PATIENTS else found
    some = f"The voxel metrics and Dice stand on {f'{measured} of ' if measured < patients else ''}{patients}"
    if measured < RELIABLE_PATIENTS:
        return [Note(True, f"{some} {unreliable} Each patient's own values: below.", "sure")]
    return [Note(False, f"{some} test patients, enough for their intervals.", "sure")]


def _learning_note(findings: Findings, trained: str, untrained: str) -> Note:
    gain = findings.value(trained, "voxel_auprc") / findings.value(untrained, "voxel_auprc")
    if np.isnan(gain):
        return Note(True, f"Whether {trained} has learned cannot be told: no lesion of a test patient is known.")
    if gain < LEARNED_FACTOR:
        return Note(
            True,
            f"Not learned: {trained} reaches {number(gain)} times the voxel AUPRC of its own initial weights "
            f"({untrained}); at least {LEARNED_FACTOR} times is asked for.",
        )
    return Note(
        False, f"{trained} reaches {number(gain)} times the voxel AUPRC of its own initial weights ({untrained})."
    )

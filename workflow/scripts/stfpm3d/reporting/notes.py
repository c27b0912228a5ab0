"""How far the report's numbers can be trusted, in sentences."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd

from stfpm3d.reporting.findings import Findings, percent
from stfpm3d.reporting.trust import site_warning, verdict

LEARNED_FACTOR = 1.3  # a student that gains less over its own initial weights has not learned
RELIABLE_PATIENTS = 10


class Note(NamedTuple):
    """One sentence on how far the numbers can be trusted."""

    warning: bool
    text: str


def notes(
    metrics: pd.DataFrame,
    shown: str,
    initial: Mapping[str, str],
    healthy_quantile: float,
    cut_share: float,
    excluded: Sequence[str] = (),
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
    """
    findings = Findings(metrics)
    found = [_learning_note(findings, trained, untrained) for trained, untrained in initial.items()]
    judged = verdict(metrics, shown)
    found += [Note(judged.level == "warning" and text is judged.sentences[0], text) for text in judged.sentences]
    if failing := site_warning(metrics, shown, healthy_quantile):
        found.append(Note(True, failing))
    found.append(_patients_note(findings, shown))
    if not findings.count(shown, "image_auroc", "patient", "val"):
        text = "The validation part has no patient: healthy scans alone chose a student's epoch."
        found.append(Note(False, text))
    if excluded:
        reasons = ", ".join(f"{reason} ({count})" for reason, count in Counter(excluded).most_common())
        found.append(Note(False, f"Scans that the participants table excludes: {reasons}."))
    kept = "keeps the whole of the template's brain."
    cut = f"cuts off {percent(cut_share)} of the template's brain; lesions there count as missed."
    found.append(Note(False, f"The network's crop {cut if cut_share >= 0.0005 else kept}"))
    if (outside := findings.value(shown, "lesion_outside_mask")) > 0:
        unseen = f"{percent(outside)} of the lesion volume lies outside the template's brain mask"
        found.append(Note(False, f"{unseen}, where nothing is scored."))
    return sorted(found, key=lambda note: not note.warning)


def _patients_note(findings: Findings, shown: str) -> Note:
    patients = findings.count(shown, "image_auroc", "patient")
    measured = findings.count(shown, "voxel_auprc", "patient")
    if not patients:
        return Note(True, "The test part has no patient: AUROC, AUPRC, AP, Dice and IoU are not available.")
    if not measured:
        text = f"No lesion can be measured: none of the {patients} test patients has a lesion mask inside the brain; "
        return Note(True, text + "the voxel metrics, Dice and IoU are not available.")
    some = f"{measured} of {patients}" if measured < patients else str(patients)
    if measured < RELIABLE_PATIENTS:
        unreliable = (
            f"below {RELIABLE_PATIENTS} they and their intervals are unreliable. Each patient's own values: below."
        )
        return Note(True, f"The voxel metrics and Dice stand on {some} test patients; {unreliable}")
    return Note(False, f"The voxel metrics and Dice stand on {some} test patients.")


def _learning_note(findings: Findings, trained: str, untrained: str) -> Note:
    gain = findings.value(trained, "voxel_auprc") / findings.value(untrained, "voxel_auprc")
    if np.isnan(gain):
        return Note(True, f"Whether {trained} has learned cannot be told: no lesion of a test patient is known.")
    if gain < LEARNED_FACTOR:
        return Note(
            True,
            f"Not learned: {trained} reaches {gain:.2f} times the voxel AUPRC of its own initial weights "
            f"({untrained}); at least {LEARNED_FACTOR} times is asked for.",
        )
    return Note(False, f"{trained} reaches {gain:.2f} times the voxel AUPRC of its own initial weights ({untrained}).")

"""What was read of a cohort and how it is divided, in sentences that are said before anything runs."""

from __future__ import annotations

import pandas as pd

from stfpm3d.study.bids_masks import DOCUMENTED
from stfpm3d.study.config import Config
from stfpm3d.study.opening import kept
from stfpm3d.study.split import PARTS

MOST_SITES = 10


def reading(study: Config, table: pd.DataFrame) -> list[str]:
    """Sentences on the scans, masks and sites of a cohort, and on its parts.

    Parameters
    ----------
    table
        As `opening.open_cohort` returns it.
    """
    scans = kept(table)
    counts = scans["group"].value_counts()
    patients = scans[scans["group"] == "patient"]
    named = [path for path in (study.cohort.participants, study.cohort.test_participants) if path]
    left_out = len(table) - len(scans)
    read = (
        f"Read from {' and '.join(named)}: {counts.get('healthy', 0)} healthy and {counts.get('patient', 0)} patients'"
        f" {study.cohort.modality} scans of {scans['participant_id'].nunique()} subjects; {_masks(patients)};"
        f" {int(scans['skull_stripped'].sum())} skull-stripped{f'; {left_out} excluded' if left_out else ''}."
    )
    return [read, _sites(scans), _parts(study, table, scans)]


def _masks(patients: pd.DataFrame) -> str:
    """How many patients' scans have a lesion mask."""
    found = int(patients["lesion_mask"].notna().sum())
    text = f"{found} lesion mask{'s' * (found != 1)}"
    if found < len(patients):
        looked = f"in the column lesion_mask, or in a BIDS data set for {DOCUMENTED} and similar names"
        text += f" ({len(patients) - found} patients' scans have none; looked for {looked})"
    return text


def _sites(scans: pd.DataFrame) -> str:
    counts = scans["site"].value_counts()
    told = ", ".join(f"{site} {count}" for site, count in counts.head(MOST_SITES).items())
    return f"Sites: {told}{f' and {len(counts) - MOST_SITES} more' if len(counts) > MOST_SITES else ''}."


def _parts(study: Config, table: pd.DataFrame, scans: pd.DataFrame) -> str:
    counts = pd.crosstab(scans["split"], scans["group"]).reindex(PARTS, fill_value=0)
    counts = counts.reindex(columns=["healthy", "patient"], fill_value=0)
    words = ("To train on", "to validate on", "to test on")
    told = [
        f"{word} {row['healthy']} healthy and {row['patient']} patients'"
        for word, (_, row) in zip(words, counts.iterrows(), strict=True)
    ]
    no_patient = bool(counts["patient"].sum()) and not counts["patient"]["train"]
    why = " No teacher learns from patients, so all of theirs measure." if no_patient else ""
    return f"{', '.join(told)} scans.{why}"

"""Names for scans that tell nothing of whose they are, for a report that is given away."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence

import pandas as pd

from stfpm3d.study.cohort import scan_ids


def pseudonyms(scans: Sequence[str], groups: Sequence[str]) -> dict[str, str]:
    """A group and a number for each scan, in an order that neither ids nor the table's rows tell: that of a digest."""
    taken: Counter[str] = Counter()
    names = {}
    for scan_id, group in sorted(
        zip(scans, groups, strict=True), key=lambda scan: hashlib.sha256(scan[0].encode()).digest()
    ):
        taken[group] += 1
        names[scan_id] = f"{group}-{taken[group]:02}"
    return names


def renamed(table: pd.DataFrame, names: Mapping[str, str]) -> pd.DataFrame:
    """The rows of a table whose scans have names, under these."""
    scans = scan_ids(table).map(names)
    return table[scans.notna()].drop(columns="session_id", errors="ignore").assign(participant_id=scans.dropna())


def by_number(scans: pd.DataFrame) -> pd.DataFrame:
    """Scans by number, groups in turn: the order in which they came may tell whose they are."""
    parts = scans["participant_id"].str.extract(r"^(?P<group>.*)-(?P<number>\d+)$").astype({"number": int})
    return scans.loc[parts.sort_values(["number", "group"], ascending=[True, False]).index]

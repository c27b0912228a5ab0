"""All scans of a prediction together: the table, and whether any was refused."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import pandas as pd

from stfpm3d.runtime.digits import rounded
from stfpm3d.runtime.errors import InputError
from stfpm3d.runtime.files import read_table

COLUMNS = (
    "scan_id",
    "status",
    "stage",
    "reason",
    "note",
    "score",
    "percentile",
    "n_as_high",
    "n_finding",
    "volume_ml",
    "usual_ml",
    "skull_stripped",
    "brain_covered",
    "likeness",
    "image",
)


def gather(statuses: Iterable[Path | str]) -> pd.DataFrame:
    """One row a scan, in the order given, with `COLUMNS`; a score keeps four digits, others four decimals."""
    rows = [json.loads(Path(path).read_text(encoding="utf-8")) for path in statuses]
    table = rounded(pd.DataFrame(rows).reindex(columns=list(COLUMNS)), ["score"])
    return table.astype(dict.fromkeys(("n_as_high", "n_finding"), "Int64"))


def check_all_predicted(table: Path | str, names: Iterable[str]) -> None:
    """Raise `InputError` when one of the scans that are named was refused, by the table."""
    rows = read_table(table)
    rows = rows[rows["scan_id"].isin([*names])]
    refused = rows[rows["status"] == "refused"]
    if len(refused):
        told = "; ".join(f"{row['scan_id']} ({row['stage']})" for row in refused.to_dict("records"))
        rest = " The others are predicted." if len(refused) < len(rows) else ""
        raise InputError(f"{len(refused)} of {len(rows)} scans were refused: {told}; {table} tells why.{rest}")

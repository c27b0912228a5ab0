"""All scans of a prediction together: the table, the page, and whether any was refused."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pandas as pd

from stfpm3d.prediction.scans import GivenScan
from stfpm3d.reporting.pages import write_page
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
    "n_finding",
    "volume_ml",
    "skull_stripped",
    "brain_covered",
    "likeness",
    "image",
)


def gather(statuses: Iterable[Path | str]) -> pd.DataFrame:
    """One row a scan, in the order given, with `COLUMNS`; a score keeps four digits, others four decimals."""
    rows = [json.loads(Path(path).read_text(encoding="utf-8")) for path in statuses]
    return rounded(pd.DataFrame(rows).reindex(columns=list(COLUMNS)), ["score"]).astype({"n_finding": "Int64"})


def check_all_predicted(table: Path | str, names: Iterable[str]) -> None:
    """Raise `InputError` when one of the scans that are named was refused, by the table."""
    rows = read_table(table)
    rows = rows[rows["scan_id"].isin([*names])]
    refused = rows[rows["status"] == "refused"]
    if len(refused):
        told = "; ".join(f"{row['scan_id']} ({row['stage']})" for row in refused.to_dict("records"))
        rest = " The others are predicted." if len(refused) < len(rows) else ""
        raise InputError(f"{len(refused)} of {len(rows)} scans were refused: {told}; {table} tells why.{rest}")


def write_predictions_page(
    page: Path | str, template: Path | str, rows: pd.DataFrame, out: Path, description: Mapping[str, Any]
) -> None:
    """Write the page, self-contained: what was found in each scan first, then what was refused and why.

    Parameters
    ----------
    rows
        As `gather` returns them.
    out
        The folder with tables of findings and pictures.
    description
        The bundle's.
    """
    predicted = rows[rows["status"] == "predicted"].sort_values("percentile", ascending=False, kind="stable")
    scans = [
        {
            **row,
            "note": row["note"] if pd.notna(row["note"]) else "",
            "findings": _findings(out, str(row["scan_id"])),
            "picture": base64.b64encode((out / "figures" / f"{row['scan_id']}.png").read_bytes()).decode(),
        }
        for row in predicted.to_dict("records")
    ]
    write_page(
        page,
        template,
        scans=scans,
        refused=rows[rows["status"] == "refused"].to_dict("records"),
        description=description,
        n_reference=len(description["validation"]["scores"]),
    )


def _findings(out: Path, scan_id: str) -> list[dict[Any, Any]]:
    folder = out / GivenScan(scan_id, "").folder
    table = pd.read_csv(folder / f"{scan_id}_desc-anomaly_findings.tsv", sep="\t", keep_default_na=False)
    return table.to_dict("records")

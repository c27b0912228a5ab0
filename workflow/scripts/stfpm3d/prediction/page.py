"""The page of predictions: how far to trust the bundle, all scans in one table, then each with its picture."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

from stfpm3d.prediction.scans import GivenScan
from stfpm3d.reporting.findings import counted, number, volume
from stfpm3d.reporting.pages import write_page

HEALTHY_RANGE = 0.95
"""Of the healthy validation scans, rounded down: a score above so many of them lies outside their range."""
CARD = "MODEL_CARD.md"
"""The bundle's, copied beside the page."""
OF_PLACE = ("register", "strip", "compare")
"""Stages that a very large lesion may fail."""


class Reference(NamedTuple):
    """The healthy validation scans, with whose scores that of a scan is compared."""

    n: int

    @property
    def least_below(self) -> int:
        """Above how many of them a score must lie to be outside the healthy range."""
        return max(1, int(HEALTHY_RANGE * self.n))

    def is_outside(self, n_as_high: int) -> bool:
        """Whether a score is, of which `n_as_high` healthy scans have at least as high a one."""
        return self.n - n_as_high >= self.least_below


def write_predictions_page(
    page: Path | str,
    template: Path | str,
    rows: pd.DataFrame,
    out: Path,
    description: Mapping[str, Any],
    *,
    model: str = "",
) -> None:
    """Write the page, self-contained but for the link to the model card.

    Parameters
    ----------
    rows
        As `gathering.gather` returns them.
    out
        The folder with tables of findings and pictures.
    description
        The bundle's.
    model
        Its name where it comes with the clone, such as `models/T1w`.
    """
    reference = Reference(len(description["validation"]["scores"]))
    predicted = rows[rows["status"] == "predicted"].sort_values("score", ascending=False, kind="stable")
    scans = [
        {
            **row,
            "note": row["note"] if pd.notna(row["note"]) else "",
            "usual_ml": float(row["usual_ml"]) if pd.notna(row["usual_ml"]) else None,
            "outside": reference.is_outside(int(row["n_as_high"])),
            "findings": _findings(out, str(row["scan_id"])),
            "picture": _picture(out, str(row["scan_id"])),
        }
        for row in predicted.to_dict("records")
    ]
    refused = [
        {**row, "picture": _picture(out, str(row["scan_id"])), "perhaps_lesion": row["stage"] in OF_PLACE}
        for row in rows[rows["status"] == "refused"].to_dict("records")
    ]
    write_page(
        page,
        template,
        (counted, number, volume),
        scans=scans,
        refused=refused,
        heading=_heading(scans, reference),
        description=description,
        record=description["record"],
        reference=reference,
        card=CARD,
        model=model,
    )


def _heading(scans: list[dict[Any, Any]], reference: Reference) -> str:
    """How many of the scans lie outside the healthy range, and what that is."""
    if not scans:
        return "No scan is predicted"
    outside = sum(scan["outside"] for scan in scans)
    scores = "score" if outside != 1 else "scores"
    range_ = f"{reference.least_below} of {counted(reference.n, 'healthy scan')}"
    at_least = "" if reference.least_below == reference.n else "at least "
    rest = len(scans) - outside
    inside = f"{rest} lie{'s' * (rest == 1)} inside" if rest else "none lies inside"
    return f"{outside} of {counted(len(scans), 'scan')} {scores} higher than {at_least}{range_}; {inside}"


def _picture(out: Path, scan_id: str) -> str:
    """The picture of a scan in base64; empty where there is none."""
    path = out / "figures" / f"{scan_id}.png"
    return base64.b64encode(path.read_bytes()).decode() if path.exists() else ""


def _findings(out: Path, scan_id: str) -> list[dict[Any, Any]]:
    folder = out / GivenScan(scan_id, "").folder
    table = pd.read_csv(folder / f"{scan_id}_desc-anomaly_findings.tsv", sep="\t", keep_default_na=False)
    return [{**finding, "side": _side(finding)} for finding in table.to_dict("records")]


def _side(finding: Mapping[Any, Any]) -> str:
    """The side of a finding, with shares where it has both."""
    if finding["side"] != "both":
        return str(finding["side"])
    left = round(100 * float(finding["left_share"]))
    return f"both (left {left} %, right {100 - left} %)"

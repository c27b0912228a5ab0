"""The table of a batch of maps, which vouches for files that are no declared outputs of a rule.

A table stands only while the maps that it lists are those that were written with it: whoever replaces a map removes the
tables that list it, whoever reads one compares its sha256, and each plan looks for maps that were changed or deleted.
"""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from stfpm3d.runtime.errors import InputError
from stfpm3d.runtime.files import read_table, sha256

TABLES = "batch-*.tsv"
FILES = {"map": "sha256", "blocks": "blocks_sha256"}
"""The columns with the names of files beside the table, and those with their digests."""


def map_row(scan_id: str, score: float, anomaly_map: Path, blocks: Path | None) -> dict[str, Any]:
    """A scan's row of a table: `scan_id`, `score` (n/a for none), `map`, `sha256`, `blocks` and `blocks_sha256`.

    The files are named without their folder. The digests make what reads the maps run again if and only if they change.
    """
    row: dict[str, Any] = {"scan_id": scan_id, "score": score}
    for (column, digest), path in zip(FILES.items(), (anomaly_map, blocks), strict=True):
        row |= {column: path and path.name, digest: path and sha256(path)}
    return row


def withdraw_tables(table: Path, scan_ids: Collection[str]) -> None:
    """Remove a table, and those beside it that list one of some scans, whose maps are about to be replaced.

    Such a table is of a run that divided the scans into batches otherwise.
    """
    table.unlink(missing_ok=True)
    for other in table.parent.glob(TABLES):
        if any(row["scan_id"] in scan_ids for row in _rows(other)):
            other.unlink(missing_ok=True)


def read_maps(tables: Iterable[Path | str]) -> pd.DataFrame:
    """The maps that `write_maps` wrote, one row a scan: `scan_id`, `score`, `map` and `blocks` (paths; None for none).

    Raises
    ------
    InputError
        When a file is gone, or another than the table lists.
    """
    found = []
    for table in map(Path, tables):
        maps = read_table(table)
        paths = {
            column: [_checked(table, *cells) for cells in zip(maps["scan_id"], maps[column], maps[digest], strict=True)]
            for column, digest in FILES.items()
        }
        columns = {column: pd.Series(files, dtype=object) for column, files in paths.items()}
        found.append(maps.drop(columns=[*FILES.values()]).assign(**columns))
    return pd.concat(found, ignore_index=True)


def _checked(table: Path, scan_id: str, name: Any, digest: Any) -> Path | None:
    """The file of that name beside a table; None for a name that is missing."""
    if pd.isna(name):
        return None
    path = table.with_name(name)
    if not path.is_file():
        raise InputError(f"{scan_id}: {path} is gone, which {table} lists; remove that table and run again.")
    if sha256(path) != digest:
        raise InputError(
            f"{scan_id}: {path} has changed since it was made (its sha256 is not the one that {table} lists); remove"
            " that table and run again."
        )
    return path


def remove_false_tables(results: Path) -> Iterator[str]:
    """Remove the tables below a folder of results that list a map which was changed or deleted; say so of each.

    What is not newer than its table counts as unchanged, so that a plan reads no maps.
    """
    for folder in (results, *results.glob("folds/*")):
        for table in folder.glob(f"maps/*/*/{TABLES}"):
            for path in _lost(table):
                table.unlink(missing_ok=True)
                yield f"{path} was changed or deleted after it had been made; it is made again with its batch."
                break


def _lost(table: Path) -> Iterator[Path]:
    """The files that a table lists which are gone, or newer than the table and of other content."""
    made_ns = table.stat().st_mtime_ns
    for row in _rows(table):
        for column, digest in FILES.items():
            if row.get(column, "n/a") != "n/a":
                path = table.with_name(row[column])
                try:
                    is_lost = path.stat().st_mtime_ns > made_ns and sha256(path) != row[digest]
                except FileNotFoundError:
                    is_lost = True
                if is_lost:
                    yield path


def _rows(table: Path) -> list[dict[str, str]]:
    """The rows of a table; none where another job has removed it."""
    try:
        with table.open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file, delimiter="\t"))
    except FileNotFoundError:
        return []

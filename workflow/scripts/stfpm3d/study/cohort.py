"""The cohort: the participants table, read, checked and divided before any job runs.

The table is BIDS-style, tab-separated, one row a scan, with the columns `participant_id`, `group` (healthy or
patient), `site`, `image`, `lesion_mask` (n/a where there is none), `skull_stripped` (true or false) and, optionally,
`split` (train, val or test). Paths are relative to the table. Other columns are allowed and ignored.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pandas as pd

from stfpm3d.study.errors import InputError
from stfpm3d.study.split import PARTS

COLUMNS = ("participant_id", "group", "site", "image", "lesion_mask", "skull_stripped")
CHOICES = {"group": ("healthy", "patient"), "skull_stripped": ("true", "false"), "split": PARTS}
MISSING = ("", "n/a", "N/A", "nan", "NaN")
ID_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


def read_participants(path: Path | str) -> pd.DataFrame:
    """Read and check a participants table.

    Returns
    -------
    One row a scan, in the table's order: `participant_id`, `group`, `site`, `image` and `lesion_mask` (paths joined
    to the table's folder; None without a mask), `skull_stripped` (bool) and, if the table has it, `split`.

    Raises
    ------
    InputError
        One sentence that names the row, what was found and what was expected.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"participants table {path} does not exist; set cohort.participants to a TSV file or to demo.")
    try:
        table = pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except (pd.errors.EmptyDataError, pd.errors.ParserError, UnicodeDecodeError) as error:
        raise InputError(f"participants table {path} cannot be read as tab-separated text ({error}).") from error
    if absent := [column for column in COLUMNS if column not in table]:
        raise InputError(
            f"participants table {path} lacks the column(s) {', '.join(absent)}; found {', '.join(table.columns)};"
            " columns are separated by tabs."
        )
    if table.empty:
        raise InputError(f"participants table {path} has no rows.")
    return check_participants(table, path.parent)


def check_participants(table: pd.DataFrame, folder: Path) -> pd.DataFrame:
    """Check the cells of a table of strings and give them their types; paths are taken relative to `folder`."""
    table = table[[*COLUMNS, *(["split"] if "split" in table else [])]].apply(lambda column: column.str.strip())
    for column, choices in CHOICES.items():
        for line, value in _cells(table, column):
            if value not in choices:
                raise InputError(
                    f"participants table, line {line}: {column} is {value!r}, expected {' or '.join(choices)}."
                )
    for line, value in _cells(table, "participant_id"):
        if not ID_PATTERN.fullmatch(value):
            raise InputError(
                f"participants table, line {line}: participant_id {value!r} may hold letters, digits, - and _ only."
            )
    for column in ("participant_id", "image"):
        for line, value in _cells(table[table[column].duplicated()], column):
            first = table.index[table[column] == value][0] + 2
            raise InputError(
                f"participants table, line {line}: {column} {value!r} stands in line {first} already;"
                " every scan has one row."
            )
    for (line, group), mask in zip(_cells(table, "group"), table["lesion_mask"], strict=True):
        if group == "healthy" and mask not in MISSING:
            raise InputError(
                f"participants table, line {line}: a healthy scan has the lesion_mask {mask!r}, expected n/a."
            )
    return table.assign(
        image=[str(folder / image) for image in table["image"]],
        lesion_mask=pd.Series(
            [None if mask in MISSING else str(folder / mask) for mask in table["lesion_mask"]], dtype=object
        ),
        skull_stripped=table["skull_stripped"] == "true",
    )


def check_files(participants: pd.DataFrame) -> None:
    """Raise `InputError` for the first image or mask that is not a file."""
    for column in ("image", "lesion_mask"):
        for line, path in _cells(participants, column):
            if path is not None and not Path(path).is_file():
                raise InputError(
                    f"participants table, line {line}: {column} {path} is not a file; paths are relative to the table."
                )


def check_parts(participants: pd.DataFrame) -> None:
    """Raise `InputError` when the divided cohort lacks scans that every run needs."""
    for part in ("train", "val", "test"):
        count = ((participants["group"] == "healthy") & (participants["split"] == part)).sum()
        if count == 0:
            raise InputError(
                f"cohort: no healthy scan in the {part} part, expected at least one;"
                " change the split column or split.healthy."
            )


def select(
    participants: pd.DataFrame, *, split: str | Iterable[str] | None = None, group: str | None = None
) -> list[str]:
    """The ids of one or several parts and of one group, in the table's order."""
    rows = participants
    if split is not None:
        rows = rows[rows["split"].isin([split] if isinstance(split, str) else list(split))]
    if group is not None:
        rows = rows[rows["group"] == group]
    return list(rows["participant_id"])


def _cells(table: pd.DataFrame, column: str) -> list[tuple[int, Any]]:
    """Line number in the file (the header is line 1) and value of a column's cells; none if the column is absent."""
    return list(zip((table.index + 2).tolist(), table[column], strict=True)) if column in table else []

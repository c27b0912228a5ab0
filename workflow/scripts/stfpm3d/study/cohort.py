"""The cohort: the participants table, read, checked and divided before any job runs.

The table is BIDS-style, tab-separated, one row a scan, with the columns `participant_id`, `group` (healthy or
patient), `site`, `image`, `lesion_mask` (n/a where there is none), `skull_stripped` (true or false) and, optionally,
`split` (train, val or test), `session_id` (tells a subject's scans apart) and `exclude` (why a scan is left out, n/a
for the others). Paths are relative to the table. Other columns are allowed and ignored.

A scan is known everywhere by its `scan_id`, which is `participant_id`, or `participant_id_session_id` where there is
a session. A second table may hold the test scans (`with_test_table`).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

import pandas as pd

from stfpm3d.runtime.errors import InputError, windows_remark
from stfpm3d.study.bids import bids_cohort
from stfpm3d.study.bids_names import ANY, Wanted
from stfpm3d.study.sheets import read_rows
from stfpm3d.study.split import PARTS, teacher_scans

COLUMNS = ("participant_id", "group", "site", "image", "lesion_mask", "skull_stripped")
OPTIONAL_COLUMNS = ("session_id", "exclude", "split")
CHOICES = {"group": ("healthy", "patient"), "skull_stripped": ("true", "false"), "split": PARTS}
MISSING = ("", "n/a", "na", "#n/a", "nan", "none", "null", "-")
"""What stands for nothing, in capitals or not."""
ID_PATTERN = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")
LAYOUT_NAMES = ("mask",)
"""Names that no scan can have: files of other content stand under them in a folder with a file a scan."""
NO_REASONS = ("true", "false", "yes", "no", "0", "1")


def read_participants(path: Path | str, key: str = "participants") -> pd.DataFrame:
    """Read and check the participants table that the key `cohort.{key}` of the config names.

    Returns
    -------
    One row a scan, in the table's order: `scan_id`, `participant_id`, `group`, `site`, `image` and `lesion_mask`
    (paths joined to the table's folder; None without a mask), `skull_stripped` (bool) and, if the table has them,
    `session_id`, `exclude` (None for a scan that is kept) and `split`. The index tells the place of each row, such as
    "participants table, line 2".

    Raises
    ------
    InputError
        One sentence that names the row, what was found and what was expected.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(
            f"{key} table {path} is not a file{windows_remark(str(path))}; correct cohort.{key}, the path of a"
            " TSV file."
        )
    (_, header), *rows = read_rows(path, f"{key} table {path}") or [(1, [])]
    header = [re.sub(r"[ -]", "_", name.lower()) for name in header]
    if absent := [column for column in COLUMNS if column not in header]:
        raise InputError(
            f"{key} table {path} lacks the column(s) {', '.join(absent)}; found {', '.join(header) or 'nothing'};"
            " separate the columns by tabs."
        )
    if repeated := [name for name in (*COLUMNS, *OPTIONAL_COLUMNS) if header.count(name) > 1]:
        raise InputError(f"{key} table {path} has the column {repeated[0]} twice; remove or rename one.")
    if not rows:
        raise InputError(f"{key} table {path} has no rows; add one for each scan.")
    for line, cells in rows:
        if len(cells) > len(header):
            raise InputError(f"{key} table, line {line}: {len(cells)} cells, expected {len(header)} as in the header.")
    named = [dict(zip(header, cells, strict=False)) for _, cells in rows]
    return check_participants(
        pd.DataFrame(named, columns=list(dict.fromkeys(header))), path.parent, key, [line for line, _ in rows]
    )


def read_bids(
    folder: Path | str,
    modality: str,
    key: str = "participants",
    wanted: Wanted = ANY,
) -> pd.DataFrame:
    """Read and check a BIDS data set as a cohort (see `bids.bids_cohort`), as `read_participants` does a table."""
    table = bids_cohort(Path(folder), modality, wanted)
    return check_participants(table, Path(folder), key, places=[f"{Path(folder, image)}" for image in table["image"]])


def check_participants(
    table: pd.DataFrame,
    folder: Path,
    key: str = "participants",
    lines: Sequence[int] = (),
    places: Sequence[str] = (),
) -> pd.DataFrame:
    """Check the cells of a table of strings and give them their types; paths are taken relative to `folder`.

    `lines` tells on which line of its file each row stands; without it they follow the header, which is line 1.
    `places` names the rows of what is no such file.
    """
    columns = [*COLUMNS, *(column for column in OPTIONAL_COLUMNS if column in table)]
    table = table[columns].fillna("").apply(lambda column: column.str.strip())
    table.index = pd.Index(places or [f"{key} table, line {line}" for line in lines or range(2, len(table) + 2)])
    for column, choices in CHOICES.items():
        if column in table:
            table[column] = table[column].str.lower()  # spreadsheets write TRUE
        for place, value in _cells(table, column):
            if value not in choices:
                raise InputError(f"{place}: {column} is {value!r}, expected {' or '.join(choices)}.")
    _check_ids(table)
    _check_subjects(table)
    for (place, group), mask in zip(_cells(table, "group"), table["lesion_mask"], strict=True):
        if group == "healthy" and mask.lower() not in MISSING:
            raise InputError(f"{place}: a healthy scan has the lesion_mask {mask!r}, expected n/a.")
    for place, reason in _cells(table, "exclude"):
        if reason.lower() in NO_REASONS:
            raise InputError(
                f"{place}: exclude is {reason!r}, expected the reason in words, or n/a for a scan that is kept."
            )
    for place, image in _cells(table, "image"):
        if image.lower() in MISSING:
            raise InputError(f"{place}: image is {image!r}, expected the path of a scan.")
    for column in {"session_id", "exclude"} & set(columns):
        table[column] = _none_if_missing(table[column])
    _check_scans_differ(table)
    for column in ("image", "lesion_mask"):
        paths = _none_if_missing(table[column])
        table[column] = pd.Series([path and str(folder / path) for path in paths], index=table.index, dtype=object)
    _check_files_differ(table)
    return table.assign(scan_id=scan_ids(table), skull_stripped=table["skull_stripped"] == "true")


def with_test_table(participants: pd.DataFrame, tested: pd.DataFrame) -> pd.DataFrame:
    """The training and validation scans of a divided table and, as its test scans, all scans of a second table.

    Raises
    ------
    InputError
        When the tables share a subject, a scan or a file, or the second divides its scans.
    """
    subjects = {subject: place for place, subject in _cells(participants, "participant_id")}
    for place, subject in _cells(tested, "participant_id"):
        if subject in subjects:
            raise InputError(
                f"{place}: {subject!r} stands in {subjects[subject]} already; a subject to test on is in no other part:"
                " remove one of its rows, or give another subject of that name another participant_id."
            )
    for place, part in _cells(tested, "split"):
        if part != "test":
            raise InputError(
                f"{place}: split is {part!r}, expected test: every scan of this table is one to test on; correct the"
                " cell, or leave the column out."
            )
    both = pd.concat([participants, tested.assign(split="test")])
    for column in {"session_id", "exclude"} & set(both):  # one table may lack it
        both[column] = both[column].astype(object).where(both[column].notna(), None)
    _check_scans_differ(both)
    _check_files_differ(both)
    return both[(both["split"] != "test") | both.index.isin(tested.index)]


def scan_ids(table: pd.DataFrame) -> pd.Series:
    """The id of each row's scan, from its `participant_id` and, where there is one, its `session_id`."""
    if "session_id" not in table:
        return table["participant_id"]
    session = table["session_id"]
    return table["participant_id"].where(session.isna(), table["participant_id"] + "_" + session.fillna(""))


def check_files(participants: pd.DataFrame) -> None:
    """Raise `InputError` for the first image or mask that is not a file, or whose path cannot be used."""
    for column in ("image", "lesion_mask"):
        for place, path in _cells(participants, column):
            if path is not None and not os.path.isfile(path):  # noqa: PTH113 - Path.is_file raises in a closed folder
                raise InputError(
                    f"{place}: {column} {path} is not a file that can be reached{windows_remark(path)}; paths are"
                    " relative to the table: correct it, or exclude the scan."
                )
            if path is not None:
                check_path(path, f"{place}: {column}")


def check_path(path: str, what: str) -> None:
    """Raise `InputError` for a path that Snakemake cannot take literally: {name} and <name> are filled in."""
    if found := re.search(r"\{.*\}|<.*>", path):
        raise InputError(
            f"{what} {path} holds {found[0]}, which Snakemake takes for a name to fill in; rename that folder or file."
        )


def check_parts(participants: pd.DataFrame) -> None:
    """Raise `InputError` when the divided cohort lacks scans that every run needs.

    These are healthy ones to train and validate on, and any to test on.
    """
    for part in ("train", "val"):
        if not select(participants, split=part, group="healthy"):
            raise InputError(
                f"cohort: no healthy scan in the {part} part, expected at least one;"
                " add some, or change the split column or split.healthy."
            )
    if not select(participants, split="test"):
        raise InputError("cohort: no scan in the test part, expected at least one; add some, or change the split.")


def check_teacher(participants: pd.DataFrame, teacher: str, balance: str, seed: int) -> None:
    """Raise `InputError` when a teacher's triplets would find no second subject (see `split.teacher_scans`)."""
    subjects = participants.set_index("scan_id")["participant_id"]
    for part in ("train", "val"):
        count = subjects[teacher_scans(participants, part, balance, seed)].nunique()
        if count < 2:
            raise InputError(
                f"teacher {teacher!r}: its triplets are drawn from {count} subject(s) of the {part} part, expected at"
                " least 2; add subjects, or set its epochs to 0 to keep its initial weights."
            )


def check_statistics(participants: pd.DataFrame, experiment: str, part: str = "train", least: int = 2) -> None:
    """Raise `InputError` when a part's healthy scans are too few for the variances of an experiment."""
    count = len(select(participants, split=part, group="healthy"))
    if count < least:
        raise InputError(
            f"experiment {experiment!r}: its variances stand on {count} healthy scan(s) of the {part} part, expected at"
            f" least {least}; add scans, or remove the experiment."
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
    return list(rows["scan_id"])


def in_turn(participants: pd.DataFrame, split: str, count: int) -> list[str]:
    """The ids of at most `count` scans of one part: a patient and a healthy scan in turn, each in the table's order."""
    groups = (select(participants, split=split, group=group) for group in ("patient", "healthy"))
    pairs = zip_longest(*groups)
    return [scan for pair in pairs for scan in pair if scan is not None][:count]


def _cells(table: pd.DataFrame, column: str) -> list[tuple[str, Any]]:
    """Place and value of a column's cells; none if the column is absent."""
    return list(zip(table.index, table[column], strict=True)) if column in table else []


def _none_if_missing(column: pd.Series) -> pd.Series:
    return column.astype(object).where(~column.str.lower().isin(MISSING), None)


def _check_ids(table: pd.DataFrame) -> None:
    """Ids become file names."""
    for column in ("participant_id", "session_id"):
        for place, value in _cells(table, column):
            if not ID_PATTERN.fullmatch(value) and not (column == "session_id" and value.lower() in MISSING):
                raise InputError(f"{place}: {column} {value!r} may hold letters, digits, - and _ only, at most 100.")


def _check_scans_differ(table: pd.DataFrame) -> None:
    """Each id names one scan, also on file systems that do not tell capitals from small letters."""
    found: dict[str, tuple[str, str]] = {}
    for place, scan_id in _cells(table.assign(scan_id=scan_ids(table)), "scan_id"):
        if scan_id.lower() in LAYOUT_NAMES:
            raise InputError(f"{place}: {scan_id!r} is the name of another file in results/; give the scan another.")
        first, known = found.setdefault(scan_id.lower(), (place, scan_id))
        if first != place:
            alike = "" if known == scan_id else f" as {known!r}, the same name to some file systems"
            raise InputError(
                f"{place}: {scan_id!r} stands in {first} already{alike};"
                " every scan has one row, and a session_id where a subject has several scans."
            )


def _check_subjects(table: pd.DataFrame) -> None:
    """A subject is healthy or a patient, and in one part: the split is by subject."""
    for column in {"group", "split"} & set(table):
        first = table.groupby("participant_id")[column].transform("first")
        for place, value in _cells(table[table[column] != first], column):
            subject, expected = table["participant_id"][place], first[place]
            raise InputError(
                f"{place}: {subject!r} has the {column} {value!r}, but {expected!r} in an"
                " earlier line; all scans of a subject share it."
            )


def _check_files_differ(table: pd.DataFrame) -> None:
    """Every image and mask is a file of its own, however its path is written."""
    found: dict[str, str] = {}
    for column in ("image", "lesion_mask"):
        for place, path in _cells(table, column):
            if path is None:
                continue
            use = f"as {column} in {place}"
            if (known := found.setdefault(os.path.realpath(path), use)) != use:
                raise InputError(
                    f"{place}: {column} {path!r} stands {known} already; every image and every"
                    " mask is a file of its own."
                )

"""BIDS data sets as they come: their scans of one contrast, and a cohort from their participants table.

Files are named sub-*/[ses-*/]anat/sub-*_{suffix}.nii.gz; what is derived (`space-`, `desc-`, `label-`) is no scan as it
came. Lesion masks are found by `bids_masks`, and what is passed over is told by `bids_remarks`.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from pathlib import Path

import pandas as pd

from stfpm3d.runtime.errors import InputError
from stfpm3d.study.bids_masks import lesion_masks
from stfpm3d.study.bids_names import (
    ANY,
    NIFTI,
    BidsName,
    BidsScan,
    Wanted,
    contents,
    is_subject,
    is_wanted,
    parsed,
    stem,
)
from stfpm3d.study.sheets import read_rows

DERIVED = ("space", "desc", "label")
"""The entities of what was made of a scan."""
PARTICIPANTS = "participants.tsv"
OF_SUBJECT = ("group", "site", "split", "exclude")
"""Columns of a data set's participants table that a cohort takes over."""
MOST_TOLD = 5
"""Of the sessions with several scans."""


def is_bids(folder: Path) -> bool:
    """Whether a folder is a data set, or at least laid out like one."""
    return (folder / "dataset_description.json").is_file() or any(folder.glob("sub-*/**/anat"))


def bids_scans(folder: Path, suffix: str, wanted: Wanted = ANY) -> list[BidsScan]:
    """List the scans of one contrast (T1w, T2w or FLAIR) by name, of those whose names say what is wanted.

    `SkullStripped` is what the most specific of their sidecars says, which may lie in any folder above the scan.

    Raises
    ------
    InputError
        When there is none, one lies in another subject's folder, or a sidecar cannot be read.
    """
    found = sorted(
        path for anat in _anat_folders(folder) for entry in contents(anat) if is_scan(path := entry.path, suffix)
    )
    if not found:
        raise InputError(
            f"{folder} is a BIDS data set without a {suffix} scan (sub-*/[ses-*/]anat/*_{suffix}.nii.gz); give one that"
            " has some, or a table."
        )
    first, found = found[0], [path for path in found if is_wanted(parsed(path), wanted)]
    if not found:
        raise InputError(
            f"{folder} has {suffix} scans, of which none is what cohort.bids says ({dict(wanted)}), such as {first};"
            " correct cohort.bids."
        )
    sidecars, said = cache(_sidecars), cache(_said)
    scans = []
    for path in found:
        name = parsed(path)
        parts = path.removeprefix(f"{folder}/").split("/")
        if name.entities["sub"] != parts[0][len("sub-") :]:
            raise InputError(f"{path} lies in the folder of another subject, {parts[0]}; rename the file, or move it.")
        levels = ["/".join([str(folder), *parts[:depth]]) for depth in range(len(parts))]
        stripped = _skull_stripped(name, [sidecars(level) for level in levels], said)
        scans.append(BidsScan(stem(path).rpartition("_")[0], Path(path), stripped))
    return scans


def is_scan(path: str, suffix: str) -> bool:
    """Whether a file is a scan of a contrast as it came, by its name alone; its capitals do not count."""
    if not NIFTI.search(path):
        return False
    name = parsed(path)
    return (
        name.suffix.lower() == suffix.lower()
        and "sub" in name.entities
        and not any(entity in name.entities for entity in DERIVED)
    )


def bids_cohort(folder: Path, suffix: str, wanted: Wanted = ANY) -> pd.DataFrame:
    """A participants table (strings, see `cohort.check_participants`) of a data set, paths relative to its folder.

    `group` (healthy or patient), and where they stand there `site`, `split` and `exclude`, are columns of its own
    participants.tsv. A patient's lesion mask is the one that `bids_masks.lesion_masks` finds. A scan whose sidecars do
    not say otherwise has its skull.

    Raises
    ------
    InputError
        When the table, its column or a scan's row is missing, or a session has two scans or masks.
    """
    kept, subjects = read_subjects(folder)
    scans = bids_scans(folder, suffix, wanted)
    for scan in scans:
        if scan.subject not in subjects:
            raise InputError(
                f"{folder / PARTICIPANTS} has no row for {scan.subject}, of which there is {scan.image.name}; add one."
            )
    _check_sessions(folder, scans, suffix)
    values = {subject: dict(zip(kept, cells, strict=True)) for subject, cells in subjects.items()}
    ill = [scan for scan in scans if values[scan.subject]["group"].lower() != "healthy"]
    masks = lesion_masks(folder, ill, suffix)
    cohort = [
        {"site": "n/a", **values[scan.subject], "participant_id": scan.subject, "session_id": scan.session_id}
        | {"image": str(scan.image.relative_to(folder)), "lesion_mask": masks.get(scan.entities, "n/a")}
        | {"skull_stripped": str(bool(scan.skull_stripped)).lower()}
        for scan in scans
    ]
    return pd.DataFrame(cohort)


def read_subjects(folder: Path) -> tuple[list[str], dict[str, list[str]]]:
    """Which columns of `OF_SUBJECT` a data set's table has, and the cells of each participant in them.

    Raises
    ------
    InputError
        When the table or a column is missing.
    """
    table = folder / PARTICIPANTS
    if not table.is_file():
        raise InputError(f"{folder} is a BIDS data set without {PARTICIPANTS}, whose column group says who is healthy.")
    (_, header), *rows = read_rows(table, str(table)) or [(1, [])]
    if absent := [column for column in ("participant_id", "group") if column not in header]:
        raise InputError(
            f"{table} lacks the column(s) {', '.join(absent)}; found {', '.join(header) or 'nothing'}: add a group,"
            " healthy or patient, for each participant."
        )
    kept = [column for column in OF_SUBJECT if column in header]
    named = [dict(zip(header, [*row, *[""] * len(header)], strict=False)) for _, row in rows]
    return kept, {cells["participant_id"]: [cells[column] for column in kept] for cells in named}


def _check_sessions(folder: Path, scans: Iterable[BidsScan], suffix: str) -> None:
    """Raise `InputError` where a session has several scans, such as two runs."""
    of_session = defaultdict(list)
    for scan in scans:
        of_session[scan.subject, scan.session_id].append(str(scan.image.relative_to(folder)))
    if several := {session: names for session, names in of_session.items() if len(names) > 1}:
        told = [
            f"{' '.join(part for part in session if part != 'n/a')} ({', '.join(names)})"
            for session, names in several.items()
        ]
        rest = f" and {len(told) - MOST_TOLD} more" if len(told) > MOST_TOLD else ""
        raise InputError(
            f"{folder} has several {suffix} scans in one session (runs, or other acquisitions), expected one:"
            f" {'; '.join(told[:MOST_TOLD])}{rest}; say by cohort.bids which one counts, such as {{run: 1}} or"
            " {ce: null}, or name the scans in a participants table, which is then given instead of the data set, with"
            " a session_id each if several of a session count."
        )


def _anat_folders(folder: Path) -> Iterator[str]:
    """The folders sub-*/[ses-*/]anat of a data set."""
    for subject in contents(folder):
        if not is_subject(subject.name) or not subject.is_dir():
            continue
        for entry in contents(subject.path):
            if entry.name.lower() == "anat":
                yield entry.path
            elif entry.name.lower().startswith("ses-"):
                yield from (below.path for below in contents(entry.path) if below.name.lower() == "anat")


def _sidecars(folder: str) -> list[BidsName]:
    """The JSON files of a folder."""
    return [parsed(entry.path) for entry in contents(folder) if entry.name.lower().endswith(".json")]


def _skull_stripped(
    scan: BidsName, levels: Iterable[list[BidsName]], said: Callable[[str], bool | None]
) -> bool | None:
    """`SkullStripped` by the inheritance principle: sidecars of a folder further down, and with more entities, win."""
    found = None
    for sidecars in levels:
        applicable = [
            (len(sidecar.entities), value)
            for sidecar in sidecars
            if sidecar.suffix == scan.suffix and sidecar.entities.items() <= scan.entities.items()
            if (value := said(sidecar.path)) is not None
        ]
        if applicable:
            most = max(count for count, _ in applicable)
            values = {value for count, value in applicable if count == most}
            if len(values) > 1:
                raise InputError(
                    f"{scan.path}: two sidecars in one folder say SkullStripped true and false; correct one of them."
                )
            found = values.pop()
    return found


def _said(sidecar: str) -> bool | None:
    """`SkullStripped` of a sidecar; None where it does not say."""
    try:
        said = json.loads(Path(sidecar).read_text(encoding="utf-8-sig")).get("SkullStripped")
    except (OSError, ValueError, AttributeError) as error:
        raise InputError(f"{sidecar} cannot be read as a JSON object ({error}); correct it or remove it.") from error
    if said is not None and not isinstance(said, bool):
        raise InputError(f"{sidecar}: SkullStripped is {said!r}, expected true or false without quotation marks.")
    return said

"""BIDS data sets as they come: their scans of one contrast, and a cohort from their participants table.

Files are named sub-*/[ses-*/]anat/sub-*_{suffix}.nii.gz; what is derived (`space-`, `desc-`) is no scan as it came.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import NamedTuple

import pandas as pd

from stfpm3d.runtime.errors import InputError
from stfpm3d.study.sheets import read_rows

NIFTI = re.compile(r"\.nii(\.gz)?$", re.IGNORECASE)
CONTRAST = re.compile("_(T1w|T2w|FLAIR|PDw|T2starw)$")
"""The suffix of a scan's name."""
DERIVED = ("_space-", "_desc-")
PARTICIPANTS = "participants.tsv"
OF_SUBJECT = ("group", "site", "split", "exclude")
"""Columns of a data set's participants table that a cohort takes over."""


class BidsScan(NamedTuple):
    """A scan of a data set."""

    entities: str
    """Its name up to the suffix, such as `sub-01_ses-02`."""
    image: Path
    skull_stripped: bool | None
    """`SkullStripped` of its sidecar; None where that does not say."""

    @property
    def session_id(self) -> str:
        """`ses-02`, or n/a."""
        found = re.search(r"_(ses-[A-Za-z0-9]+)", self.entities)
        return found[1] if found else "n/a"


def is_bids(folder: Path) -> bool:
    """Whether a folder is a data set, or at least laid out like one."""
    return (folder / "dataset_description.json").is_file() or any(folder.glob("sub-*/**/anat"))


def stem(path: Path) -> str:
    """A file's name without .nii or .nii.gz."""
    return NIFTI.sub("", path.name)


def bids_scans(folder: Path, suffix: str) -> list[BidsScan]:
    """List the scans of one contrast (T1w, T2w or FLAIR) by name.

    Raises
    ------
    InputError
        When there is none, or a sidecar cannot be read.
    """
    found = [
        path
        for pattern in ("sub-*/anat", "sub-*/ses-*/anat")
        for path in folder.glob(f"{pattern}/sub-*_{suffix}.nii*")
        if NIFTI.search(path.name) and not any(entity in path.name for entity in DERIVED)
    ]
    if not found:
        raise InputError(
            f"{folder} is a BIDS data set without a {suffix} scan (sub-*/[ses-*/]anat/*_{suffix}.nii.gz); give one that"
            " has some, or a table."
        )
    return [BidsScan(stem(path).removesuffix(f"_{suffix}"), path, _said_by_sidecar(path)) for path in sorted(found)]


def bids_cohort(folder: Path, suffix: str) -> pd.DataFrame:
    """A participants table (strings, see `cohort.check_participants`) of a data set, paths relative to its folder.

    `group` (healthy or patient), and where they stand there `site`, `split` and `exclude`, are columns of its own
    participants.tsv. A patient's lesion mask is the `*label-lesion*_mask.nii.gz` of the same session, in `anat` beside
    the scan or in that of a data set below `derivatives/`, in the scan's own space. A scan whose sidecar does not say
    otherwise has its skull.

    Raises
    ------
    InputError
        When the table, its column or a scan's row is missing, or a session has two scans or masks.
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
    subjects = {cells[0]: cells for cells in (_in_order(header, row) for _, row in rows)}
    kept = [column for column in OF_SUBJECT if column in header]
    cohort = []
    for scan in bids_scans(folder, suffix):
        subject = scan.entities.partition("_")[0]
        if subject not in subjects:
            raise InputError(f"{table} has no row for {subject}, of which there is {scan.image.name}; add one.")
        values = dict(zip(kept, subjects[subject][1:], strict=True))
        mask = None if values["group"].lower() == "healthy" else _lesion_mask(folder, scan)
        cohort.append(
            {"site": "n/a", **values, "participant_id": subject, "session_id": scan.session_id}
            | {"image": str(scan.image.relative_to(folder)), "lesion_mask": mask or "n/a"}
            | {"skull_stripped": str(bool(scan.skull_stripped)).lower()}
        )
    return pd.DataFrame(cohort)


def _in_order(header: list[str], row: list[str]) -> list[str]:
    """The id of a participant, then the cells of `OF_SUBJECT`."""
    cells = dict(zip(header, [*row, *[""] * len(header)], strict=False))
    return [cells[column] for column in ("participant_id", *OF_SUBJECT) if column in header]


def _lesion_mask(folder: Path, scan: BidsScan) -> str | None:
    """The mask of a scan's session, relative to the folder."""
    session = "_".join(re.findall(r"(?:sub|ses)-[A-Za-z0-9]+", scan.entities))
    anat = scan.image.parent.relative_to(folder)
    found = [
        path
        for pattern in (anat, Path("derivatives", "*") / anat)
        for path in sorted(folder.glob(f"{pattern}/{session}_*label-lesion*_mask.nii*"))
        if "_space-" not in path.name or "_space-orig" in path.name
    ]
    if len(found) > 1:
        raise InputError(f"{session} has {len(found)} lesion masks ({', '.join(map(str, found))}); keep one of them.")
    return str(found[0].relative_to(folder)) if found else None


def _said_by_sidecar(path: Path) -> bool | None:
    sidecar = path.with_name(f"{stem(path)}.json")
    if not sidecar.is_file():
        return None
    try:
        said = json.loads(sidecar.read_text(encoding="utf-8")).get("SkullStripped")
    except (ValueError, AttributeError) as error:
        raise InputError(f"{sidecar} cannot be read as a JSON object ({error}); correct it or remove it.") from error
    return said if isinstance(said, bool) else None

"""The names of files in BIDS data sets, and the files that there are."""

from __future__ import annotations

import os
import re
from collections.abc import Container, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from stfpm3d.runtime.errors import InputError

NIFTI = re.compile(r"\.nii(\.gz)?$", re.IGNORECASE)
IMAGE = re.compile(r"\.(nii|nii\.\w+|img|hdr|mgz|mgh|mnc|nrrd|nhdr|mha|mhd)$", re.IGNORECASE)
"""How images of any format end; BIDS has `NIFTI` alone."""
END = re.compile(rf"{IMAGE.pattern}|\.json$", re.IGNORECASE)
CONTRAST = re.compile("_(T1w|T2w|FLAIR|PDw|T2starw)$")
"""The suffix of a scan's name."""
NOT_WALKED = ("sourcedata", "code")


class BidsName(NamedTuple):
    """A file's name in parts."""

    path: str
    entities: dict[str, str]
    """`{"sub": "01", "label": "lesion"}`; keys in small letters."""
    words: tuple[str, ...]
    """Its parts that are no entity, the suffix among them: `("T1w", "roi")`."""
    suffix: str
    """`T1w`; nothing where the name ends in an entity."""


Wanted = Mapping[str, str | int | Sequence[str | int | None] | None]
"""What a scan's name must say by entity, one label or several; None where it must not have the entity."""
ANY: Wanted = {}


def is_wanted(name: BidsName, wanted: Wanted) -> bool:
    """Whether a name has what is wanted of each entity; a number's leading zeros and capitals do not count."""
    return all(
        _plain_label(name.entities.get(entity))
        in [_plain_label(label) for label in (labels if isinstance(labels, list | tuple) else [labels])]
        for entity, labels in wanted.items()
    )


def _plain_label(label: object) -> str | None:
    return None if label is None else str(label).lower().lstrip("0") or "0"


class BidsScan(NamedTuple):
    """A scan of a data set."""

    entities: str
    """Its name up to the suffix, such as `sub-01_ses-02`."""
    image: Path
    skull_stripped: bool | None
    """`SkullStripped` of its sidecars; None where they do not say."""

    @property
    def subject(self) -> str:
        """`sub-01`."""
        return self.entities.partition("_")[0]

    @property
    def session_id(self) -> str:
        """`ses-02`, or n/a."""
        found = re.search(r"_(ses-[A-Za-z0-9]+)", self.entities)
        return found[1] if found else "n/a"


def stem(path: Path | str) -> str:
    """A file's name without .nii, .nii.gz or what else images and sidecars end with."""
    return END.sub("", os.path.basename(path))  # noqa: PTH119 - of every file of a data set


def parsed(path: str) -> BidsName:
    """The parts of a file's name."""
    parts = stem(path).split("_")
    entities = dict(part.split("-", 1) for part in parts if "-" in part)
    words = tuple(part for part in parts if "-" not in part)
    suffix = "" if "-" in parts[-1] else parts[-1]
    return BidsName(path, {key.lower(): value for key, value in entities.items()}, words, suffix)


def is_subject(name: str) -> bool:
    """Whether a file or folder is named after a subject."""
    return name.lower().startswith("sub-")


def contents(folder: Path | str) -> list[os.DirEntry[str]]:
    """What a folder holds, by name, without what is hidden.

    Raises
    ------
    InputError
        When the folder is closed to this user.
    """
    try:
        with os.scandir(folder) as entries:
            return sorted((entry for entry in entries if entry.name[0] != "."), key=lambda entry: entry.name)
    except PermissionError as error:
        raise InputError(f"{folder} may not be read by this user; change the permissions of the folder.") from error


def images(folder: Path, subjects: Container[str] | None = None) -> Iterator[BidsName]:
    """The images of a data set and of its derivatives, at any depth, that are named after a subject.

    A link to a folder outside the data set is followed, once.

    Parameters
    ----------
    subjects
        Names such as `sub-01`, to whose folders the search is confined; all by default.
    """
    root, seen = os.path.realpath(folder), set[str]()
    waiting = [entry for entry in contents(folder) if is_subject(entry.name) or entry.name.lower() == "derivatives"]
    while waiting:
        entry = waiting.pop(0)
        if is_subject(entry.name) and subjects is not None and entry.name.partition("_")[0] not in subjects:
            continue
        if IMAGE.search(entry.name):
            if is_subject(entry.name):
                yield parsed(entry.path)
        elif entry.name not in NOT_WALKED and entry.is_dir() and _leads_on(entry, root, seen):
            waiting[:0] = contents(entry.path)


def _leads_on(entry: os.DirEntry[str], root: str, seen: set[str]) -> bool:
    """Whether a folder is to be entered: one that is no link, or a link to a place where nobody has been."""
    if not entry.is_symlink():
        return True
    target = os.path.realpath(entry.path)
    if target in seen or os.path.commonpath([target, root]) == root:
        return False
    seen.add(target)
    return True

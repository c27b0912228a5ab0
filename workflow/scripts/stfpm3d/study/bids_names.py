"""The names of files in BIDS data sets, and the files that there are."""

from __future__ import annotations

import os
import re
from collections.abc import Container, Iterator
from pathlib import Path
from typing import NamedTuple

from stfpm3d.runtime.errors import InputError

NIFTI = re.compile(r"\.nii(\.gz)?$", re.IGNORECASE)
OTHER_IMAGE = re.compile(r"\.(img|hdr|mgz|mgh|mnc|nrrd|nhdr|mha|mhd|nii\.\w+)$", re.IGNORECASE)
"""How images of other formats end, which are no NIfTI file as BIDS has it."""
CONTRAST = re.compile("_(T1w|T2w|FLAIR|PDw|T2starw)$")
"""The suffix of a scan's name."""
NOT_WALKED = ("sourcedata", "code")


class BidsName(NamedTuple):
    """A file's name in parts."""

    path: Path
    entities: dict[str, str]
    """`{"sub": "01", "label": "lesion"}`; keys in small letters."""
    words: tuple[str, ...]
    """Its parts that are no entity, the suffix last: `("T1w", "roi")`."""

    @property
    def suffix(self) -> str:
        """`T1w`, or nothing."""
        return self.words[-1] if self.words else ""


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


def stem(path: Path) -> str:
    """A file's name without .nii, .nii.gz or what else it ends with."""
    return NIFTI.sub("", OTHER_IMAGE.sub("", re.sub(r"\.json$", "", path.name, flags=re.IGNORECASE)))


def parsed(path: Path) -> BidsName:
    """The parts of a file's name."""
    parts = stem(path).split("_")
    entities = dict(part.split("-", 1) for part in parts if "-" in part)
    words = tuple(part for part in parts if "-" not in part)
    return BidsName(path, {key.lower(): value for key, value in entities.items()}, words)


def is_subject(name: str) -> bool:
    """Whether a file or folder is named after a subject."""
    return name.lower().startswith("sub-")


def contents(folder: Path) -> list[Path]:
    """What a folder holds, by name, without what is hidden.

    Raises
    ------
    InputError
        When the folder is closed to this user.
    """
    try:
        return [folder / name for name in sorted(os.listdir(folder)) if not name.startswith(".")]  # noqa: PTH208
    except PermissionError as error:
        raise InputError(f"{folder} may not be read by this user; change the permissions of the folder.") from error


def images(folder: Path, subjects: Container[str] | None = None) -> Iterator[BidsName]:
    """The images of a data set and of its derivatives, at any depth, that are named after a subject.

    Parameters
    ----------
    subjects
        Names such as `sub-01`, to whose folders the search is confined; all by default.
    """
    for path in contents(folder):
        if path.name.lower() == "derivatives" or (is_subject(path.name) and (not subjects or path.name in subjects)):
            yield from _images_below(path, subjects, set())


def _images_below(path: Path, subjects: Container[str] | None, seen: set[str]) -> Iterator[BidsName]:
    if not path.is_dir():
        if is_subject(path.name) and (NIFTI.search(path.name) or OTHER_IMAGE.search(path.name)):
            yield parsed(path)
        return
    if (real := os.path.realpath(path)) in seen:  # links may lead round in a circle
        return
    seen.add(real)
    for entry in contents(path):
        name = entry.name
        other = is_subject(name) and subjects is not None and name.partition("_")[0] not in subjects
        if not other and name not in NOT_WALKED:
            yield from _images_below(entry, subjects, seen)

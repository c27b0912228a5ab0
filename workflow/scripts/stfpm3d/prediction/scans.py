"""Which scans are given: a table, one NIfTI file, a folder of them, or a BIDS data set; no scan is read."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from stfpm3d.runtime.errors import InputError, windows_remark
from stfpm3d.study.bids import bids_scans, is_bids
from stfpm3d.study.bids_names import CONTRAST, NIFTI, stem
from stfpm3d.study.bids_remarks import scan_remarks
from stfpm3d.study.cohort import MISSING
from stfpm3d.study.sheets import read_rows

ANSWERS = {"true": True, "false": False}
MOST_TOLD = 5
"""Of the subfolders that are passed over."""
ENTITIES = re.compile("(sub-[A-Za-z0-9]+)(?:_(ses-[A-Za-z0-9]+))?")


class GivenScan(NamedTuple):
    """A scan to predict."""

    name: str
    """BIDS entities, `sub-` first, by which all its outputs are called, such as `sub-01_ses-02`."""
    image: str
    skull_stripped: bool | None = None
    """None where nobody says; the image tells."""
    source: str = ""
    """What of the image's path may be published: that from the folder of the table, file or data set, or its name alone
    where it lies elsewhere."""
    link: str = "scans"
    """By which the data set of the predictions names that folder."""

    @property
    def folder(self) -> str:
        """Where its outputs lie below a data set: `sub-01/ses-02/anat`."""
        return "/".join([*re.findall(r"(?:sub|ses)-[A-Za-z0-9]+", self.name), "anat"])


def list_scans(given: Path | str, suffix: str) -> list[GivenScan]:
    """List the scans in a table (.tsv), a NIfTI file, a folder of NIfTI files or a BIDS data set.

    Parameters
    ----------
    given
        A table has the column `image` (paths relative to it) and may have `participant_id`, `session_id` and
        `skull_stripped`.
    suffix
        The bundle's contrast: T1w, T2w or FLAIR. Of a BIDS data set only such scans are taken. Elsewhere a scan of
        another one by its name, which will be refused, is called by its contrast too: `sub-01_T2w`.

    Raises
    ------
    InputError
        When there is nothing of the kind, or two scans would have one name.
    """
    path = Path(given)
    if path.is_dir():
        scans = _of_dataset(path, suffix) if is_bids(path) else _of_folder(path)
    elif NIFTI.search(path.name):
        scans = [GivenScan(_name(*_by_file(path)), str(path), None, path.name)]
    elif path.is_file():
        scans = _of_table(path)
    else:
        raise InputError(
            f"{path} does not exist{windows_remark(str(path))}; give a table of scans (.tsv), a NIfTI file or a folder"
            " of them."
        )
    named = [scan._replace(name=scan.name + _other_contrast(scan, suffix)) for scan in scans]
    _check_names(named)
    return named


def passed_over(given: Path | str, suffix: str, own: str) -> list[str]:
    """Sentences on what is not read: NIfTI files in subfolders of a folder of scans, or what a data set has of such.

    Parameters
    ----------
    suffix
        The bundle's contrast.
    own
        A file that every folder of predictions has; what lies in such a one is nobody's scan.
    """
    folder = Path(given)
    if not folder.is_dir():
        return []
    if is_bids(folder):
        return scan_remarks(folder, suffix)
    counts: dict[str, int] = {}
    for place, subfolders, names in os.walk(folder):
        subfolders[:] = [name for name in subfolders if name[0] != "." and not Path(place, name, own).is_file()]
        if count := sum(bool(NIFTI.search(name)) for name in names if name[0] != "."):
            top = Path(place).relative_to(folder).parts[:1]
            counts |= {part: counts.get(part, 0) + count for part in top}
    if not counts:
        return []
    told = [f"{name} ({count})" for name, count in sorted(counts.items())]
    rest = f" and {len(told) - MOST_TOLD} more" if len(told) > MOST_TOLD else ""
    return [
        f"{sum(counts.values())} NIfTI file(s) in subfolders of {folder} are not read: {', '.join(told[:MOST_TOLD])}"
        f"{rest}; to have them predicted, list them in a table, or give each subfolder by itself."
    ]


def _other_contrast(scan: GivenScan, suffix: str) -> str:
    """`_T2w` of a scan that is T2w by its name where the bundle is of another contrast, else nothing."""
    named = CONTRAST.search(stem(Path(scan.image)))
    return named[0] if named and named[1] != suffix else ""


def scans_folder(given: Path | str) -> Path:
    """The folder from which the sources of scans count."""
    path = Path(given)
    return path if path.is_dir() else path.parent


def _of_dataset(folder: Path, suffix: str) -> list[GivenScan]:
    return [
        GivenScan(scan.entities, str(scan.image), scan.skull_stripped, scan.image.relative_to(folder).as_posix())
        for scan in bids_scans(folder, suffix)
    ]


def _of_folder(folder: Path) -> list[GivenScan]:
    found = sorted(path for path in folder.iterdir() if NIFTI.search(path.name) and not path.name.startswith("."))
    if not found:
        raise InputError(
            f"{folder} itself holds no NIfTI file (.nii or .nii.gz) and is no BIDS data set; give a folder with scans,"
            " or a table that lists them."
        )
    return [GivenScan(_name(*_by_file(path)), str(path), None, path.name) for path in found]


def _of_table(path: Path) -> list[GivenScan]:
    (_, header), *rows = read_rows(path, f"table {path}") or [(1, [])]
    if "image" not in header:
        raise InputError(
            f"table {path} lacks the column image; found {', '.join(header) or 'nothing'}: name it, and separate the"
            " columns by tabs."
        )
    if not rows:
        raise InputError(f"table {path} has no rows; add one for each scan.")
    scans = []
    for line, cells in rows:
        row = {key: cell for key, cell in zip(header, cells, strict=False) if cell.lower() not in MISSING}
        if "image" not in row:
            raise InputError(f"table {path}, line {line}: there is no image; give the path of a scan.")
        said = row.get("skull_stripped", "").lower()
        if said not in ("", *ANSWERS):
            raise InputError(
                f"table {path}, line {line}: skull_stripped is {said!r}, expected true, false, or n/a where the image"
                " shall tell."
            )
        named = "participant_id" in row
        subject, session = (row["participant_id"], None) if named else _by_file(Path(row["image"]))
        name = _name(subject, row.get("session_id", session))
        image = path.parent / row["image"]
        source = Path(os.path.relpath(image, path.parent))
        source = source.name if ".." in source.parts else source.as_posix()
        scans.append(GivenScan(name, str(image), ANSWERS.get(said), source))
    return scans


def _by_file(image: Path) -> tuple[str, str | None]:
    """The subject, and the session if it has one, of a scan that its file alone names; its contrast is none of them."""
    name = CONTRAST.sub("", stem(image))
    entities = ENTITIES.fullmatch(name)
    return (entities[1], entities[2]) if entities else (name, None)


def _name(subject: str, session: str | None = None) -> str:
    """Entities of BIDS, whose labels hold letters and digits alone."""
    parts = {"sub": subject, "ses": session} if session else {"sub": subject}
    labels = {key: re.sub("[^A-Za-z0-9]", "", value.removeprefix(f"{key}-")) for key, value in parts.items()}
    if not all(labels.values()):
        raise InputError(f"{' '.join(parts.values())!r} holds neither letters nor digits; give the scan another name.")
    return "_".join(f"{key}-{label}" for key, label in labels.items())


def _check_names(scans: Iterable[GivenScan]) -> None:
    found: dict[str, str] = {}
    for scan in scans:
        if first := found.get(scan.name.lower()):
            raise InputError(
                f"{scan.image} and {first} would both be called {scan.name}; give them a participant_id and a"
                " session_id of their own in a table."
            )
        found[scan.name.lower()] = scan.image

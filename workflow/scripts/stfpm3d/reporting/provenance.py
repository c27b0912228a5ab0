"""Where a page comes from: code, software, machine, config and durations, without folders, users and hosts."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import pandas as pd
import yaml

from stfpm3d import __version__
from stfpm3d.runtime.digest import pinned_packages

ROOT = Path(__file__).resolve().parents[4]


class Stage(NamedTuple):
    """How long a rule's jobs took when each last ran."""

    rule: str
    jobs: int
    minutes: float
    longest_min: float


class Provenance(NamedTuple):
    """What every page tells of its making."""

    date: str
    version: str
    commit: str | None
    """The short hash, with `+` where files differ from it; None where the project is no git repository."""
    machine: str
    software: Mapping[str, str]


def provenance() -> Provenance:
    """Of a page that is written now."""
    pinned = dict.fromkeys(
        package for name in ("imaging", "learning") for package in pinned_packages(ROOT / "envs" / f"{name}.yaml")
    )
    packages = dict(package.split("==") for package in pinned)
    return Provenance(
        date=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        version=__version__,
        commit=commit_of(ROOT),
        machine=f"{platform.system()} {platform.machine()}, {os.cpu_count()} CPUs{_memory()}",
        software={"python": platform.python_version()} | {name: _installed(name, packages[name]) for name in packages},
    )


def commit_of(root: Path) -> str | None:
    """The commit of the repository whose root a folder is; None where it is none, though it may lie in another's."""
    command = ["git", "-C", str(root), "describe", "--always", "--dirty=+", "--exclude=*"]
    environment = {**os.environ, "GIT_CEILING_DIRECTORIES": str(root.parent)}
    try:
        return subprocess.run(command, capture_output=True, check=True, text=True, env=environment).stdout.strip()
    except (OSError, subprocess.CalledProcessError):  # no git, or no repository
        return None


def _memory() -> str:
    if not hasattr(os, "sysconf"):  # Windows
        return ""
    return f", {os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 1e9:.0f} GB of memory"


def _installed(package: str, pinned: str) -> str:
    """The version at hand; of what another job's environment holds, the one that is pinned."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return pinned


def config_text(config: Mapping[str, Any]) -> str:
    """A config as YAML, the folders of its paths left out: they may name people."""
    return yaml.safe_dump(_without_folders(config), sort_keys=False, allow_unicode=True)


def _without_folders(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _without_folders(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_without_folders(inner) for inner in value]
    return PurePosixPath(value.replace("\\", "/")).name if isinstance(value, str) else value


def stages(folder: Path) -> list[Stage]:
    """The durations that Snakemake's benchmarks in a folder hold, the longest rule first."""
    rows = [
        (path.relative_to(folder).with_suffix("").parts[0], float(pd.read_csv(path, sep="\t")["s"].mean()) / 60)
        for path in sorted(folder.rglob("*.tsv"))
    ]
    table = pd.DataFrame(rows, columns=["rule", "minutes"])
    found = [
        Stage(str(rule), len(times), float(times.sum()), float(times.max()))
        for rule, times in table.groupby("rule")["minutes"]
    ]
    return sorted(found, key=lambda stage: -stage.minutes)

"""A clone of the workflow in which the tiny cohort has run once; tests look at its results and plan further runs."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PARTS = ("Snakefile", "config", "envs", "profiles", "workflow", "README.md")


class Project:
    """A copy of the workflow's files, to run, change and plan in."""

    def __init__(self, folder: Path, *overrides: Path) -> None:
        self.folder = folder
        self.overrides = overrides
        for part in PARTS:
            copy = shutil.copytree if (ROOT / part).is_dir() else shutil.copy2
            copy(ROOT / part, folder / part)

    def snakemake(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        """Run Snakemake on the overrides, all output in `stdout`."""
        command = [sys.executable, "-m", "snakemake", "--cores", "2", *arguments]
        if self.overrides:
            command += ["--configfile", *self.overrides]
        return subprocess.run(
            list(map(str, command)),
            cwd=self.folder,
            text=True,
            check=False,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )

    def run(self, *arguments: str | Path) -> str:
        """Run Snakemake, which must succeed."""
        done = self.snakemake(*arguments)
        assert done.returncode == 0, done.stdout[-8000:]
        return done.stdout

    def planned(self, *arguments: str | Path) -> dict[str, int]:
        """The rules that a dry run would run, with the number of jobs of each."""
        output = self.run("--dry-run", "--quiet", "rules", *arguments)
        if "Nothing to be done" in output:
            return {}
        table = output.split("Job stats:")[1].split("total")[0]
        jobs = {name: int(count) for name, count in re.findall(r"^(\w+) +(\d+)$", table, flags=re.MULTILINE)}
        return {name: count for name, count in jobs.items() if name != "all"}

    @contextmanager
    def edited(self, name: str, old: str, new: str) -> Iterator[None]:
        """Replace a text in a file of the project, and put the file back as it was."""
        path = self.folder / name
        text, times = path.read_text(encoding="utf-8"), path.stat()
        assert old in text, f"{name} does not hold {old!r}"
        path.write_text(text.replace(old, new), encoding="utf-8")
        try:
            yield
        finally:
            path.write_text(text, encoding="utf-8")
            os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


@pytest.fixture(scope="session")
def finished(tmp_path_factory) -> Project:
    """The tiny cohort, run to its report."""
    project = Project(tmp_path_factory.mktemp("tiny"), Path(__file__).with_name("tiny.yaml"))
    project.run()
    return project

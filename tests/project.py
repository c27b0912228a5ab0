"""Clones of the workflow to run, change and plan in, and the tiny cohort that runs in one of them once."""

from __future__ import annotations

import gzip
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import torch
import yaml

import planning
from published import published_weights
from stfpm3d.demo.participants import demo_participants

ROOT = Path(__file__).resolve().parents[1]
PARTS = ("Makefile", "README.md", "Snakefile", "config", "envs", "models", "profiles", "requirements.txt", "workflow")


def copy_workflow(folder: Path) -> None:
    """Copy what a user's clone has, beside documents and tests, into a folder."""
    for part in PARTS:
        copy = shutil.copytree if (ROOT / part).is_dir() else shutil.copy2
        copy(ROOT / part, folder / part)


@dataclass
class Project:
    """A folder with the workflow's files, to run, change and plan in; `overrides` are config files in it."""

    folder: Path
    overrides: tuple[str, ...] = ()

    @classmethod
    def clone(cls, folder: Path, *overrides: str) -> Project:
        """The workflow's files and `tiny.yaml` in an empty folder."""
        copy_workflow(folder)
        shutil.copy2(ROOT / "tests/workflow/tiny.yaml", folder)
        return cls(folder, overrides)

    def copy(self, folder: Path) -> Project:
        """The same project, results and all, in a new folder."""
        shutil.copytree(self.folder, folder)
        return Project(folder, self.overrides)

    def arguments(self, *arguments: str | Path) -> list[str]:
        """Snakemake's arguments, the overrides among them."""
        overrides = ["--configfile", *self.overrides] if self.overrides else []
        return ["--cores", "2", *map(str, arguments), *overrides]

    def command(self, *arguments: str | Path) -> list[str]:
        """Snakemake on the overrides."""
        return [sys.executable, "-m", "snakemake", *self.arguments(*arguments)]

    def snakemake(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        """Run Snakemake on the overrides, all output in `stdout`."""
        return subprocess.run(
            self.command(*arguments),
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

    def plan(self, *arguments: str | Path) -> str:
        """The output of a dry run, which must succeed."""
        status, output = planning.snakemake(self.folder, self.arguments(*arguments, *DRY_RUN))  # --quiet takes targets
        assert status == 0, output[-8000:]
        return output

    def planned(self, *arguments: str | Path) -> dict[str, int]:
        """The rules that a dry run would run, with the number of jobs of each."""
        return planned_rules(self.plan(*arguments))

    @contextmanager
    def kept(self, name: str) -> Iterator[Path]:
        """A file of the project that is put back as it was, content and times."""
        path = self.folder / name
        content, times = path.read_bytes(), path.stat()
        try:
            yield path
        finally:
            path.write_bytes(content)
            os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))

    @contextmanager
    def edited(self, name: str, old: str, new: str) -> Iterator[None]:
        """Replace a text in a file of the project, and put the file back."""
        with self.kept(name) as path:
            text = path.read_text(encoding="utf-8")
            assert old in text, f"{name} does not hold {old!r}"
            path.write_text(text.replace(old, new), encoding="utf-8")
            yield


DRY_RUN = ("--dry-run", "--quiet", "rules")


def planned_rules(output: str) -> dict[str, int]:
    """The rules of a dry run's output, the one that asks for the results left out, with the number of jobs of each."""
    if "Nothing to be done" in output:
        return {}
    table = output.split("Job stats:")[1].split("total")[0]
    jobs = {name: int(count) for name, count in re.findall(r"^(\w+) +(\d+)$", table, flags=re.MULTILINE)}
    return {name: count for name, count in jobs.items() if name not in ("all", "everything")}


PARTS_OF_GROUP = {"healthy": (4, 3, 3), "patient": (2, 2, 2)}
SPARE = "sub-demoH10"
"""A healthy subject whose scan lies beside the others, but whom the table does not name."""
FITTED = {"landmarks", "zscore_statistics", "teacher", "student", "feature_gaussian", "fanogan", "segmenter"}
"""The rules that learn from training and validation scans."""
SECRET = "Jane Doe"
"""What stands in the headers of all given scans, and must stand in nothing that is made to be shared."""


def plant(scan: Path) -> None:
    """Write `SECRET` into the fields of a NIfTI header (.nii.gz) that hold free text: `descrip` and `aux_file`."""
    content = bytearray(gzip.decompress(scan.read_bytes()))
    for start, length in ((148, 80), (228, 24)):
        content[start : start + length] = SECRET.encode().ljust(length, b"\0")
    scan.write_bytes(gzip.compress(content, 1))


def finished_run(folder: Path) -> Project:
    """A tiny cohort as a user would bring it, in `data/participants.tsv` of an empty folder, run to its report."""
    counts = {group: dict(zip(("train", "val", "test"), parts, strict=True)) for group, parts in PARTS_OF_GROUP.items()}
    project = Project.clone(folder, "tiny.yaml", "demo.yaml")
    demo = {"cohort": {"participants": "demo"}, "demo": counts}
    (folder / "demo.yaml").write_text(yaml.safe_dump(demo), encoding="utf-8")
    (folder / "data").mkdir()
    torch.save(published_weights(), folder / "data/resnet18.pth")
    table = pd.DataFrame(demo_participants(0, PARTS_OF_GROUP["healthy"], PARTS_OF_GROUP["patient"]))
    files = [*table["image"], *table["lesion_mask"][table["lesion_mask"] != "n/a"]]
    project.run(*(f"results/demo/{name}" for name in files))
    for name in files:
        (folder / "results/demo" / name).rename(folder / "data" / name)
        plant(folder / "data" / name)
    shutil.rmtree(folder / "results")
    table[table["participant_id"] != SPARE].to_csv(folder / "data/participants.tsv", sep="\t", index=False)
    project.overrides = ("tiny.yaml",)
    project.run()
    return project

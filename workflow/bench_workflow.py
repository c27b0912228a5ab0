"""Rows of bench.py that run the workflow itself: the plan, the driver, imports, registration (docs/benchmarks.md)."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PARTS = ("Snakefile", "workflow", "config", "envs", "profiles")
"""Of the project, what a run needs."""
SHARES = {"train": 0.6, "val": 0.2, "test": 0.2}
STUB = """from pathlib import Path

for path in map(Path, snakemake.output):
    path.mkdir() if not path.suffix else path.write_text("made")
"""
MEASURED = """
import json, re, sys, time
from pathlib import Path
from snakemake.cli import main

try:
    main(sys.argv[2:])
finally:
    peak_kb = int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
    Path(sys.argv[1]).write_text(json.dumps({"cpu_s": time.process_time(), "memory_gb": peak_kb * 1024 / 1e9}))
"""
"""Snakemake, and the CPU seconds and peak memory of itself without its jobs."""
SCRIPTS = {
    "maps by networks": "stfpm3d.maps.network",
    "maps by f-AnoGAN": "stfpm3d.maps.reconstruction",
    "maps without networks": "stfpm3d.maps.baselines",
    "a training": "stfpm3d.learning.student",
}
"""What a job of each kind imports."""


def checked(command: Sequence[str], folder: Path) -> str:
    """The output of a command.

    Raises
    ------
    RuntimeError
        When it fails.
    """
    done = subprocess.run(command, cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)[:200]} failed: {done.stdout[-2500:]}")
    return done.stdout


def snakemake(project: Path, folder: Path, *arguments: str) -> dict[str, float]:
    """Run Snakemake of a project in a folder that holds `bench.yaml`: what it took itself, and how many jobs it has."""
    found = folder / "measured.json"
    options = ["--snakefile", str(project / "Snakefile"), "--directory", str(folder), "--cores", "2"]
    options += ["--workflow-profile", str(project / "profiles/default"), *arguments]
    command = [sys.executable, "-c", MEASURED, str(found), *options, "--configfile", str(folder / "bench.yaml")]
    jobs = re.search(r"^total +(\d+)$", checked(command, project), flags=re.MULTILINE)
    return {**json.loads(found.read_text()), "jobs": int(jobs[1]) if jobs else 0}


def write_cohort(folder: Path, healthy: Sequence[int], patient: Sequence[int], resolution_mm: float = 2) -> None:
    """Write a config of the demo's cohort, of so many scans to train, validate and test."""
    demo = {
        group: dict(zip(SHARES, counts, strict=True)) for group, counts in (("healthy", healthy), ("patient", patient))
    }
    config = {"demo": demo, "template": {"resolution_mm": resolution_mm}}
    (folder / "bench.yaml").write_text(json.dumps(config), encoding="utf-8")


def divided(subjects: int) -> tuple[list[int], list[int]]:
    """So many subjects, one in five a patient, as numbers to train, validate and test."""
    healthy, patient = (
        [round(count * share) for share in SHARES.values()] for count in (subjects * 0.8, subjects * 0.2)
    )
    return healthy, patient


def plan(subjects: int) -> dict[str, float]:
    """A dry run of everything for so many subjects."""
    with tempfile.TemporaryDirectory() as name:
        write_cohort(Path(name), *divided(subjects))
        return snakemake(ROOT, Path(name), "--dry-run", "--quiet", "rules")


def driver(subjects: int) -> dict[str, float]:
    """The stages up to stripped scans by scripts that only write their outputs."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for part in PARTS:
            copy = shutil.copytree if (ROOT / part).is_dir() else shutil.copy2
            copy(ROOT / part, folder / part)
        for script in (folder / "workflow/scripts").glob("*.py"):
            script.write_text(STUB, encoding="utf-8")
        write_cohort(folder, *divided(subjects))
        planning = snakemake(folder, folder, "--until", "strip", "--dry-run", "--quiet", "all")["cpu_s"]
        found = snakemake(folder, folder, "--until", "strip")
        return {**found, "planning_s": planning, "per_job_s": (found["cpu_s"] - planning) / found["jobs"]}


def imports() -> dict[str, float]:
    """CPU seconds of what a job imports before it works, the least of three."""
    code = "import sys, time; __import__(sys.argv[1]); print(time.process_time())"
    folder = ROOT / "workflow/scripts"
    return {
        kind: min(float(checked([sys.executable, "-c", code, module], folder)) for _ in range(3))
        for kind, module in SCRIPTS.items()
    }


def registration(resolution_mm: float) -> dict[str, Any]:
    """From raw heads of the demo to the grid, two scans (a whole head and a brain); see bench_registration.py."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_cohort(folder, (2, 3, 1), (1, 1, 1), resolution_mm)
        wanted = [f"results/template/{part}.nii.gz" for part in ("head", "brain", "mask")]
        scans = [f"results/demo/sub-demo{one}_T2w.nii.gz" for one in ("H01", "P01")]
        snakemake(ROOT, folder, *wanted, *scans)
        rows = [f"{Path(scan).name.split('_')[0]}\t{scan}\t{str('P' in scan).lower()}" for scan in scans]
        table = folder / "participants.tsv"
        table.write_text("\n".join(["participant_id\timage\tskull_stripped", *rows]) + "\n", encoding="utf-8")
        command = [sys.executable, str(ROOT / "workflow/bench_registration.py"), "--participants", str(table)]
        command += ["--template", "results/template", "--output", "scans.tsv"]
        said = checked(command, folder)
        return json.loads(said[said.index("{\n") :])


ROWS: dict[str, Callable[[], dict[str, Any]]] = {
    "imports": imports,
    "plan_500": lambda: plan(500),
    "plan_1000": lambda: plan(1000),
    "plan_2000": lambda: plan(2000),
    "driver_400_jobs": lambda: driver(132),
    "registration_2mm": lambda: registration(2),
    "registration_1mm": lambda: registration(1),
}

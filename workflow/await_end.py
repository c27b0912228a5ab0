"""Wait until nothing works in this directory any more, or say what still does (for `make resume`)."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import psutil

sys.path.insert(0, str(Path(__file__).with_name("scripts")))

from stfpm3d.runtime.run_note import NOTE, RunNote, last_run

PATIENCE_S = 5  # jobs whose Snakemake is gone end by themselves within a second


def is_at_work(process: psutil.Process, folder: Path) -> bool:
    """Whether a process is a Snakemake of this directory, or one of its jobs."""
    try:
        arguments = process.cmdline()
        return (
            any(Path(argument).name == "snakemake" or ".snakemake/scripts/" in argument for argument in arguments)
            and Path(process.cwd()) == folder
        )
    except (psutil.NoSuchProcess, psutil.AccessDenied):  # ended meanwhile, or another user's
        return False


def slurm_jobs(folder: Path, run: RunNote | None) -> list[str]:
    """The user's jobs of this directory, or that drive its run, that wait or run in SLURM, but for the one that asks.

    They outlive a Snakemake that was killed: it can no longer cancel them, and on their nodes nothing misses it. Where
    SLURM does not answer there are none, unless the run was driven by a job elsewhere, or had jobs there.
    """
    driver = run.driving_job() if run is not None else None
    needed = driver is not None or (run is not None and run.jobs_on_slurm)
    if not shutil.which("squeue"):
        if not needed:
            return []
        sys.exit(f"SLURM's squeue is not here, which alone tells whether jobs of {folder} still run; try where it is.")
    asked = subprocess.run(
        ["squeue", "--me", "--noheader", "--format=%A %Z"], capture_output=True, text=True, check=False
    )
    if asked.returncode != 0:
        if not needed:
            return []
        reason = " ".join(asked.stderr.split()).rstrip(".")
        sys.exit(
            f"squeue fails ({reason}), so nobody knows whether SLURM still runs jobs of {folder}; try again later."
        )
    jobs = (line.split(maxsplit=1) for line in asked.stdout.splitlines() if line.strip())
    asking = os.environ.get("SLURM_JOB_ID")
    return [job for job, place in jobs if job != asking and (job == driver or Path(place).resolve() == folder)]


def main() -> None:
    """Wait, or exit with what is still at work."""
    folder = Path.cwd()
    _, alive = psutil.wait_procs([p for p in psutil.process_iter() if is_at_work(p, folder)], PATIENCE_S)
    if alive:
        ids = ", ".join(str(process.pid) for process in alive)
        sys.exit(f"A run of {folder} is still alive (process {ids}); wait for its end, or end it, and try again.")
    run = last_run()
    if run is not None and run.elsewhere():
        sys.exit(
            f"The run of {folder} was started on {run.host} (process {run.pid}), which cannot be looked at from here;"
            f" end or resume it there or, if it has died, remove {NOTE} and try again."
        )
    if jobs := slurm_jobs(folder, run):
        cancel = f"scancel {' '.join(jobs)}"
        sys.exit(f"SLURM still has jobs of {folder}; wait for their end, or end them ({cancel}), and try again.")


if __name__ == "__main__":
    main()

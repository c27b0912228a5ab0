"""Wait until nothing works in this directory any more, or say what still does (for `make resume`)."""

from __future__ import annotations

import sys
from pathlib import Path

import psutil

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


def main() -> None:
    folder = Path.cwd()
    _, alive = psutil.wait_procs([p for p in psutil.process_iter() if is_at_work(p, folder)], PATIENCE_S)
    if alive:
        ids = ", ".join(str(process.pid) for process in alive)
        sys.exit(f"A run of {folder} is still alive (process {ids}); wait for its end, or end it, and try again.")


if __name__ == "__main__":
    main()

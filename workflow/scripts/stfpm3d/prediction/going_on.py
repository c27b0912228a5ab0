"""A set of predictions goes on after a run of it was killed, and is no two runs' at once."""

from __future__ import annotations

import time
from pathlib import Path

from stfpm3d.prediction.data_set import RUN
from stfpm3d.runtime.errors import InputError
from stfpm3d.runtime.lifeline import INTERVAL_S
from stfpm3d.runtime.run_note import forget_run, last_run

LOCKS = Path(".snakemake", "locks")


def go_on(out: str) -> None:
    """Make way for a run of a set: what a killed one left, its note and Snakemake's locks, is removed.

    Parameters
    ----------
    out
        The folder of the set, as the paths of the rules begin.

    Raises
    ------
    InputError
        When a run of the set is at work, or nobody here can know whether one is.
    """
    note = Path(out, RUN)
    try:
        run = last_run(note)
    except (ValueError, TypeError):  # the machine went down while it was written
        run = None
    if run is not None:
        if run.alive():
            raise InputError(
                f"A run that predicts to {out} is at work (process {run.pid}); wait for its end, or end it."
            )
        if run.elsewhere() or run.jobs_on_slurm:
            where = "had jobs on SLURM" if run.jobs_on_slurm else f"was started on {run.host} (process {run.pid})"
            raise InputError(
                f"The last run that predicted to {out} {where}, and did not say that it has ended; if nothing of it is"
                f" left, remove {note} and run again."
            )
        time.sleep(2 * INTERVAL_S)  # jobs whose Snakemake is gone end by themselves
    forget_run(note)
    for lock in LOCKS.glob("*.lock"):
        if any(line.startswith(f"{out}/") for line in lock.read_text(encoding="utf-8").splitlines()):
            lock.unlink(missing_ok=True)

"""Where the run of a folder is driven, noted while it lasts: another machine that shares the folder cannot see it."""

from __future__ import annotations

import json
import os
import socket
from dataclasses import asdict, dataclass
from pathlib import Path

NOTE = Path(".snakemake/run.json")


@dataclass(frozen=True)
class RunNote:
    """The machine and process of a Snakemake, the SLURM job that it is itself, if it is one, and where its jobs are."""

    host: str
    pid: int
    slurm_job: str | None
    jobs_on_slurm: bool

    def elsewhere(self) -> bool:
        """Whether the process cannot be looked for here: it is another machine's, and no job of SLURM."""
        return self.host != socket.gethostname() and self.slurm_job is None

    def driving_job(self) -> str | None:
        """The job of SLURM that drives the run on another machine, if one does."""
        return self.slurm_job if self.host != socket.gethostname() else None


def note_run(slurm_job: str | None, jobs_on_slurm: bool) -> None:
    """Note this process, and the SLURM job that it is, as what drives the run of the working directory."""
    note = RunNote(socket.gethostname(), os.getpid(), slurm_job, jobs_on_slurm)
    NOTE.write_text(json.dumps(asdict(note)), encoding="utf-8")


def forget_run() -> None:
    """Remove the note: the run has ended by itself."""
    NOTE.unlink(missing_ok=True)


def last_run() -> RunNote | None:
    """The run of the working directory that has not ended by itself; None where all have."""
    return RunNote(**json.loads(NOTE.read_text(encoding="utf-8"))) if NOTE.is_file() else None

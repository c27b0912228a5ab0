"""Where the run of a folder is driven, noted while it lasts: another machine that shares the folder cannot see it."""

from __future__ import annotations

import json
import os
import socket
from dataclasses import asdict, dataclass
from pathlib import Path

NOTE = Path(".snakemake/run.json")
PROCESSES = Path("/proc")


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

    def alive(self) -> bool:
        """Whether the process is still a Snakemake of this machine, and not this one."""
        if self.host != socket.gethostname() or self.pid == os.getpid():
            return False
        if not PROCESSES.is_dir():  # as on macOS: there the id must do, of a process of this user
            try:
                os.kill(self.pid, 0)
            except (ProcessLookupError, PermissionError):
                return False
            return True
        try:
            return b"snakemake" in (PROCESSES / str(self.pid) / "cmdline").read_bytes()
        except (FileNotFoundError, ProcessLookupError):  # the latter if it ends while it is read
            return False


def note_run(slurm_job: str | None, jobs_on_slurm: bool, note: Path = NOTE) -> None:
    """Note this process, and the SLURM job that it is, as what drives the run of the working directory."""
    run = RunNote(socket.gethostname(), os.getpid(), slurm_job, jobs_on_slurm)
    note.write_text(json.dumps(asdict(run)), encoding="utf-8")


def forget_run(note: Path = NOTE) -> None:
    """Remove the note: the run has ended by itself."""
    note.unlink(missing_ok=True)


def last_run(note: Path = NOTE) -> RunNote | None:
    """The run of the working directory that has not ended by itself; None where all have."""
    return RunNote(**json.loads(note.read_text(encoding="utf-8"))) if note.is_file() else None

"""A job ends when what started it is gone: after a SIGKILL of Snakemake no orphan goes on writing."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from threading import Thread

DRIVER_VARIABLE = "STFPM3D_DRIVER"  # the process id of the Snakemake that starts the jobs; it sets it for them
INTERVAL_S = 0.5
PROCESSES = Path("/proc")


def end_with_driver(log: Path | str) -> None:
    """End this process by SIGKILL as soon as its Snakemake or its parent process is gone; nothing without a Snakemake.

    The parent may be a shell, which outlives Snakemake, or the first process of a training on several devices, which
    may be killed alone. A thread looks twice a second, which works on every system, and leaves a line in `log`.
    """
    if driver := os.environ.get(DRIVER_VARIABLE):
        Thread(target=_watch, args=(int(driver), os.getppid(), Path(log)), daemon=True).start()


def _watch(driver: int, parent: int, log: Path) -> None:
    while os.getppid() == parent and _is_driver(driver):
        time.sleep(INTERVAL_S)
    try:
        with log.open("a", encoding="utf-8") as file:  # not by logging: a full pipe to nobody would block it
            file.write("The Snakemake that started this job is gone: the job ends here.\n")
    finally:
        os.kill(os.getpid(), signal.SIGKILL)


def _is_driver(pid: int) -> bool:
    """Whether the process of this id was there before this job: what got the id after its driver's end is younger."""
    if not PROCESSES.is_dir():  # as on macOS: there the id must do, of a process of this user
        try:
            os.kill(pid, 0)
        except (ProcessLookupError, PermissionError):
            return False
        return True
    started = _start(pid)
    return started is not None and started <= (_start(os.getpid()) or 0)


def _start(pid: int) -> int | None:
    """When a process started, in clock ticks since boot (proc(5), field 22 of `stat`); None if there is none."""
    try:
        stat = (PROCESSES / str(pid) / "stat").read_text()
    except (FileNotFoundError, ProcessLookupError):  # the latter if it ends while it is read
        return None
    return int(stat.rpartition(")")[2].split()[19])

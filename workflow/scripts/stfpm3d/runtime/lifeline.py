"""A job ends when what started it is gone: after a SIGKILL of Snakemake no orphan goes on writing."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from threading import Thread

DRIVER_VARIABLE = "STFPM3D_DRIVER"  # the process id of the Snakemake that starts the jobs; it sets it for them
INTERVAL_S = 0.5


def end_with_driver(log: Path | str) -> None:
    """End this process by SIGKILL as soon as its Snakemake or its parent process is gone; nothing without a Snakemake.

    The parent may be a shell, which outlives Snakemake, or the first process of a training on several devices, which
    may be killed alone. A thread looks twice a second, which works on every system, and leaves a line in `log`.
    """
    if driver := os.environ.get(DRIVER_VARIABLE):
        Thread(target=_watch, args=(int(driver), os.getppid(), Path(log)), daemon=True).start()


def _watch(driver: int, parent: int, log: Path) -> None:
    while os.getppid() == parent and _exists(driver):
        time.sleep(INTERVAL_S)
    try:
        with log.open("a", encoding="utf-8") as file:  # not by logging: a full pipe to nobody would block it
            file.write("The Snakemake that started this job is gone: the job ends here.\n")
    finally:
        os.kill(os.getpid(), signal.SIGKILL)


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True

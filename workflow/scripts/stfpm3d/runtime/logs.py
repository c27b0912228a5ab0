"""One way of telling what happens: the rule's own log file, stderr for what matters, a bar where a person watches."""

from __future__ import annotations

import logging
import math
import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from tqdm import tqdm

from stfpm3d.runtime.errors import InputError
from stfpm3d.runtime.lifeline import end_with_driver

Item = TypeVar("Item")
INTERVAL_S = 60
"""Between lines on the screen that tell of long work."""


class Screen(logging.Handler):
    """What a person reads, above a bar and not within it; what libraries say is for the file.

    That is this package's warnings and errors, and at most once in `INTERVAL_S` what is `told` of long work.

    Parameters
    ----------
    job
        By which long work is named.
    clock
        Seconds that never go back.
    """

    def __init__(self, job: str, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(logging.INFO)
        self.addFilter(logging.Filter("stfpm3d"))
        self.job = job
        self.clock = clock
        self.last = -math.inf

    def emit(self, record: logging.LogRecord) -> None:
        told = getattr(record, "told", None)
        if record.levelno >= logging.WARNING:
            tqdm.write(self.format(record), file=sys.stderr)
        elif told and self.clock() - self.last >= INTERVAL_S:
            self.last = self.clock()
            tqdm.write(f"{time.strftime('%H:%M:%S')}       {self.job}: {told}", file=sys.stderr)


def told(sentence: str) -> dict[str, str]:
    """What a log's line says of long work on the screen too, as its `extra`."""
    return {"told": sentence}


@contextmanager
def rule_log(path: Path | str) -> Iterator[logging.Logger]:
    """Log to `path` while a rule's script runs, and this package's warnings and errors to stderr as well.

    An `InputError` ends the script with its one sentence and exit status 1; any other exception leaves its traceback
    in the log and propagates. The script ends with the Snakemake that runs it. Of a training on several devices the
    first process alone tells what happens; another one only why it ends, after what the log holds.
    """
    is_first = os.environ.get("LOCAL_RANK", "0") == "0"
    if not is_first:
        logging.disable(logging.WARNING)
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    end_with_driver(path)
    root = logging.getLogger()
    root.setLevel(logging.INFO)
    for handler in (logging.FileHandler(path, mode="w" if is_first else "a"), Screen(_job(path))):
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s", "%Y-%m-%d %H:%M:%S"))
        root.addHandler(handler)
    for library in map(logging.getLogger, list(root.manager.loggerDict)):  # as Lightning, with its own on the screen
        library.handlers.clear()
        library.propagate = True
    logging.captureWarnings(True)
    logging.raiseExceptions = False  # on a full disk each line that is lost would leave a traceback on the screen
    log = logging.getLogger("stfpm3d")
    try:
        yield log
    except InputError as error:
        log.error("%s", error)
        sys.exit(1)
    except Exception:
        log.exception("unexpected error")
        raise


def _job(log: Path | str) -> str:
    """A job by its log: `student` of `logs/student/student.log`, `fanogan small` of `logs/fanogan/small.log`."""
    path = Path(log)
    return " ".join(dict.fromkeys([path.parent.name, path.stem]))


def progress(items: Iterable[Item], what: str, total: int | None = None) -> Iterable[Item]:
    """Go through the items with a bar and the time left, if stderr is a terminal; `total` where they have no length."""
    return tqdm(items, what, total, leave=False, dynamic_ncols=True, disable=None)

"""One way of logging: the rule's own log file and stderr, one sentence for what a user can mend."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stfpm3d.study.errors import InputError


@contextmanager
def rule_log(path: Path | str) -> Iterator[logging.Logger]:
    """Log to `path` and stderr while a rule's script runs.

    An `InputError` ends the script with its one sentence and exit status 1; any other exception leaves its traceback
    in the log and propagates.
    """
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    root = logging.getLogger()
    root.setLevel(logging.INFO)
    for handler in (logging.FileHandler(path, mode="w"), logging.StreamHandler(sys.stderr)):
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s", "%Y-%m-%d %H:%M:%S"))
        root.addHandler(handler)
    log = logging.getLogger("stfpm3d")
    logging.captureWarnings(True)
    try:
        yield log
    except InputError as error:
        log.error("%s", error)
        sys.exit(1)
    except Exception:
        log.exception("unexpected error")
        raise

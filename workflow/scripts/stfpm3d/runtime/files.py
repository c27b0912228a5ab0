"""Files appear whole or not at all."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from stfpm3d.runtime.errors import MachineError

if TYPE_CHECKING:  # jobs of one scan need no pandas
    import pandas as pd


NAMES = ("scan_id", "participant_id", "session_id", "site", "experiment", "reference")
"""The columns of this project's tables that hold names which a person chose."""


LEAST_FREE = 2**16
"""Bytes; a disk with less is full."""


def on_full_disk(folder: Path | str) -> bool:
    """Whether the disk of a folder is full; some libraries then write files that are empty, and say nothing."""
    return shutil.disk_usage(folder).free < LEAST_FREE


@contextmanager
def replacing(path: Path | str) -> Iterator[Path]:
    """Yield a temporary path beside `path` (same suffixes); on success it is renamed onto `path`, on failure removed.

    What a killed process left behind on its way to the same file is removed.

    Raises
    ------
    MachineError
        When the disk is full.
    """
    target = Path(path)
    temporary = target.with_name(f".{os.getpid()}-{target.name}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        for sibling in target.parent.iterdir():
            if re.fullmatch(rf"\.\d+-{re.escape(target.name)}", sibling.name):
                sibling.unlink(missing_ok=True)
        yield temporary
        temporary.replace(target)
    except Exception as error:
        if os.strerror(errno.ENOSPC) in str(error):  # libraries that write in C wrap it in errors of their own
            raise MachineError(
                f"{target} cannot be written: its disk is full; free some space and run again."
            ) from error
        raise
    finally:
        temporary.unlink(missing_ok=True)


def write_table(path: Path | str, table: pd.DataFrame) -> None:
    """Write a table as tab-separated text without its index; what is missing is n/a."""
    with replacing(path) as temporary:
        table.to_csv(temporary, sep="\t", index=False, na_rep="n/a")


def read_table(path: Path | str) -> pd.DataFrame:
    """Read a table that `write_table` wrote. Names stay as they are: 007 is no number, and NA no missing value."""
    import pandas as pd

    names = dict.fromkeys(NAMES, str)
    return pd.read_csv(path, sep="\t", dtype=names, keep_default_na=False, na_values=["n/a", ""])


def sha256(path: Path | str) -> str:
    """The SHA-256 of a file's content, as `sha256sum` prints it."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()

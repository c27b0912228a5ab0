"""Dry runs of Snakemake in processes that need not import it: each is forked from one that has."""

from __future__ import annotations

import contextlib
import io
import multiprocessing
import os
import sys
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path

from snakemake.cli import main

FORKS = multiprocessing.get_context("forkserver")
# What dry runs import; not the package, which each project has in a version of its own.
FORKS.set_forkserver_preload(["snakemake.cli", "nibabel", "pandas", "pydantic", "pytest"])


def snakemake(folder: Path, arguments: Sequence[str]) -> tuple[int, str]:
    """Exit status and output of Snakemake in a folder, for runs that start no jobs."""
    ours, theirs = FORKS.Pipe(duplex=False)
    process = FORKS.Process(target=_run, args=(theirs, folder, [*arguments], dict(os.environ)))
    process.start()
    theirs.close()
    output = ours.recv()
    process.join()
    return process.exitcode or 0, output


def _run(connection: Connection, folder: Path, arguments: list[str], environment: dict[str, str]) -> None:
    os.chdir(folder)
    os.environ.update(environment)
    with contextlib.redirect_stdout(io.StringIO()) as output, contextlib.redirect_stderr(output):
        try:
            main(arguments)
        finally:
            connection.send(output.getvalue())
    sys.exit()

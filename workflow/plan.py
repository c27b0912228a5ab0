"""Print what a run would do, before it does: python workflow/plan.py [Snakemake's arguments]; docs/how-it-works.md."""

from __future__ import annotations

import argparse
import contextlib
import io
import logging
import sys
from pathlib import Path

sys.path.pop(0)  # this folder, whose tabulate.py would hide a library of that name
sys.path.insert(0, str(Path(__file__).parent / "scripts"))

from snakemake.cli import main as snakemake
from snakemake.cli import parse_cores
from snakemake.logging import logger

from stfpm3d.runtime.errors import InputError
from stfpm3d.runtime.forecast import forecast, read_past, stages
from stfpm3d.study.config_files import check_config_files


class PlannedJobs(logging.Filter):
    """Notes what a dry run tells of: jobs, and what was read and passed over of the cohort.

    It is a filter, since Snakemake removes all handlers but its own.
    """

    def __init__(self) -> None:
        super().__init__()
        self.jobs: list[logging.LogRecord] = []
        self.sentences: list[str] = []
        self.epochs: dict[str, int] = {}
        self.folder = Path()

    def filter(self, record: logging.LogRecord) -> bool:
        if getattr(record, "event", None) == "job_info":
            self.jobs.append(record)
            self.folder = Path.cwd()  # of the run: --directory holds as long as Snakemake is at work
        elif getattr(record, "is_said_before", False):
            self.sentences.append(record.getMessage())
            self.epochs |= getattr(record, "epochs", {})
        return True


def read(arguments: list[str]) -> argparse.Namespace:
    """Of Snakemake's arguments `cores`, all that this process may use unless they say fewer, and `configfile`."""
    parser = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    parser.add_argument("--cores", "-c", type=parse_cores, default="all")
    parser.add_argument("--configfile", "--configfiles", nargs="+", default=[])
    return parser.parse_known_args(arguments)[0]


def main() -> None:
    """Let Snakemake plan, and print its plan as a table.

    Config files are checked first: one that is no UTF-8 text ends Snakemake without a word of which it is.
    """
    given = read(sys.argv[1:])
    try:
        check_config_files(given.configfile)
    except InputError as error:
        sys.exit(str(error))
    planned = PlannedJobs()
    logger.addFilter(planned)
    status = None
    with contextlib.redirect_stdout(io.StringIO()) as said, contextlib.redirect_stderr(said):
        try:
            snakemake(["--dry-run", "--cores", "all", *sys.argv[1:]])
        except SystemExit as end:
            status = end.code
    if status:
        sys.exit(said.getvalue())
    if planned.sentences:
        print("\n".join(planned.sentences), end="\n\n")
    if not planned.jobs:
        print("Nothing to be done: every result is there, and as the config, the scans and the code want it.")
        return
    print(forecast(stages(planned.jobs), read_past(planned.folder), given.cores, epochs=planned.epochs))


if __name__ == "__main__":
    main()

"""A run that failed ends in a list: the stage, the scan, and the sentence that the job's own log holds."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

from stfpm3d.runtime import failures
from stfpm3d.runtime.errors import InputError
from stfpm3d.runtime.failures import last_error, summary, written
from stfpm3d.runtime.logs import rule_log

MOVED = InputError("sub-07: data/sub-07.nii.gz holds NaN or infinite voxels; replace them.")


@pytest.fixture(autouse=True)
def in_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Logs lie in an empty folder; what `rule_log` adds to the root logger is taken away again."""
    monkeypatch.chdir(tmp_path)
    handlers = list(logging.getLogger().handlers)
    yield
    for handler in set(logging.getLogger().handlers) - set(handlers):
        logging.getLogger().removeHandler(handler)
        handler.close()
    logging.captureWarnings(False)


class FakeJob:
    """What Snakemake says of a job, or of a group of jobs."""

    def __init__(self, rule: str, *wildcards: str, jobs: tuple[FakeJob, ...] = ()) -> None:
        self.rule = SimpleNamespace(name=rule)
        self.wildcards = wildcards
        self.log = [f"logs/{rule}/{'_'.join(wildcards)}.log"]
        self.jobs = jobs
        self.output = [] if rule == "all" else [f"results/{rule}"]

    def is_group(self) -> bool:
        return bool(self.jobs)


def run(of: FakeJob, end: Callable[[logging.Logger], object]) -> FakeJob:
    """Run a job's script, as it were, to its end."""
    try:
        with rule_log(of.log[0]) as log:
            log.info("begins")
            end(log)
    except (SystemExit, ZeroDivisionError):
        pass
    for handler in logging.getLogger().handlers[-2:]:
        logging.getLogger().removeHandler(handler)
        handler.close()
    return of


def refuse(log: logging.Logger) -> None:
    raise MOVED


def break_down(log: logging.Logger) -> None:
    log.warning("odd")
    raise ZeroDivisionError("division by zero")


def test_each_failed_job_has_its_stage_its_scan_and_its_sentence() -> None:
    failed = [
        run(FakeJob("student", "patches"), break_down),
        run(FakeJob("register", "sub-07"), refuse),
        run(FakeJob("register", "sub-10", ""), lambda log: None),  # killed: its log breaks off
    ]
    assert summary(
        failed, [*failed, FakeJob("strip", "sub-07"), FakeJob("strip", "sub-10"), FakeJob("all")], {}
    ).splitlines() == [
        "3 jobs failed; 2 more did not run, as they need what these would have made:",
        "  register  sub-07   data/sub-07.nii.gz holds NaN or infinite voxels; replace them.",
        "  register  sub-10   ended without a word, as a job that is killed or over its limit of memory or time;"
        " see logs/register/sub-10_.log",
        "  student   patches  unexpected error: ZeroDivisionError: division by zero (see logs/student/patches.log)",
    ]


def test_an_old_log_says_nothing_of_this_run() -> None:
    old = run(FakeJob("register", "sub-07"), refuse)
    before = written([old])
    assert "did not come to write its log" in summary([old], [old], before)
    Path(old.log[0]).unlink()
    assert "did not come to write its log" in summary([old], [old], before)
    run(old, refuse)
    assert "holds NaN" in summary([old], [old], before)


def test_of_a_group_the_members_that_failed_are_listed() -> None:
    members = [FakeJob("strip", f"sub-{number}") for number in range(3)]
    group = FakeJob("group", jobs=tuple(members))
    for member in members:
        run(member, lambda log: None)
    assert summary([group], [*members, FakeJob("landmarks")], {}).splitlines()[0].startswith("3 jobs failed; 1 more")
    run(members[1], refuse)
    first, only = summary([group], [*members, FakeJob("landmarks")], {}).splitlines()
    assert first.startswith("1 job failed; 3 more did not run") and only.startswith("  strip  sub-1  sub-07: data")


def test_the_last_error_is_the_one_that_counts() -> None:
    text = (
        "2026-01-01 00:00:00 ERROR first\nmore\n2026-01-01 00:00:01 ERROR last\nits end\n2026-01-01 00:00:02 INFO bye\n"
    )
    assert last_error(text) == "last its end"
    assert last_error("no record\n") == ""


def test_a_job_that_could_write_no_log_since_the_disk_was_full_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    job = run(FakeJob("strip", "sub-01"), lambda log: None)
    monkeypatch.setattr(failures, "on_full_disk", lambda _: True)
    assert "the disk of logs/strip/sub-01.log is full; free some space" in summary([job], [job], {})

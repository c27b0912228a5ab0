"""The end of a run with failures: which stages of which scans, and the sentence that each of them ended in.

Jobs are Snakemake's own: they have a `rule`, `wildcards`, `log` and `output`, and a group of them has `jobs`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from stfpm3d.runtime.files import on_full_disk

RECORD = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d (?P<level>[A-Z]+) (?P<message>.*)")
"""The first line of a record as `logs.rule_log` writes it."""


def written(jobs: Iterable[Any]) -> dict[str, int]:
    """When the log files of some jobs were last written, in ns; those that are there."""
    paths = [Path(path) for job in jobs for path in job.log]
    return {str(path): path.stat().st_mtime_ns for path in paths if path.is_file()}


def summary(failed: Iterable[Any], unfinished: Iterable[Any], before: Mapping[str, int]) -> str:
    """List the jobs that failed, by stage, each with the sentence that its log ends in.

    Parameters
    ----------
    failed
        The jobs that failed for good. Of a group those are listed whose logs hold an error, all where none does.
    unfinished
        All jobs of the run that did not succeed; what is not listed did not run, since it needs what a listed one
        would have made.
    before
        When logs were last written before this run (see `written`): one that is as it was says nothing of this run.
    """
    told: dict[Any, str] = {}
    for job in failed:
        members = {member: _sentence(member, before) for member in (job.jobs if job.is_group() else [job])}
        guilty = {member: sentence for member, sentence in members.items() if sentence}
        told |= guilty or {member: _silence(member, before) for member in members}
    waiting = sum(bool(job.output) and job not in told for job in unfinished)
    rows = [(job.rule.name, " ".join(filter(None, job.wildcards)), sentence) for job, sentence in told.items()]
    stage_width, scan_width = (max((len(row[column]) for row in rows), default=0) for column in (0, 1))
    lines = [
        f"  {stage:{stage_width}}  {scan:{scan_width}}  {sentence.removeprefix(f'{scan}: ')}"
        for stage, scan, sentence in sorted(rows)
    ]
    rest = f"; {waiting} more did not run, as they need what these would have made" if waiting else ""
    return "\n".join([f"{len(rows)} job{'s' * (len(rows) != 1)} failed{rest}:", *lines])


def last_error(text: str) -> str:
    """What the last error in a rule's log says: its sentence, or the end of its traceback; nothing without an error."""
    message: list[str] = []
    inside = False
    for line in text.splitlines():
        if record := RECORD.fullmatch(line):
            inside = record["level"] == "ERROR"
            if inside:
                message = [record["message"]]
        elif inside and line.strip():
            message.append(line.strip())
    is_traceback = any(line.startswith("Traceback") for line in message)
    return f"{message[0]}: {message[-1]}" if is_traceback else " ".join(message)


def _sentence(job: Any, before: Mapping[str, int]) -> str:
    """What a job's log says of its end in this run, with the log's path where the sentence is no user's."""
    text = "".join(Path(path).read_text(encoding="utf-8", errors="replace") for path in _fresh(job, before))
    said = last_error(text)
    return f"{said} (see {job.log[0]})" if said and "Traceback" in text else said


def _silence(job: Any, before: Mapping[str, int]) -> str:
    """The sentence for a job that said nothing of its end."""
    if not _fresh(job, before):
        return (
            "did not come to write its log, as where its node or a package is missing; its error stands further above"
        )
    if on_full_disk(Path(job.log[0]).parent):
        return f"could not tell how it ended: the disk of {job.log[0]} is full; free some space and run again"
    return f"ended without a word, as a job that is killed or over its limit of memory or time; see {job.log[0]}"


def _fresh(job: Any, before: Mapping[str, int]) -> list[str]:
    """A job's logs that were written in this run."""
    return [path for path, time in written([job]).items() if before.get(path) != time]

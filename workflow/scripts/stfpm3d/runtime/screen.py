"""What a person reads while a run goes on: a line for each stage that starts or ends, and how far the run is.

Snakemake's own lines, some twenty for each job, are kept from the screen; they stand in its log, `.snakemake/log`.
Jobs and records are Snakemake's own; the records' events are those of `snakemake_interface_logger_plugins.common`.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from stfpm3d.runtime.forecast import duration

GUESSED = 0.25
"""How long a run will take is not said while more of what is left is of stages that have not finished a job yet."""
INTERVAL_S = 60
"""A line tells how far the run is when for so long there was none."""
EVENTS = ("job_info", "job_started", "job_finished", "job_error", "group_info", "group_error", "shellcmd", "progress")
CHATTER = re.compile(r"Select jobs to execute|Job rate limit reached|.*CalledProcessError", re.S)
"""What is said of every job besides; a script that fails has said why, and the end of the run says it again."""


def tell_stages(logger: logging.Logger, jobs: Iterable[Any]) -> None:
    """From here on the screen has a line a stage instead of many a job; `jobs` are all that are to be run."""
    lines = StageLines(jobs, logger.info)
    for handler in logger.handlers:
        if handler.name == "DefaultStreamHandler":  # the screen's, if no plugin has its place
            handler.addFilter(lines)


def is_current(dag: Any, path: str) -> bool:
    """Whether a run made a file or found it up to date; what lies there may be of an older run with another config.

    `dag` is Snakemake's. A run of other targets does not have the file's job; one that ended before it leaves the job.
    """
    left = set(dag.needrun_jobs())
    return any(path in job.output for job in dag.jobs if job not in left)


@dataclass
class Stage:
    """The jobs of one rule."""

    jobs: int = 0
    threads: int = 1
    limit_s: float = 1
    """The most that a job of it may take, the first guess at how long it takes."""
    started: dict[int, float] = field(default_factory=dict)
    """By job, the time of its (last) start."""
    seconds: list[float] = field(default_factory=list)
    """What the finished jobs took."""

    @property
    def taken(self) -> float:
        """What the finished jobs took together, in seconds of cores."""
        return sum(self.seconds) * self.threads

    def expected(self, scale: float) -> float:
        """What all jobs take, in seconds of cores: as much as the finished ones each, or `scale` of their limit."""
        if self.seconds:
            return self.taken * self.jobs / len(self.seconds)
        return self.jobs * self.limit_s * self.threads * scale


class StageLines(logging.Filter):
    """Keeps the lines of jobs from a handler, and says one where a stage starts, ends or takes long.

    Parameters
    ----------
    jobs
        All that are to be run; those without output stand for no work.
    say
        Says a line, through the same handler.
    clock
        Seconds that never go back.
    """

    def __init__(
        self, jobs: Iterable[Any], say: Callable[[str], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        super().__init__()
        self.say = say
        self.clock = clock
        self.stages: dict[str, Stage] = {}
        self.stage_of: dict[int, str] = {}
        for job in jobs:
            if job.output:
                self.stage_of[job.jobid] = job.rule.name
                stage = self.stages.setdefault(job.rule.name, Stage())
                stage.jobs += 1
                stage.threads = max(stage.threads, job.threads)
                stage.limit_s = max(stage.limit_s, job.resources.get("runtime", 0) * 60)
        self.start = self.last = clock()

    def filter(self, record: Any) -> bool:
        """Whether a record reaches the screen."""
        event = getattr(record, "event", None)
        if event == "job_info":
            self._start(record)
        elif event == "job_finished":
            self._finish(record)
        elif event == "job_error" and not record.indent:  # of a group's member nothing is known
            self._fail({record.rule_name}, record.log, record.rule_msg)
        elif event == "group_error":
            members = record.job_error_info
            logs = [path for member in members for path in member["log"]]
            self._fail({member["rule_name"] for member in members}, record.aux_logs or logs, None)
        return event not in EVENTS and not CHATTER.match(record.getMessage())

    def _start(self, record: Any) -> None:
        name = self.stage_of.get(record.jobid)
        if name is None:
            return
        stage = self.stages[name]
        if not stage.started:
            where = f", {', '.join(record.log)}" if stage.jobs == 1 else ""
            self._tell(f"{name} starts ({_count(stage.jobs)}{where})")
        stage.started[record.jobid] = self.clock()

    def _finish(self, record: Any) -> None:
        name = self.stage_of.get(record.job_id)
        if name is None:
            return
        stage = self.stages[name]
        now = self.clock()
        stage.seconds.append(now - stage.started.get(record.job_id, now))
        if len(stage.seconds) == stage.jobs:
            start = min(stage.started.values(), default=self.start)  # of none where Snakemake is to be quiet of jobs
            self._tell(f"{name} is done ({_count(stage.jobs)}, {duration(now - start)})")
        elif now - self.last >= INTERVAL_S:
            under_way = [
                f"{other} {len(its.seconds)} of {its.jobs}"
                for other, its in self.stages.items()
                if its.started and len(its.seconds) < its.jobs
            ]
            self._tell(", ".join(under_way))

    def _fail(self, names: set[str], logs: list[str], why: str | None) -> None:
        reason = f" ({' '.join(why.split())})" if why else ""
        self._tell(f"{', '.join(sorted(names))} failed{reason}, see {', '.join(logs)}")

    def _tell(self, what: str) -> None:
        done, known, total = self.work()
        self.last = self.clock()
        left = ""
        if done < total and total - known < GUESSED * (total - done):
            left = f"; about {duration((self.last - self.start) * (total - done) / done)} left"
        self.say(f"{time.strftime('%H:%M:%S')} {done / total:4.0%}  {what}{left}")

    def work(self) -> tuple[float, float, float]:
        """The work that is done, that of the stages of which a job is finished, and all, in seconds of cores.

        Of the other stages the limits are known alone; they count as much as the finished jobs took of theirs.
        """
        finished = [stage for stage in self.stages.values() if stage.seconds]
        done = sum(stage.taken for stage in finished)
        limits = sum(len(stage.seconds) * stage.limit_s * stage.threads for stage in finished)
        known, total = (
            sum(stage.expected(done / limits if limits else 1.0) for stage in some)
            for some in (finished, self.stages.values())
        )
        return done, known, max(total, 1e-9)


def _count(jobs: int) -> str:
    return f"{jobs} job{'s' * (jobs != 1)}"

"""The screen has a line for each stage that starts or ends, how far the run is, and nothing of single jobs."""

from __future__ import annotations

import logging
from types import SimpleNamespace

from stfpm3d.runtime.screen import StageLines, is_current, tell_stages


class Run:
    """Records as Snakemake makes them, by a clock that is set; `lines` are what the screen shows."""

    def __init__(self, threads: int = 1, **jobs: tuple[int, int]) -> None:
        """Each rule with its number of jobs and the minutes that one may take; the last has jobs of so many threads."""
        self.now = 0.0
        self.lines: list[str] = []
        rules = [(name, minutes) for name, (count, minutes) in jobs.items() for _ in range(count)]
        self.jobs = [
            SimpleNamespace(
                jobid=n,
                rule=SimpleNamespace(name=name),
                output=["x"],
                resources={"runtime": minutes},
                threads=threads if name == [*jobs][-1] else 1,
            )
            for n, (name, minutes) in enumerate(rules)
        ]
        self.filter = StageLines(self.jobs, self.lines.append, clock=lambda: self.now)

    def record(self, text: str, **extra: object) -> bool:
        record = logging.LogRecord("snakemake", logging.INFO, "", 0, text, None, None)
        record.__dict__.update(extra)
        return self.filter.filter(record)

    def start(self, job: int) -> None:
        assert not self.record(f"rule {job}", event="job_info", jobid=job, log=[f"logs/{job}.log"])

    def finish(self, job: int, seconds: float) -> None:
        self.now += seconds
        assert not self.record(f"Finished jobid: {job}", event="job_finished", job_id=job)

    def last(self) -> str:
        return self.lines[-1].split(maxsplit=1)[1]


def test_a_stage_of_many_jobs_has_two_lines() -> None:
    run = Run(register=(3, 30))
    for job in range(3):
        run.start(job)
        run.finish(job, 2)
    assert [line.split(maxsplit=1)[1] for line in run.lines] == [
        "0%  register starts (3 jobs)",
        "100%  register is done (3 jobs, 6 s)",
    ]


def test_progress_counts_time_and_not_jobs() -> None:
    """Eight quick jobs of ten are no four fifths of the work; what was measured takes the place of the limits."""
    run = Run(grid=(8, 10), student=(2, 200))
    for job in range(8):
        run.start(job)
        run.finish(job, 1)
    assert run.last() == "17%  grid is done (8 jobs, 8 s)"  # 8 x 10 of 480 min; how long a student takes, none knows
    run.start(8)
    run.finish(8, 92)
    assert run.last() == "52%  student 1 of 2; about 92 s left"  # 8 + 92 of 192 s


def test_a_job_of_two_threads_is_twice_the_work_and_a_little_that_is_guessed_does_no_harm() -> None:
    run = Run(report=(1, 10), register=(10, 10), student=(2, 200), threads=2)
    for job in range(1, 11):
        run.start(job)
    run.finish(1, 20)
    for job in range(2, 11):
        run.finish(job, 0)
    run.start(11)
    run.finish(11, 90)  # 10 times 20 s and 2 x 90 s of cores in 110 s; the other student and the report are left
    assert run.last().startswith("67%  student 1 of 2; about 54 s left")


def test_a_job_that_fails_is_named_with_its_log_and_what_the_cluster_says() -> None:
    run = Run(register=(2, 30))
    error = {"event": "job_error", "indent": False, "rule_name": "register", "log": ["logs/sub-2.log"]}
    assert not run.record("Error in rule", rule_msg=None, **error)
    assert run.last() == "0%  register failed, see logs/sub-2.log"
    assert not run.record("Error in rule", rule_msg="SLURM status is: 'TIMEOUT'. ", **error)
    assert run.last() == "0%  register failed (SLURM status is: 'TIMEOUT'.), see logs/sub-2.log"


def test_a_group_that_fails_has_one_line() -> None:
    run = Run(register=(2, 30))
    members = [{"rule_name": name, "log": [f"logs/{name}.log"]} for name in ("strip", "register")]
    assert not run.record("Error in group", event="group_error", job_error_info=members, aux_logs=[])
    assert not run.record("Error in rule", event="job_error", indent=True)
    assert [line.split(maxsplit=1)[1] for line in run.lines] == [
        "0%  register, strip failed, see logs/strip.log, logs/register.log"
    ]


def test_what_else_snakemake_says_reaches_the_screen_but_for_what_it_says_of_each_job() -> None:
    run = Run(register=(1, 30))
    assert run.record("Shutting down, this might take some time.")
    assert run.record("MissingOutputException in rule register", event="error")
    assert not run.record("Select jobs to execute...")
    assert run.record("Job 3 has been submitted with SLURM jobid 7 (log: x).")  # its number is needed to end it
    assert not run.record("RuleException:\nCalledProcessError in file x, line 3:", event="error")


def test_the_log_file_of_snakemake_keeps_all_of_it() -> None:
    logger, screen, file = logging.Logger("snakemake"), logging.NullHandler(), logging.NullHandler()
    screen.name, file.name = "DefaultStreamHandler", "DefaultLogFileHandler"
    for handler in (screen, file):
        logger.addHandler(handler)
    tell_stages(logger, [])
    assert screen.filters and not file.filters


def test_a_report_is_named_if_this_run_made_it_or_found_it_up_to_date_and_not_if_another_run_did() -> None:
    page = "results/report/index.html"

    def run(*jobs: str, left: tuple[str, ...] = ()) -> SimpleNamespace:
        return SimpleNamespace(
            jobs=(known := [Job(name) for name in jobs]),
            needrun_jobs=lambda: (job for job in known if job.output[0] in left),
        )

    assert is_current(run("results/qc/index.html", page), page)
    assert not is_current(run("results/qc/index.html"), page), "other targets"
    assert not is_current(run("results/qc/index.html", page, left=(page,)), page), "--until"


class Job:
    """A job of one file."""

    def __init__(self, output: str) -> None:
        self.output = [output]

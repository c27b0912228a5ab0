"""What SLURM would never run is refused before the first job: else it waits for ever, or fails hours later."""

from __future__ import annotations

import shlex
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass

from stfpm3d.runtime.errors import InputError

POLL_S = 180
"""The longest time between two looks of the executor at its jobs, fixed in snakemake-executor-plugin-slurm 2.8."""
REMEDY = "correct the partition, account or limits in profiles/slurm/config.yaml, or wait until its nodes are up"


@dataclass(frozen=True)
class Request:
    """What jobs ask of SLURM: the call of sbatch without their command, the partition (empty: the default), minutes."""

    call: str
    partition: str
    minutes: int


def check_requests(requests: Iterable[tuple[str, Request]]) -> None:
    """Raise `InputError` at the first of the named requests that SLURM refuses or would leave in the queue for ever.

    `sbatch --test-only` refuses what no node that is up has, and a partition or account that does not exist. It accepts
    a time above the partition's limit, which then waits with the reason PartitionTimeLimit.
    """
    names = {request: name for name, request in requests}
    limits = partition_limits(_said(["sinfo", "--noheader", "--format=%P %l"])) if names else {}
    for request, name in names.items():
        _said([*shlex.split(request.call), "--test-only", "--wrap=true"], f"SLURM would not take the jobs of {name}")
        limit = limits.get(request.partition)
        if limit is not None and request.minutes > limit:
            partition = request.partition or "the default partition"
            raise InputError(
                f"SLURM would never start the jobs of {name}: they ask for {request.minutes} minutes, and {partition}"
                f" allows {limit}; name another in profiles/slurm/config.yaml, or give them less time (set-resources)."
            )


def check_memory_of_jobs(min_job_age_s: int | None) -> None:
    """Raise `InputError` where SLURM forgets a job that has ended (MinJobAge) before the executor looks again."""
    if min_job_age_s is not None and min_job_age_s < POLL_S:
        raise InputError(
            f"SLURM forgets jobs {min_job_age_s} s after their end (MinJobAge), and a run looks at its jobs every"
            f" {POLL_S} s: ask accounting instead, by --slurm-status-command sacct."
        )


def partition_limits(listed: str) -> dict[str, int | None]:
    """The time limits of partitions in minutes, None for none; the default one's name is also the empty name.

    `listed` has a line a partition, its name (with an asterisk: the default) and limit ([days-]hours:minutes:seconds).
    """
    limits: dict[str, int | None] = {}
    for name, limit in (line.split() for line in listed.splitlines()):
        days, _, clock = limit.rpartition("-")
        parts = [0, 0, *map(int, clock.split(":"))][-3:] if clock[0].isdigit() else []
        minutes = 24 * 60 * int(days or 0) + 60 * parts[0] + parts[1] if parts else None
        limits[name.rstrip("*")] = minutes
        if name.endswith("*"):
            limits[""] = minutes
    return limits


def _said(command: list[str], refusal: str = "SLURM does not answer") -> str:
    """What a command of SLURM prints; `InputError` with the last line of its complaint where it fails or is missing."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise InputError(
            f"{command[0]} is not on the PATH: start the run on a machine from which jobs go to SLURM, or without"
            " profiles/slurm."
        ) from error
    if done.returncode != 0:
        reason = done.stderr.strip().rpartition("\n")[2]
        raise InputError(f"{refusal} ({reason}); {REMEDY}.")
    return done.stdout

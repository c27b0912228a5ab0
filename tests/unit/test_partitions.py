"""What SLURM says of its partitions, and for how long it remembers jobs."""

from __future__ import annotations

from pathlib import Path

import pytest

from stfpm3d.runtime.errors import InputError
from stfpm3d.runtime.slurm import Request, check_memory_of_jobs, check_requests, partition_limits


def test_limits_are_minutes_in_every_form_that_slurm_writes() -> None:
    listed = "main* 1-00:00:00\nshort 30:00\nday 23:59:59\nlong infinite\nweek 7-12:30:00\n"
    assert partition_limits(listed) == {
        "main": 1440,
        "": 1440,
        "short": 30,
        "day": 1439,
        "long": None,
        "week": 10830,
    }


def test_a_cluster_that_forgets_jobs_before_they_are_looked_for_is_refused() -> None:
    check_memory_of_jobs(300)
    check_memory_of_jobs(None)
    with pytest.raises(InputError, match=r"forgets jobs 60 s after their end .* every 180 s"):
        check_memory_of_jobs(60)


def test_a_machine_without_slurm_is_told_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match=r"^sinfo is not on the PATH: start the run on a machine"):
        check_requests([("strip", Request("sbatch", "", 3))])


def test_a_request_is_tried_without_its_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, does in (("sinfo", "echo 'main* 10:00'"), ("sbatch", f'echo "$*" >> {tmp_path}/asked')):
        (tmp_path / name).write_text(f"#!/bin/sh\n{does}\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    check_requests([("strip", Request("sbatch --mem 2000", "main", 10))])
    assert (tmp_path / "asked").read_text() == "--mem 2000 --test-only --wrap=true\n"
    with pytest.raises(InputError, match="jobs of strip: they ask for 11 minutes, and the default partition allows 10"):
        check_requests([("strip", Request("sbatch", "", 11))])

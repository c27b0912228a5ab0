"""What SLURM says of its partitions, and for how long it remembers jobs."""

from __future__ import annotations

import pytest

from stfpm3d.runtime.errors import InputError
from stfpm3d.runtime.slurm import check_memory_of_jobs, partition_limits


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

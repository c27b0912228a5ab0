"""How tests are spread over processes (`make test`): a module is one's, and so is the run that many share."""

from __future__ import annotations

import pytest

FINISHED = "the finished run"
LONGEST = (FINISHED, "tests/slurm/", "tests/workflow/")
"""What begins first, so that no process has much to do when the others are done."""


def group(item: pytest.Item) -> str:
    """What the test is run together with, in one process."""
    return FINISHED if "finished" in getattr(item, "fixturenames", ()) else item.nodeid.split("::")[0]


@pytest.hookimpl(tryfirst=True)  # before pytest-xdist reads the marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Name each test's group to pytest-xdist and put the longest groups first."""
    for item in items:
        item.add_marker(pytest.mark.xdist_group(group(item)))
    items.sort(
        key=lambda item: next((n for n, start in enumerate(LONGEST) if group(item).startswith(start)), len(LONGEST))
    )

"""A clone of the workflow in which the tiny cohort has run once; tests look at its results and plan further runs."""

from __future__ import annotations

import pytest

from project import Project, finished_run


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The tiny cohort after its run, which all tests share and leave as it was."""
    return finished_run(tmp_path_factory.mktemp("tiny"))

"""What a test does where the machine lacks something."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest


def unavailable(reason: str) -> NoReturn:
    """Skip the test for a reason; with `CI` set, where all tests must run, end all of them with it at once."""
    if os.environ.get("CI"):
        pytest.exit(reason, returncode=pytest.ExitCode.TESTS_FAILED)
    pytest.skip(reason)

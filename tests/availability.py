"""What a test does where the machine lacks something."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest


def unavailable(reason: str) -> NoReturn:
    """Skip the test for a reason, which with `CI` set, where all tests must run, is none."""
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)

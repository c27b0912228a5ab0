"""A person sees bars with the time left and what matters; a log file holds plain lines of everything."""

from __future__ import annotations

import logging
import os
import pty
import subprocess
import sys
import termios
from pathlib import Path

import pytest

from stfpm3d.runtime.logs import Screen, told

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = """
import logging, warnings
from stfpm3d.runtime.logs import progress, rule_log
library = logging.getLogger("lightning.pytorch")
library.addHandler(logging.StreamHandler())
library.propagate = False
with rule_log("rule.log") as log:
    for number in progress(range(3), "scans"):
        log.info("number %d", number)
    log.warning("the scan is odd")
    warnings.warn("a library is old")
    library.warning("a library is loud")
"""


def run(folder: Path, stderr: int) -> None:
    environment = os.environ | {"PYTHONPATH": str(ROOT / "workflow" / "scripts")}
    subprocess.run([sys.executable, "-c", SCRIPT], cwd=folder, env=environment, stderr=stderr, check=True)
    os.close(stderr)


def test_a_bar_shows_on_a_terminal_alone_and_the_log_holds_plain_lines(tmp_path: Path) -> None:
    terminal, its_end = pty.openpty()
    termios.tcsetwinsize(its_end, (24, 80))
    run(tmp_path, its_end)
    shown = os.read(terminal, 100_000).decode()
    assert "scans:   0%|" in shown and "0/3 [" in shown

    read, write = os.pipe()
    run(tmp_path, write)
    assert "scans:" not in os.read(read, 100_000).decode()
    assert "scans:" not in (tmp_path / "rule.log").read_text()


def test_the_log_holds_all_and_the_screen_what_this_package_warns_of(tmp_path: Path) -> None:
    read, write = os.pipe()
    run(tmp_path, write)
    lines = (tmp_path / "rule.log").read_text().splitlines()
    assert [line.split(" ", 2)[2] for line in lines[:4]] == [
        "INFO number 0",
        "INFO number 1",
        "INFO number 2",
        "WARNING the scan is odd",
    ]
    assert "a library is old" in "".join(lines) and "a library is loud" in "".join(lines)
    assert os.read(read, 100_000).decode().splitlines() == [lines[3]]


def test_long_work_tells_the_screen_how_far_it_is_once_a_minute(capsys: pytest.CaptureFixture[str]) -> None:
    """An epoch every 40 seconds: the first, the third and the fifth are told."""
    now = [0.0]
    screen = Screen("student", clock=lambda: now[0])
    for epoch in range(1, 6):
        now[0] = 40.0 * epoch
        shown = told(f"epoch {epoch} of 20 is done, at most 9 min left")
        screen.handle(logging.makeLogRecord({"name": "stfpm3d.x", "levelno": logging.INFO, "msg": "loss 1", **shown}))
    screen.handle(logging.makeLogRecord({"name": "stfpm3d.x", "levelno": logging.INFO, "msg": "a line for the file"}))
    lines = [line.split(maxsplit=1)[1] for line in capsys.readouterr().err.splitlines()]
    assert lines == [f"student: epoch {epoch} of 20 is done, at most 9 min left" for epoch in (1, 3, 5)]

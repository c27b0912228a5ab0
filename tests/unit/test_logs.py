"""A person sees bars with the time left and what matters; a log file holds plain lines of everything."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import termios
from pathlib import Path

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

"""A person sees bars with the time left; a log file holds plain lines."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import termios
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = """
from stfpm3d.runtime.logs import progress, rule_log
with rule_log("rule.log") as log:
    for number in progress(range(3), "scans"):
        log.info("number %d", number)
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
    lines = (tmp_path / "rule.log").read_text().splitlines()
    assert [line.split("INFO ")[1] for line in lines] == ["number 0", "number 1", "number 2"]
    assert all(line in shown for line in lines)

    read, write = os.pipe()
    run(tmp_path, write)
    assert os.read(read, 100_000).decode() == (tmp_path / "rule.log").read_text()

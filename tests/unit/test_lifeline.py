"""No job outlives the Snakemake that started it, and none is overlooked when a run is taken up again."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from stfpm3d.study.lifeline import DRIVER_VARIABLE

ROOT = Path(__file__).resolve().parents[2]
JOB = """
import sys, time
from stfpm3d.study.lifeline import end_with_driver
end_with_driver("job.log")
print("ready", flush=True)
time.sleep(60)
"""
DRIVER = f"""
import os, subprocess, sys, time
os.environ["{DRIVER_VARIABLE}"] = str(os.getpid())
job = [sys.executable, "-c", {JOB!r}]
subprocess.run(["sh", "-c", '"$0" "$@"; true', *job] if sys.argv[1] == "shell" else job)
"""


@pytest.mark.parametrize("between", ["shell", "nothing"])
def test_a_job_ends_when_its_driver_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, between: str) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "workflow" / "scripts"))
    with subprocess.Popen(
        [sys.executable, "-c", DRIVER, between], cwd=tmp_path, stdout=subprocess.PIPE, text=True
    ) as driver:
        assert driver.stdout is not None
        assert driver.stdout.readline() == "ready\n"
        job = psutil.Process(driver.pid).children(recursive=True)[-1]
        assert (len(job.parents()) - len(psutil.Process(driver.pid).parents()) > 1) == (between == "shell")
        driver.kill()
        driver.wait()
    job.wait(timeout=20)
    assert (tmp_path / "job.log").read_text().endswith("the job ends here.\n")


def test_a_directory_in_which_snakemake_works_is_not_taken_up(tmp_path: Path) -> None:
    def await_end() -> subprocess.CompletedProcess[str]:
        command = [sys.executable, ROOT / "workflow" / "await_end.py"]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    command = [sys.executable, "-c", "input()", "snakemake"]
    with subprocess.Popen(command, cwd=tmp_path, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL) as at_work:
        refused = await_end()
        assert refused.returncode == 1
        assert str(at_work.pid) in refused.stderr
        assert len(refused.stderr.splitlines()) == 1
    assert await_end().returncode == 0

"""No job outlives the Snakemake that started it, and none is overlooked when a run is taken up again."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from stfpm3d.runtime.lifeline import DRIVER_VARIABLE
from stfpm3d.runtime.run_note import NOTE

ROOT = Path(__file__).resolve().parents[2]
JOB = """
import sys, time
from stfpm3d.runtime.lifeline import end_with_driver
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


JOB_OF_A_GIVEN_DRIVER = f"""
import os, time
print("ready", flush=True)
os.environ["{DRIVER_VARIABLE}"], seconds = input().split()
from stfpm3d.runtime.lifeline import end_with_driver
end_with_driver("job.log")
time.sleep(int(seconds))
"""


@pytest.mark.parametrize("driver_is_older", [True, False])
def test_a_process_that_got_the_drivers_id_after_its_end_is_not_taken_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, driver_is_older: bool
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "workflow" / "scripts"))
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with (
        subprocess.Popen([sys.executable, "-c", JOB_OF_A_GIVEN_DRIVER], cwd=tmp_path, **pipes) as job,
    ):
        assert job.stdout is not None and job.stdin is not None
        assert job.stdout.readline() == "ready\n"
        time.sleep(2 / os.sysconf("SC_CLK_TCK"))  # a process's start is known to a tick
        with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as younger:
            job.stdin.write(f"{os.getpid()} 1\n" if driver_is_older else f"{younger.pid} 60\n")
            job.stdin.close()
            assert job.wait(timeout=20) == (0 if driver_is_older else -signal.SIGKILL)
            assert younger.stdin is not None
            younger.stdin.close()
    assert (tmp_path / "job.log").exists() != driver_is_older


def await_end(folder: Path) -> subprocess.CompletedProcess[str]:
    """What `make resume` asks before it goes on in a folder, with little patience."""
    script = f"import sys; sys.path.insert(0, {str(ROOT / 'workflow')!r})"
    command = [sys.executable, "-c", f"{script}; import await_end; await_end.PATIENCE_S = 0.1; await_end.main()"]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def test_a_directory_in_which_snakemake_works_is_not_taken_up(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "input()", "snakemake"]
    with subprocess.Popen(command, cwd=tmp_path, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL) as at_work:
        refused = await_end(tmp_path)
        assert refused.returncode == 1
        assert str(at_work.pid) in refused.stderr
        assert len(refused.stderr.splitlines()) == 1
    assert await_end(tmp_path).returncode == 0


@pytest.fixture
def squeue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in for SLURM's squeue, first on PATH; it prints what the option --format asks for."""
    program = tmp_path / "bin" / "squeue"
    program.parent.mkdir()
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    return program


def prints(squeue: Path, *lines: str) -> None:
    jobs = "\n".join(lines)
    squeue.write_text(f"""#!/bin/sh
[ "$*" = "--me --noheader --format=%A %Z" ] || exit 2
cat <<'END'
{jobs}
END
""")
    squeue.chmod(0o755)


def test_a_directory_with_jobs_in_slurm_is_not_taken_up(tmp_path: Path, squeue: Path) -> None:
    run, other, link = tmp_path / "my run", tmp_path / "my", tmp_path / "link"
    run.mkdir()
    link.symlink_to(run)
    prints(squeue, f"7 {run}", f"8 {other}", f"9 {link}")
    refused = await_end(run)
    assert refused.returncode == 1
    assert "(scancel 7 9)" in refused.stderr
    assert len(refused.stderr.splitlines()) == 1
    prints(squeue, f"8 {other}")
    assert await_end(run).returncode == 0
    prints(squeue)
    assert await_end(run).returncode == 0


def note(folder: Path, **given: object) -> None:
    """The note of a run in a folder that has not ended by itself."""
    (folder / ".snakemake").mkdir(exist_ok=True)
    run = {"host": socket.gethostname(), "pid": 1, "slurm_job": None, "jobs_on_slurm": False}
    (folder / NOTE).write_text(json.dumps(run | given), encoding="utf-8")


def test_a_job_of_slurm_that_resumes_is_no_job_in_its_own_way(
    tmp_path: Path, squeue: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prints(squeue, f"7 {tmp_path}")
    monkeypatch.setenv("SLURM_JOB_ID", "7")
    assert await_end(tmp_path).returncode == 0


def test_a_run_of_another_machine_is_not_taken_up_unless_slurm_tells_that_it_has_ended(
    tmp_path: Path, squeue: Path
) -> None:
    prints(squeue)
    note(tmp_path, host="login2")
    refused = await_end(tmp_path)
    assert refused.returncode == 1
    assert "started on login2" in refused.stderr
    assert len(refused.stderr.splitlines()) == 1
    note(tmp_path, host="node7", slurm_job="5")
    assert await_end(tmp_path).returncode == 0
    prints(squeue, "5 /home/me")  # a driver that was submitted elsewhere, with --directory
    refused = await_end(tmp_path)
    assert refused.returncode == 1
    assert "(scancel 5)" in refused.stderr


def test_a_run_that_slurm_alone_knows_of_is_not_taken_up_where_there_is_no_slurm(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    note(tmp_path, host="node7", slurm_job="5")
    refused = await_end(tmp_path)
    assert refused.returncode == 1
    assert "squeue is not here" in refused.stderr


def test_a_queue_that_cannot_be_asked_is_no_empty_queue_for_a_run_that_had_jobs_there(
    tmp_path: Path, squeue: Path
) -> None:
    squeue.write_text("#!/bin/sh\necho 'slurm_load_jobs error: Unable to contact slurm controller' >&2\nexit 1\n")
    squeue.chmod(0o755)
    note(tmp_path)
    assert await_end(tmp_path).returncode == 0
    for alive in ({"jobs_on_slurm": True}, {"host": "node7", "slurm_job": "5"}):
        note(tmp_path, **alive)
        refused = await_end(tmp_path)
        assert refused.returncode == 1
        assert "Unable to contact slurm controller" in refused.stderr

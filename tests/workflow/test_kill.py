"""A run that was killed goes on where it was, and ends with the files of an undisturbed one."""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from project import Project

DEADLINE_S = 600
GOING_ON = "going on from the checkpoint after epoch"
NETWORKS = {"teacher": "results/teacher/patches", "student": "results/student/student"}


def contents(folder: Path) -> dict[str, str]:
    """Digests of all files below a folder."""
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@pytest.fixture(scope="module")
def trained(finished: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The tiny cohort with networks that train for some epochs, once undisturbed."""
    project = finished.copy(tmp_path_factory.mktemp("kill") / "project")
    tiny = (project.folder / "tiny.yaml").read_text(encoding="utf-8")
    longer = tiny.replace("epochs: 1", "epochs: 5").replace("epochs: 2", "epochs: 5")
    (project.folder / "longer.yaml").write_text(longer, encoding="utf-8")
    project.overrides = ("longer.yaml",)
    project.run(*(f"{network}/model.safetensors" for network in NETWORKS.values()))
    return project


@contextmanager
def training(project: Project, rule: str) -> Iterator[tuple[subprocess.Popen[bytes], psutil.Process]]:
    """Snakemake and the job that trains the network again, in the middle of a later epoch than the first."""
    shutil.rmtree(project.folder / NETWORKS[rule])
    output = (project.folder / "killed.log").open("wb")
    command = project.command(f"{NETWORKS[rule]}/model.safetensors")
    with output, subprocess.Popen(command, cwd=project.folder, stdout=output, stderr=output) as driver:
        end = time.monotonic() + DEADLINE_S
        while not list(project.folder.glob(f"results/checkpoints/{rule}/*/*/last.ckpt")):
            assert driver.poll() is None and time.monotonic() < end, (project.folder / "killed.log").read_text()
            time.sleep(0.01)
        children = psutil.Process(driver.pid).children(recursive=True)
        (job,) = (child for child in children if child.cmdline()[-1].endswith(f".{rule}.py"))
        yield driver, job


def resumed(project: Project, rule: str) -> bool:
    name = Path(NETWORKS[rule]).name
    return GOING_ON in (project.folder / "logs" / rule / f"{name}.log").read_text(encoding="utf-8")


@pytest.mark.parametrize("rule", ["student", "teacher"])
def test_a_killed_training_goes_on_from_its_last_checkpoint_and_ends_the_same(trained: Project, rule: str) -> None:
    undisturbed = contents(trained.folder / NETWORKS[rule])
    with training(trained, rule) as (driver, job):
        job.kill()
        assert driver.wait(DEADLINE_S) != 0
    assert not (trained.folder / NETWORKS[rule] / "model.safetensors").exists()
    trained.run(f"{NETWORKS[rule]}/model.safetensors")
    assert resumed(trained, rule)
    assert contents(trained.folder / NETWORKS[rule]) == undisturbed
    assert not (trained.folder / "results" / "checkpoints" / rule / Path(NETWORKS[rule]).name).exists()


def test_a_killed_snakemake_leaves_no_job_behind_and_make_resume_ends_the_same(trained: Project) -> None:
    undisturbed = contents(trained.folder / NETWORKS["student"])
    with training(trained, "student") as (driver, job):
        driver.kill()
        driver.wait()
        job.wait(DEADLINE_S)
    assert not (trained.folder / NETWORKS["student"] / "model.safetensors").exists()
    arguments = f"{NETWORKS['student']}/model.safetensors --configfile longer.yaml"
    installed = (f"BIN={Path(sys.executable).parent}", "--old-file", ".venv/installed")
    make = ["make", "resume", f"ARGS={arguments}", *installed]
    subprocess.run(make, cwd=trained.folder, check=True, capture_output=True)
    assert resumed(trained, "student")
    assert contents(trained.folder / NETWORKS["student"]) == undisturbed


def kill(driver: subprocess.Popen[bytes], *, group: bool) -> None:
    """Kill Snakemake alone or its whole process group, and wait until no job lives any more."""
    jobs = psutil.Process(driver.pid).children(recursive=True)
    if group:
        os.killpg(driver.pid, signal.SIGKILL)
    else:
        driver.kill()
    driver.wait()
    assert not psutil.wait_procs(jobs, DEADLINE_S)[1]


def start_over(project: Project) -> None:
    """Remove all but the downloaded template."""
    head = project.folder / "results/template/head_1mm.nii.gz"
    kept = head.rename(project.folder / head.name)
    for part in ("results", ".snakemake"):
        shutil.rmtree(project.folder / part)
    head.parent.mkdir(parents=True)
    kept.rename(head)


@pytest.mark.soak
def test_twenty_kills_at_random_moments_change_nothing(finished: Project, tmp_path: Path) -> None:
    undisturbed = contents(finished.folder / "results")
    project = finished.copy(tmp_path / "project")
    start_over(project)
    draw = random.Random(0)
    kills = 0
    while kills < 20:
        output = (project.folder / "killed.log").open("wb")
        with (
            output,
            subprocess.Popen(
                project.command(), cwd=project.folder, stdout=output, stderr=output, start_new_session=True
            ) as driver,
        ):
            try:
                assert driver.wait(draw.uniform(1, 60)) == 0, (project.folder / "killed.log").read_text()
                assert contents(project.folder / "results") == undisturbed
                start_over(project)
            except subprocess.TimeoutExpired:
                kill(driver, group=draw.random() < 0.5)
                kills += 1
                project.run("--unlock")
    project.run()
    assert contents(project.folder / "results") == undisturbed

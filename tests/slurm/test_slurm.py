"""Events of a cluster, tried on a real SLURM: a run ends with the files of a local one, or in a sentence."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from availability import unavailable
from project import copy_workflow

CLUSTER = Path(__file__).with_name("cluster.sh")
WITHIN_S = 60
"""How soon a run ends that cannot go on."""
DEADLINE_S = 400

COHORT = """
demo:
  healthy: {train: 2, val: 1, test: 1}
  patient: {train: 1, val: 1, test: 1}
standardization: {landmarks_from: healthy}
template: {resolution_mm: 4}
grid: {size: 32}
compute: {threads: 1}
teachers: [{name: random, weights: random, epochs: 0, patch_size: 16}]
students: []
gans: []
experiments: [{name: intensity, method: intensity}]
evaluation: {reference: intensity, probes: false, synthetic: {per_scan: 0}}
"""
SCANS = ("sub-demoH01", "sub-demoH02")
STRIPPED = "results/strip/sub-demoH01/"
IMAGE = f"{STRIPPED}image.nii.gz"
CHAIN = [f"results/grid/{scan}.npy" for scan in SCANS]
MADE = ("strip", "standardize", "grid")
"""The stages that SLURM makes again; what comes before them is made once, locally."""


def asked(*command: str) -> str:
    """What a command prints."""
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    """A SLURM of one node, without accounting."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        unavailable("a SLURM of one's own takes root")
    if not shutil.which("apt-get"):
        unavailable("a SLURM of one's own is installed on Debian alone")
    done = subprocess.run([CLUSTER, "start"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)
    if done.returncode != 0:
        unavailable(f"no SLURM of one's own: {done.stderr.strip()[-300:]}")
    yield
    subprocess.run([CLUSTER, "stop"], check=True)


@dataclass
class Run:
    """Snakemake on the profile for SLURM, in the background, and what it has said so far."""

    driver: subprocess.Popen[bytes]
    log: Path

    def said(self) -> str:
        return self.log.read_text(encoding="utf-8")

    def job(self, state: str, other_than: str = "") -> str:
        """Wait for a job of the run in this state of SLURM's."""
        end = time.monotonic() + DEADLINE_S
        while True:
            jobs = [line.split() for line in asked("squeue", "--noheader", "--format=%A %T").splitlines()]
            if found := [number for number, now in jobs if now == state and number != other_than]:
                return found[0]
            assert self.driver.poll() is None and time.monotonic() < end, self.said()
            time.sleep(0.2)

    def ended(self, within_s: float = DEADLINE_S) -> int:
        """Wait for the end, and tell the exit status."""
        try:
            return self.driver.wait(within_s)
        except subprocess.TimeoutExpired:
            self.driver.kill()
            pytest.fail(f"the run hangs: {self.said()}")


@dataclass
class Project:
    """A clone of the workflow with a tiny cohort, and digests of what a local run made of it."""

    folder: Path
    made: dict[str, str] = field(default_factory=dict)

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "snakemake", *arguments, "--configfile", "cohort.yaml"]

    def on_slurm(self, *arguments: str) -> Run:
        """Start a run whose driver looks at its jobs every few seconds, rather than every twenty."""
        often = ("--slurm-init-seconds-before-status-checks", "2", "--seconds-between-status-checks", "2")
        command = self.command(*arguments, "--workflow-profile", "profiles/slurm", *often)
        log = self.folder / "run.log"
        with log.open("wb") as output:
            driver = subprocess.Popen(
                command,
                cwd=self.folder,
                stdout=output,
                stderr=output,
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # which a background job ignores
            )
        return Run(driver, log)

    def remove(self, *stages: str) -> None:
        for stage in stages:
            shutil.rmtree(self.folder / "results" / stage, ignore_errors=True)

    def digests(self) -> dict[str, str]:
        """Digests of the files of the stages that SLURM makes again."""
        files = [path for stage in MADE for path in sorted((self.folder / "results" / stage).rglob("*"))]
        return {
            str(path.relative_to(self.folder)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in files
            if path.is_file()
        }


@pytest.fixture(scope="module")
def project(cluster: None, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The tiny cohort after a local run."""
    project = Project(tmp_path_factory.mktemp("slurm"))
    copy_workflow(project.folder)
    (project.folder / "cohort.yaml").write_text(COHORT, encoding="utf-8")
    done = subprocess.run(
        project.command(*CHAIN, "--cores", "2"), cwd=project.folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    project.made = project.digests()
    return project


@pytest.fixture
def stripping(project: Project) -> Project:
    """The project with nothing in the queue and one job to do."""
    assert not asked("squeue", "--noheader")
    project.remove("strip")
    return project


def test_groups_and_a_gpus_job_make_the_files_of_a_local_run(project: Project) -> None:
    project.remove(*MADE)
    run = project.on_slurm(*CHAIN, "--set-resources", "landmarks:gpu=1")
    assert run.ended() == 0, run.said()
    assert project.digests() == project.made
    name = re.findall(r"SLURM run ID: (\S+)", run.said())[0]
    numbers = asked("squeue", "--states=all", "--noheader", "--format=%A", "--name", name).split()
    jobs = [asked("scontrol", "--oneliner", "show", "job", number) for number in numbers]
    given = {re.findall(r"Comment=(\S+)", job)[0]: job for job in jobs}
    limits = {comment: re.findall(r"TimeLimit=(\S+)", job)[0] for comment, job in given.items()}
    assert len(numbers) == len(given) == 4  # the fourth places the network's grid
    assert [comment for comment, job in given.items() if "gres:gpu" in job] == ["rule_landmarks"]
    # Members run one after another, so that their time adds up and their memory does not.
    before, after = "rule_before_strip", "rule_after_grid_standardize"
    assert (limits[before], limits[after]) == ("00:06:00", "00:12:00")
    assert "mem=2000M" in given[before] and "mem=2000M" in given[after]


@pytest.mark.parametrize(
    ("asks", "sentence"),
    [
        (("strip:gpu=2",), "Requested node configuration is not available"),
        (("strip:slurm_partition=short",), "they ask for 3 minutes, and short allows 1"),
        pytest.param(("strip:slurm_partition=nowhere",), "Invalid partition name", marks=pytest.mark.soak),
    ],
)
def test_what_slurm_would_never_run_is_refused_before_the_first_job(
    stripping: Project, asks: tuple[str, ...], sentence: str
) -> None:
    run = stripping.on_slurm(IMAGE, "--set-resources", *asks)
    assert run.ended(WITHIN_S) != 0
    assert sentence in run.said()
    assert "submitted" not in run.said()


def strips(project: Project) -> dict[str, str]:
    """Digests of the stripped scans of the local run."""
    return {name: digest for name, digest in project.made.items() if name.startswith(STRIPPED)}


def stripped(project: Project) -> dict[str, str]:
    """Digests of the stripped scans that are there."""
    return {name: digest for name, digest in project.digests().items() if name.startswith(STRIPPED)}


def await_empty_queue() -> None:
    """Wait until SLURM has no job any more."""
    end = time.monotonic() + DEADLINE_S
    while asked("squeue", "--noheader"):
        assert time.monotonic() < end
        time.sleep(0.5)


def test_cancelled_jobs_waiting_and_running_are_made_again(stripping: Project) -> None:
    asked("scontrol", "update", "partitionname=main", "state=down")
    run = stripping.on_slurm(IMAGE)
    waiting = run.job("PENDING")
    asked("scancel", waiting)
    asked("scontrol", "update", "partitionname=main", "state=up")
    running = run.job("RUNNING", other_than=waiting)
    asked("scancel", running)
    assert run.ended() == 0, run.said()
    assert stripped(stripping) == strips(stripping)


@pytest.mark.parametrize("told", [signal.SIGTERM, pytest.param(signal.SIGINT, marks=pytest.mark.soak)])
def test_a_driver_that_is_told_to_end_takes_its_jobs_with_it(stripping: Project, told: signal.Signals) -> None:
    run = stripping.on_slurm(IMAGE)
    run.job("RUNNING")
    run.driver.send_signal(told)
    assert run.ended(WITHIN_S) != 0
    assert "Terminating processes on user request" in run.said()
    await_empty_queue()


def test_a_killed_drivers_run_is_resumed_when_its_jobs_have_ended(stripping: Project) -> None:
    run = stripping.on_slurm(IMAGE)
    job = run.job("RUNNING")
    run.driver.kill()
    run.driver.wait()
    arguments = f"{IMAGE} --workflow-profile profiles/slurm --configfile cohort.yaml"
    command = ["make", "resume", f"ARGS={arguments}", f"BIN={Path(sys.executable).parent}"]
    refused = subprocess.run(command, cwd=stripping.folder, capture_output=True, text=True, check=False)
    assert refused.returncode != 0
    assert (
        "is still alive" in refused.stderr or f"(scancel {job})" in refused.stderr
    )  # a node of its own hides processes
    await_empty_queue()
    subprocess.run(command, cwd=stripping.folder, capture_output=True, check=True)
    assert stripped(stripping) == strips(stripping)


def test_the_driver_may_be_a_job_itself(stripping: Project) -> None:
    often = "--slurm-init-seconds-before-status-checks 2 --seconds-between-status-checks 2"
    command = f"{' '.join(stripping.command(IMAGE))} --workflow-profile profiles/slurm {often}"
    asked("sbatch", "--wait", "--mem=1000", "--output=driver.log", f"--chdir={stripping.folder}", f"--wrap={command}")
    assert stripped(stripping) == strips(stripping)


@pytest.mark.soak
def test_a_job_above_its_memory_or_time_asks_for_more(stripping: Project) -> None:
    run = stripping.on_slurm(IMAGE, "--set-resources", "strip:mem_mb=20 * 30**(attempt - 1)")
    assert run.ended() == 0, run.said()
    assert "Trying to restart" in run.said()
    assert stripped(stripping) == strips(stripping)
    stripping.remove("strip")
    run = stripping.on_slurm(IMAGE, "--set-resources", "strip:runtime=attempt**4")
    job = run.job("RUNNING")
    asked("scancel", "--signal=STOP", "--full", job)  # its one minute passes
    assert run.ended() == 0, run.said()
    assert "Trying to restart" in run.said()


@pytest.mark.soak
def test_a_node_that_goes_down_and_comes_back_changes_nothing(stripping: Project) -> None:
    run = stripping.on_slurm(IMAGE)
    run.job("RUNNING")
    asked("scontrol", "update", "nodename=localhost", "state=down", "reason=test")
    assert run.ended() == 0, run.said()  # SLURM puts the job back and takes the node again when it answers
    assert stripped(stripping) == strips(stripping)

"""With conda, and a driver in an environment of its own, scripts find what they import in that of their rule."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

import stand_in_conda
from project import ROOT, Project

COHORT = """
demo:
  healthy: {train: 1, val: 1, test: 1}
  patient: {train: 1, val: 1, test: 1}
registration: {transform: none}
standardization: {landmarks_from: healthy}
template: {resolution_mm: 4}
grid: {size: 32}
teachers: [{name: random, weights: random, epochs: 0, patch_size: 16}]
students: []
gans: []
experiments: [{name: intensity, method: intensity}]
evaluation: {reference: intensity}
"""
IMAGING = "results/grid/mask.npy"
LEARNING = "results/standardize/landmarks.tsv"


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of the driver's environment."""
    prefix = tmp_path_factory.mktemp("driver") / "environment"
    stand_in_conda.create(ROOT / "envs" / "snakemake.yaml", prefix)
    return prefix / "bin" / "python"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    (tmp_path / "project").mkdir()
    project = Project.clone(tmp_path / "project")
    (project.folder / "cohort.yaml").write_text(COHORT, encoding="utf-8")
    return project


def run(project: Project, driver: Path, *targets: str) -> subprocess.CompletedProcess[str]:
    conda = stand_in_conda.install(project.folder.parent / "conda")
    command = [driver, "-m", "snakemake", *targets, "--cores", "2", "--use-conda", "--configfile", "cohort.yaml"]
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    return subprocess.run(
        command, cwd=project.folder, env=environment | conda, capture_output=True, text=True, check=False
    )


def test_the_environments_of_conda_hold_what_their_scripts_import(project: Project, driver: Path) -> None:
    done = run(project, driver, IMAGING, LEARNING, "results/cohort/split.tsv")
    assert done.returncode == 0, done.stderr[-4000:]
    assert (project.folder / LEARNING).is_file()


def test_a_dependency_that_an_environment_does_not_name_is_missed(project: Project, driver: Path) -> None:
    packages = (project.folder / "envs" / "imaging.yaml").read_text(encoding="utf-8").splitlines(keepends=True)
    (line,) = (line for line in packages if "simpleitk" in line)  # which no other of its packages requires
    with project.edited("envs/imaging.yaml", line, ""):
        done = run(project, driver, IMAGING)
    assert done.returncode != 0
    assert "ModuleNotFoundError: No module named 'SimpleITK'" in done.stderr

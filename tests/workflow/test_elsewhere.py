"""The workflow used from outside: from another folder, as a module, from where the catalogue looks for it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from project import ROOT, Project, planned_rules

OWN_DATA = ROOT / "config/own-data.yaml"


def documented_config() -> dict:
    """The config for scans of one's own, for the demo's scans."""
    shown = yaml.safe_load(OWN_DATA.read_text(encoding="utf-8"))
    return {**shown, "cohort": {"participants": "demo"}}


@pytest.fixture
def elsewhere(tmp_path: Path) -> Project:
    """A folder that holds a config and nothing else."""
    (tmp_path / "own.yaml").write_text(yaml.safe_dump(documented_config()), encoding="utf-8")
    return Project(tmp_path, ("own.yaml",))


def plan(project: Project, *arguments: str | Path) -> tuple[str, dict[str, int]]:
    """The checksum of the merged config, which Snakemake prints, and the planned rules with their numbers of jobs."""
    output = project.plan(*arguments)
    return re.findall(r"Config MD5: (\w+)", output)[0], planned_rules(output)


@pytest.fixture(scope="module")
def in_the_clone(tmp_path_factory) -> tuple[str, dict[str, int]]:
    """The plan of a run in the clone's own folder."""
    project = Project.clone(tmp_path_factory.mktemp("clone"), "own.yaml")
    (project.folder / "own.yaml").write_text(yaml.safe_dump(documented_config()), encoding="utf-8")
    return plan(project)


@pytest.mark.parametrize("snakefile", ["Snakefile", "workflow/Snakefile"])
def test_a_run_from_another_folder_is_the_run_of_the_clone(elsewhere: Project, in_the_clone, snakefile: str) -> None:
    assert plan(elsewhere, "--snakefile", ROOT / snakefile) == in_the_clone


def test_a_config_at_the_usual_place_of_the_folder_of_the_run_is_read(elsewhere: Project, in_the_clone) -> None:
    (elsewhere.folder / "config").mkdir()
    (elsewhere.folder / "own.yaml").rename(elsewhere.folder / "config/config.yaml")
    elsewhere.overrides = ()
    assert plan(elsewhere, "--snakefile", ROOT / "Snakefile") == in_the_clone


def test_the_comparison_is_planned_whole(elsewhere: Project) -> None:
    (elsewhere.folder / "resnet18.pth").touch()
    elsewhere.overrides = (str(ROOT / "config/comparison.yaml"),)
    _, planned = plan(elsewhere, "--snakefile", ROOT / "Snakefile")
    assert planned["evaluate"] == 19 and planned["report"] == 1


@pytest.mark.parametrize("snakefile", ["Snakefile", "workflow/Snakefile"])
def test_another_workflow_has_it_as_a_module(elsewhere: Project, in_the_clone, snakefile: str) -> None:
    """The module's rules are renamed and its results lie in the folder of the run."""
    module = f'module brains:\n    snakefile: "{ROOT / snakefile}"\n    config: config\n'
    (elsewhere.folder / "Snakefile").write_text(f"{module}\nuse rule * from brains as brains_*\n", encoding="utf-8")
    _, planned = plan(elsewhere)
    renamed = {rule.removeprefix("brains_"): count for rule, count in planned.items() if rule.startswith("brains_")}
    del renamed["everything" if "everything" in renamed else "all"]
    assert renamed == in_the_clone[1]
    assert len(renamed) + 1 == len(planned)

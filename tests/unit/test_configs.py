"""The configs that come with the project, and the documents that name their keys."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest
from snakemake.common.configfile import load_configfile

from stfpm3d.methods.stfpm import StfpmExperiment
from stfpm3d.study.config import Config, read_config
from stfpm3d.study.plan import Plan

ROOT = Path(__file__).resolve().parents[2]
PAPER = (ROOT / "docs/paper.md").read_text(encoding="utf-8")


def study(*names: str) -> Config:
    """The config as Snakemake would make it of these files: mappings are merged, lists are replaced."""
    merged = {}
    for name in ("config.yaml", *names):
        for key, value in load_configfile(ROOT / "config" / name).items():
            merged[key] = {**merged.get(key, {}), **value} if isinstance(value, dict) else value
    return read_config(merged)


def test_the_papers_config_holds_its_experiments_and_trains_what_they_share_once() -> None:
    paper = study("paper.yaml")
    teachers = {teacher.name: (teacher.architecture, teacher.weights, teacher.epochs) for teacher in paper.teachers}
    assert teachers == {
        "imagenet": ("resnet18", "imagenet", 0),
        "patches": ("resnet18", "random", 64),
        "imagenet-patches": ("resnet18", "imagenet", 64),
        "resnet34": ("resnet34", "imagenet", 64),
        "resnet50": ("resnet50", "imagenet", 64),
    }
    assert {student.name: student.teacher for student in paper.students} == {name: name for name in teachers}
    rows = [row.model_dump() for row in paper.experiments]
    source = {"stfpm": "student", "padim": "teacher", "fanogan": "gan", "segmentation": "experiment"}
    assert [(row["name"], row["method"], row.get(source.get(row["method"], ""))) for row in rows] == [
        ("experiment-3", "stfpm", "imagenet-patches"),
        ("experiment-1", "stfpm", "imagenet"),
        ("experiment-2", "stfpm", "patches"),
        ("experiment-4", "segmentation", "experiment-3"),
        ("experiment-4-top", "segmentation", "experiment-3"),
        ("resnet34", "stfpm", "resnet34"),
        ("resnet50", "stfpm", "resnet50"),
        ("fanogan", "fanogan", "fanogan"),
        ("padim", "padim", "imagenet"),
        ("untrained", "stfpm", "imagenet-patches"),
        ("intensity", "intensity", None),
        ("zscore", "zscore", None),
        ("mask", "mask", None),
    ]


def test_the_papers_config_has_the_papers_constants() -> None:
    paper = study("paper.yaml")
    assert (paper.template.templateflow, paper.template.resolution_mm) == ("MNI152NLin2009cSym", 1)
    assert (paper.grid.crop_mm, paper.grid.size) == (156, 224)
    for teacher in paper.teachers:
        if teacher.epochs:
            settings = (teacher.batch_size, teacher.patch_size, teacher.triplets_per_scan, teacher.margin)
            assert settings == (2, 32, 1, 1.0)
            assert teacher.min_brain_fraction == 0
            schedule = (teacher.learning_rate, teacher.weight_decay, teacher.lr_step_epochs, teacher.lr_decay)
            assert schedule == (0.1, 1e-4, 10, 0.8)
            assert teacher.balance == "equal"
    for student in paper.students:
        assert (student.epochs, student.batch_size, student.learning_rate, student.momentum) == (64, 2, 0.5, 0.9)
        assert (student.squared, student.selection, student.weight_decay) == (True, "auroc", 1e-4)


@pytest.mark.parametrize(
    "names", [(), ("own-data.yaml",), ("comparison.yaml",), ("paper.yaml",), ("matched.yaml",), ("model.yaml",)]
)
def test_every_config_that_comes_with_the_project_is_valid(names: tuple[str, ...]) -> None:
    assert study(*names).experiments


def test_an_untrained_student_stands_beside_a_trained_one() -> None:
    pairs = {(): {"stfpm": "untrained"}, ("matched.yaml",): {"stfpm-gaussian": "untrained-gaussian"}}
    for names, expected in pairs.items():
        plan = Plan(study(*names), pd.DataFrame(columns=["scan_id", "group", "split"]))
        assert plan.initial_counterparts() == expected


def test_a_network_that_knows_lesions_leads_the_demo() -> None:
    plan = Plan(study(), pd.DataFrame(columns=["scan_id", "group", "split"]))
    assert (plan.in_brain()[0], plan.experiments["lesion-odds"].method) == ("lesion-odds", "segmenter")


def test_the_demos_test_patients_can_show_a_difference_between_all_rows_that_are_tested() -> None:
    """Of 2 ** n flips two have the most extreme sum: the smallest p, times the number of comparisons (Holm)."""
    demo = study()
    tested = [row for row in demo.experiments if row.method not in ("segmentation", "mask")]
    assert 2 / 2**demo.demo.patient.test * (len(tested) - 1) < 0.05


def test_the_row_called_stfpm_is_the_papers() -> None:
    row = next(row for row in study().experiments if row.name == "stfpm")
    assert isinstance(row, StfpmExperiment)
    assert row == StfpmExperiment(name="stfpm", method="stfpm", student="student")
    assert (row.weights, row.residual, row.combine, row.blocks) == ("trained", "distance", "product", [1, 2, 3])


def test_a_config_that_names_its_rows_alone_has_the_defaults_of_the_default_run() -> None:
    """So that a module, whose config is handed over whole, and a run of the clone do not differ in silence."""
    run = study()
    rows = {key: getattr(run, key) for key in ("teachers", "students", "gans", "segmenters", "experiments")}
    assert read_config(rows).model_dump() == run.model_dump()


def test_the_two_small_cohorts_differ_in_their_scenario_alone() -> None:
    matched, shortcut = study("matched.yaml"), study("matched.yaml", "shortcut.yaml")
    assert (matched.demo.scenario, shortcut.demo.scenario) == ("matched", "shortcut")
    assert shortcut.model_copy(update={"demo": matched.demo}) == matched
    for group in (shortcut.demo.healthy, shortcut.demo.patient):
        assert group.test >= 12
        assert group.train + group.val + group.test == 24


def test_every_module_and_test_that_the_papers_document_names_is_there() -> None:
    modules = set(re.findall(r"`((?:study|imaging|learning|evaluation|reporting)/\w+\.py)`", PAPER))
    tests = set(re.findall(r"`(test_\w+\.py)`", PAPER))
    assert len(modules) > 15 and len(tests) > 10
    missing = [name for name in modules if not (ROOT / "workflow/scripts/stfpm3d" / name).is_file()]
    missing += [name for name in tests if not (ROOT / "tests/unit" / name).is_file()]
    assert not missing


def test_every_row_that_the_papers_document_names_is_in_its_config() -> None:
    table = PAPER.split("## Experiments")[1].split("##")[0]
    named = set(re.findall(r"`([\w-]+)`", table))
    assert named <= {row.name for row in study("paper.yaml").experiments}

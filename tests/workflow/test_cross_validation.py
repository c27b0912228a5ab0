"""Cross-validation in one run: folds share what their split has no say in, and their numbers are put together."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml

from project import Project

FOLDS = 3
SCANS = 15
FEW = {
    "experiments": [{"name": "zscore", "method": "zscore"}],
    "evaluation": {"probes": False, "synthetic": {"per_scan": 0}},
}
FEW_SCANS = [*(f"sub-demoH{number:02}" for number in range(1, 7)), *(f"sub-demoP{number:02}" for number in (1, 2, 3))]


@pytest.fixture
def project(finished: Project, tmp_path: Path) -> Project:
    """A copy of the finished run, its table without the split."""
    project = finished.copy(tmp_path / "run")
    table = pd.read_csv(project.folder / "data/participants.tsv", sep="\t", dtype=str, keep_default_na=False)
    table.drop(columns="split").to_csv(project.folder / "data/participants.tsv", sep="\t", index=False)
    (project.folder / "folds.yaml").write_text(yaml.safe_dump({"split": {"folds": FOLDS}}), encoding="utf-8")
    project.overrides = ("tiny.yaml", "folds.yaml")
    return project


def test_each_fold_has_landmarks_networks_and_a_report_of_its_own_and_registers_nothing_again(project: Project) -> None:
    planned = project.planned()
    assert not {"register", "strip", "template"} & set(planned)
    for fold in range(1, FOLDS + 1):
        once = {planned[f"fold{fold}_{rule}"] for rule in ("landmarks", "teacher", "student", "fanogan", "report")}
        assert once == {1} and planned[f"fold{fold}_standardize"] == SCANS
    assert planned["folds"] == 1


def test_the_summary_is_the_mean_and_sd_of_the_folds(project: Project) -> None:
    (project.folder / "few.yaml").write_text(yaml.safe_dump(FEW), encoding="utf-8")
    project.overrides = (*project.overrides, "few.yaml")
    participants = project.folder / "data/participants.tsv"
    table = pd.read_csv(participants, sep="\t", dtype=str, keep_default_na=False)
    table[table["participant_id"].isin(FEW_SCANS)].to_csv(participants, sep="\t", index=False)
    project.run()
    folder = project.folder / "results/folds"
    tested = [
        pd.read_csv(folder / f"{fold}/cohort/split.tsv", sep="\t").query("split == 'test'")["participant_id"]
        for fold in range(1, FOLDS + 1)
    ]
    assert sorted(pd.concat(tested)) == FEW_SCANS
    values = []
    for fold in range(1, FOLDS + 1):
        metrics = pd.read_csv(folder / f"{fold}/evaluation/metrics.tsv", sep="\t")
        row = metrics.query("experiment == 'zscore' and protocol == 'strict' and split == 'test'").set_index("metric")
        values.append(row["value"]["voxel_auprc"])
    summary = pd.read_csv(folder / "metrics.tsv", sep="\t")
    found = summary.query(
        "experiment == 'zscore' and protocol == 'strict' and split == 'test' and metric == 'voxel_auprc'"
    )
    assert found[["mean", "sd", "n_fold"]].to_numpy().tolist() == [
        pytest.approx([np.mean(values), np.std(values, ddof=1), FOLDS])
    ]
    assert 'href="2/report/index.html"' in (folder / "index.html").read_text(encoding="utf-8")
    assert project.planned() == {}

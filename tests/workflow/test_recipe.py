"""CONTRIBUTING's recipe for a method, followed as it stands there, on the workflow in which the tiny cohort has run."""

from __future__ import annotations

import re
from pathlib import Path

import pandas as pd
import pytest
import yaml

from project import ROOT, Project


def recipe() -> str:
    """The recipe's section of CONTRIBUTING."""
    return (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8").split("## Add a method\n")[1].split("\n## ")[0]


def follow(text: str, folder: Path) -> None:
    """Change a copy of the workflow as the recipe says: one new file, and one line in another."""
    (module,) = re.findall(r"```python\n(.*?)^ *```", text, re.M | re.S)
    (line,) = re.findall(r'`("mirror": "mirror:\w+",)`', text)
    methods = folder / "workflow/scripts/stfpm3d/methods"
    (methods / "mirror.py").write_text(re.sub("^    ", "", module, flags=re.M), encoding="utf-8")
    registry = (methods / "registry.py").read_text(encoding="utf-8")
    assert registry.count("METHODS = {\n") == 1
    text = registry.replace("METHODS = {\n", f"METHODS = {{\n    {line}\n")
    (methods / "registry.py").write_text(text, encoding="utf-8")


@pytest.fixture(scope="module")
def mirrored(finished: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """The recipe's study: its row is the only one."""
    project = finished.copy(tmp_path_factory.mktemp("recipe") / "clone")
    follow(recipe(), project.folder)
    (row,) = re.findall(r"`(\{name: \w+, method: \w+\})`", recipe())
    text = yaml.safe_dump({"experiments": [yaml.safe_load(row)]})
    (project.folder / "mirror.yaml").write_text(text, encoding="utf-8")
    project.overrides = (*project.overrides, "mirror.yaml")
    return project


def test_a_method_by_the_recipe_runs_its_own_jobs_alone_to_the_report_and_a_bundle(mirrored: Project) -> None:
    jobs = mirrored.planned("all", "bundles")
    assert set(jobs) - {"regions"} == {  # which another test of this run may have made
        *("maps_imaging", "copies_imaging", "evaluate", "evaluate_synthetic"),
        *("probe_removed", "probe_within", "probe_sites", "compare", "report", "bundle", "bundles"),
    }
    assert "Report: " not in mirrored.run("results/evaluation/mirror/metrics.tsv"), "the one there is another config's"
    assert "Report: " in mirrored.run("all", "bundles")
    results = mirrored.folder / "results"
    metrics = pd.read_csv(results / "evaluation/metrics.tsv", sep="\t")
    assert set(metrics["experiment"]) == {"mirror", "histogram"}
    page = (results / "report/index.html").read_text(encoding="utf-8")
    assert "not tested against any other row" in page
    assert "Anomaly maps were made by the difference to the mirror image, as implemented in stfpm3d" in page
    assert '<small class="kind">baseline</small>' in page
    assert (results / "bundle/mirror/bundle.json").is_file()

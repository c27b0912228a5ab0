"""A method of the user's own and maps made elsewhere run as any row, on the tiny cohort."""

from __future__ import annotations

import re
import shutil

import pandas as pd
import pytest
import yaml

from project import ROOT, Project

LEARNED = re.findall(r"```python\n(.*?)^```", (ROOT / "docs/own-method.md").read_text("utf-8"), re.M | re.S)[0]
ROWS = [
    {"name": "pca", "method": "own", "module": "pca.py", "input": "grid", "settings": {"components": 2}},
    {"name": "given", "method": "given", "maps": "given/{scan_id}.nii.gz"},
]
OFF = {"evaluation": {"probes": False, "synthetic": {"per_scan": 0}}}
MEASURED = {"compare": 1, "report": 1}


def configured(project: Project, *rows: dict) -> None:
    (project.folder / "own.yaml").write_text(yaml.safe_dump({"experiments": [*rows], **OFF}), encoding="utf-8")


def value(metrics: pd.DataFrame, protocol: str, split: str, metric: str) -> float:
    rows = metrics[(metrics["protocol"] == protocol) & (metrics["split"] == split) & (metrics["metric"] == metric)]
    return float(rows["value"].iloc[0])


@pytest.fixture(scope="module")
def own(finished: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A study of two rows: the document's PCA, and z-scores of the finished run as if they came from elsewhere."""
    project = finished.copy(tmp_path_factory.mktemp("own") / "clone")
    (project.folder / "pca.py").write_text(LEARNED, encoding="utf-8")
    (project.folder / "given").mkdir()
    for path in (project.folder / "results/maps/zscore").glob("*/*_desc-anomaly_*.nii.gz"):
        shutil.copy(path, project.folder / "given" / f"{path.name.partition('_space-')[0]}.nii.gz")
    configured(project, *ROWS)
    project.overrides = (*project.overrides, "own.yaml")
    return project


def test_both_are_measured_and_pictured_and_the_code_is_bundled_and_asked_for(own: Project) -> None:
    jobs = own.planned("all", "bundles")
    assert set(jobs) - {"regions"} == {"own_fit", "maps_own", "maps_imaging", "evaluate", "compare", "report", *BUNDLE}
    own.run("all", "bundles")
    results = own.folder / "results"
    metrics = pd.read_csv(results / "evaluation/metrics.tsv", sep="\t")
    assert set(metrics["experiment"]) == {"pca", "given"}
    before = pd.read_csv(results / "evaluation/zscore/metrics.tsv", sep="\t")
    for key in (("strict", "test", "voxel_auprc"), ("strict", "val", "threshold")):
        assert value(metrics[metrics["experiment"] == "given"], *key) == pytest.approx(value(before, *key))
    page = (results / "report/index.html").read_text(encoding="utf-8")
    assert "made by the study's own method pca and a method elsewhere (given), as implemented" in page
    image = next((own.folder / "data").glob("*H9*.nii.gz"))
    (own.folder / "one.tsv").write_text(f"image\n{image}\n", encoding="utf-8")
    predict = Project(own.folder)
    refused = predict.snakemake("-s", "workflow/predict/Snakefile", "-n", "--config", *REQUEST).stdout
    assert "module.py is Python code of whoever made the bundle" in refused
    (trust,) = re.findall(r"add (trust=[0-9a-f]{12}) to", refused)
    predict.run("-s", "workflow/predict/Snakefile", "--config", *REQUEST, trust)
    table = pd.read_csv(own.folder / "predicted/predictions.tsv", sep="\t")
    assert list(table["status"]) == ["predicted"]


BUNDLE = ("bundle", "bundles")
REQUEST = ("bundle=results/bundle/pca", "scans=one.tsv", "out=predicted")


def test_a_setting_runs_its_fit_and_what_follows_again_and_nothing_else(own: Project) -> None:
    own.run()
    configured(own, {**ROWS[0], "settings": {"components": 3}}, ROWS[1])
    assert own.planned() == {"own_fit": 1, "maps_own": 2, "evaluate": 1, **MEASURED}
    configured(own, *ROWS)
    with own.edited("pca.py", "abs(deviation", "2 * abs(deviation"):
        assert own.planned() == {"own_fit": 1, "maps_own": 2, "evaluate": 1, **MEASURED}
    with own.edited("pca.py", "    learned =", "    # a comment\n    learned ="):
        assert own.planned() == {}

"""Two cohorts of whole heads whose answer is known: does the image score speak of lesions, and does the report say so?

In `shortcut` each group has a site of its own and nobody a lesion; in `matched` the groups share sites and patients
have lesions.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
import yaml

from project import Project

LEARNED = "stfpm-gaussian"
WARNING = "on this cohort is not evidence of lesion detection"
PROBES = ["probe_histogram", "probe_removed_6mm", "probe_removed_30mm"]


FEW = {  # of the documented experiments the one that is looked at, and hardly a picture
    "experiments": [{"name": LEARNED, "method": "stfpm", "student": "student", "residual": "gaussian"}],
    "evaluation": {"synthetic": {"per_scan": 0}},
    "report": {"pictures": 1},
    "compute": {"threads": 1},
}


def finished(folder: Path, *overrides: str) -> Project:
    """A cohort that has run to its report."""
    project = Project.clone(folder, *overrides, "few.yaml")
    (folder / "few.yaml").write_text(yaml.safe_dump(FEW), encoding="utf-8")
    project.run()
    return project


@pytest.fixture(scope="module")
def shortcut(tmp_path_factory) -> Project:
    return finished(tmp_path_factory.mktemp("shortcut"), "config/matched.yaml", "config/shortcut.yaml")


@pytest.fixture(scope="module")
def matched(tmp_path_factory) -> Project:
    return finished(tmp_path_factory.mktemp("matched"), "config/matched.yaml")


def measured(project: Project, protocol: str) -> pd.Series:
    """The learned experiment's values on test scans, by metric, and those of the histograms."""
    table = pd.read_csv(project.folder / "results/evaluation/metrics.tsv", sep="\t")
    named = table["experiment"].isin([LEARNED, "histogram"])
    rows = table[named & (table["protocol"] == protocol) & (table["split"] == "test")]
    return rows.set_index("metric")["value"]


def page(project: Project) -> str:
    return (project.folder / "results/report/index.html").read_text(encoding="utf-8")


def test_where_sites_differ_the_image_score_tells_groups_apart_that_have_no_lesion(shortcut):
    values = measured(shortcut, "strict")
    assert values["image_auroc"] >= 0.9
    assert 0.5 * values["prevalence"] < values["voxel_auprc"] < 2 * values["prevalence"]


def test_where_sites_differ_every_probe_fires_and_the_report_warns(shortcut):
    values = measured(shortcut, "probes")
    assert (values[PROBES] >= 0.7).all()
    assert (values[[f"{probe}_p" for probe in PROBES]] < 0.05).all()
    assert WARNING in page(shortcut)


def test_where_sites_are_shared_the_image_score_finds_lesions(matched):
    values = measured(matched, "strict")
    assert values["voxel_auprc"] > 2 * values["prevalence"]


def test_where_sites_are_shared_no_probe_fires_and_the_report_is_silent(matched):
    values = measured(matched, "probes")
    assert (values[[f"{probe}_p" for probe in PROBES]] >= 0.05).all()
    assert WARNING not in page(matched)

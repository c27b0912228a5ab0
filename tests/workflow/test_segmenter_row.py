"""A segmenter beside the tiny cohort's networks: its own jobs alone, from healthy scans to a report and a bundle."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import yaml

from project import ROOT, SPARE, Project
from stfpm3d.imaging.volumes import load_volume
from stfpm3d.prediction.bundle import read_bundle
from stfpm3d.prediction.parts import read_parts

MODEL = yaml.safe_load((ROOT / "config/model.yaml").read_text(encoding="utf-8"))
SMALL = {"steps": 4, "batch_size": 1, "width": 16, "spacing_mm": 4}
ROWS = {
    "segmenters": [{**MODEL["segmenters"][0], **SMALL}],  # of `make model`
    "experiments": MODEL["experiments"],
    "card": {"notes": "notes.md", "development": True},
}
MEASURED = {"evaluate": 1, "evaluate_synthetic": 1, "probe_removed": 1, "probe_within": 1, "probe_sites": 1}


@pytest.fixture(scope="module")
def segmented(finished: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    project = finished.copy(tmp_path_factory.mktemp("segmented") / "clone")
    (project.folder / "segmented.yaml").write_text(yaml.safe_dump(ROWS), encoding="utf-8")
    (project.folder / "notes.md").write_text("Licence: that of the scans.\n", encoding="utf-8")
    project.overrides = (*project.overrides, "segmented.yaml")
    planned = project.planned("all", "bundles")
    planned.pop("regions", None)  # which other tests of this run may have made
    assert planned == {
        "network_grid": 1,
        "grid": 7,  # healthy scans of training and validation
        "segmenter": 1,
        "maps_learning": 2,
        "copies_learning": 1,
        **MEASURED,
        **{"compare": 1, "report": 1, "bundle": 1, "bundles": 1},
    }
    project.run("all", "bundles")
    return project


def test_a_segmenter_marks_from_even_odds_on_and_says_so(segmented: Project) -> None:
    results = segmented.folder / "results"
    metrics = pd.read_csv(results / "evaluation/metrics.tsv", sep="\t")
    threshold = metrics[(metrics["metric"] == "threshold") & (metrics["protocol"] == "strict")]
    assert threshold[["value", "n_healthy", "n_patient"]].to_numpy().tolist() == [[0, 0, 0]]
    page = (results / "report/index.html").read_text(encoding="utf-8")
    assert "a 3D U-Net" in page and "Maps were thresholded at even odds of lesion" in page
    scores = pd.read_csv(results / "evaluation/scores.tsv", sep="\t").set_index("participant_id")["score"]
    brain = load_volume(results / "template/mask.nii.gz").data > 0
    (path,) = (results / "maps/lesion-odds/test").glob("sub-demoP05_*.nii.gz")
    log_odds = load_volume(path).data
    assert log_odds[brain].max() == pytest.approx(scores["sub-demoP05"], rel=1e-5)
    assert np.median(log_odds[brain]) < 0
    bundle = read_bundle(results / "bundle/lesion-odds")
    assert bundle.description["threshold"] == 0 and bundle.description["healthy_quantile"] is None
    assert read_parts(bundle).brain_mask.shape == brain.shape
    card = (results / "bundle/lesion-odds/MODEL_CARD.md").read_text(encoding="utf-8")
    assert "there, lesion is as likely as not" in card
    assert "## Notes\n\nLicence: that of the scans.\n\n## Trained on" in card
    assert "## Development figures" in card and "They are no results" in card and "on the test scans" not in card
    files = (results / "bundle/lesion-odds").iterdir()
    assert sum(path.stat().st_size for path in files) < 3e6  # of a run's 20 MB; 7 MB at 2 mm and the default width


def test_a_segmenter_learns_from_healthy_training_and_validation_scans_alone(segmented: Project) -> None:
    with segmented.kept("data/participants.tsv") as path:
        table = pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False)
        tested, patient = table["split"] == "test", table["group"] == "patient"
        table[~patient | tested].to_csv(path, sep="\t", index=False)  # without patients of training and validation
        assert "segmenter" not in segmented.planned()
        table[(table["participant_id"] != "sub-demoH08")].to_csv(path, sep="\t", index=False)
        assert "segmenter" not in segmented.planned()
        row = {"participant_id": SPARE, "group": "healthy", "site": "north", "image": f"{SPARE}_T2w.nii.gz"}
        row |= {"lesion_mask": "n/a", "skull_stripped": "false", "split": "train"}
        pd.concat([table, pd.DataFrame([row])]).to_csv(path, sep="\t", index=False)
        assert segmented.planned()["segmenter"] == 1


def test_a_setting_of_a_segmenter_trains_it_again_and_prepares_nothing(segmented: Project) -> None:
    with segmented.edited("segmented.yaml", "steps: 4", "steps: 5"):
        planned = segmented.planned()
    measured = {name: 1 for name in MEASURED if name != "probe_removed"}  # which reads the copies' table by its content
    assert planned == {"segmenter": 1, "maps_learning": 2, "copies_learning": 1, **measured, "compare": 1, "report": 1}

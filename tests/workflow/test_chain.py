"""The chain runs from raw scans to a report, and its files are what others may rely on."""

import gzip
import platform
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
from PIL import Image

from project import SECRET
from stfpm3d.imaging.volumes import load_mask, load_volume

EXPERIMENTS = {"stfpm-gaussian", "untrained-gaussian", "stfpm", "stfpm-kmeans"}
EXPERIMENTS |= {"padim", "padim-regional", "fanogan", "intensity", "zscore"}
UNSCORED = "stfpm-kmeans"
OWN_SCORE = "fanogan"
TESTED = ["sub-demoH08", "sub-demoH09", "sub-demoP05", "sub-demoP06"]


def table(project, name):
    return pd.read_csv(project.folder / "results" / name, sep="\t")


def test_the_tables_have_the_promised_columns_and_a_row_for_every_scan(finished):
    metrics, scores = table(finished, "evaluation/metrics.tsv"), table(finished, "evaluation/scores.tsv")
    assert list(metrics) == [
        "experiment",
        "protocol",
        "split",
        "metric",
        "value",
        "ci_low",
        "ci_high",
        "n_healthy",
        "n_patient",
    ]
    assert list(scores) == ["experiment", "participant_id", "group", "split", "score"]
    assert set(scores["experiment"]) == EXPERIMENTS
    assert set(metrics["experiment"]) == EXPERIMENTS | {"histogram"}  # a probe that needs no experiment
    assert scores.groupby(["experiment", "split"]).size().unstack().eq([4, 5]).all(axis=None)  # test, val
    split = table(finished, "cohort/split.tsv")
    assert split.groupby(["group", "split"]).size().to_dict() == {
        (group, part): {("healthy", "train"): 4, ("healthy", "val"): 3}.get((group, part), 2)
        for group in ("healthy", "patient")
        for part in ("train", "val", "test")
    }


def test_a_map_lies_on_the_template_and_its_maximum_in_the_brain_is_the_score(finished):
    scores = table(finished, "evaluation/scores.tsv").set_index(["experiment", "participant_id"])["score"]
    template = nib.Nifti1Image.from_filename(finished.folder / "results/template/brain.nii.gz")
    brain = load_mask(finished.folder / "results/template/mask.nii.gz")
    for experiment in EXPERIMENTS:
        for sub in TESTED:
            name = f"{sub}_space-MNI152NLin2009cAsym_desc-anomaly_T2w.nii.gz"
            path = finished.folder / "results/maps" / experiment / "test" / name
            anomaly_map = load_volume(path)
            np.testing.assert_allclose(anomaly_map.affine, np.asarray(template.affine))
            assert nib.Nifti1Image.from_filename(path).get_data_dtype() == np.float32
            if experiment == UNSCORED:
                assert np.isnan(scores[experiment, sub]) and set(np.unique(anomaly_map.data)) == {0, 1}
            elif experiment != OWN_SCORE:
                assert np.isclose(anomaly_map.data[brain.data].max(), scores[experiment, sub], rtol=1e-5)


def test_the_probes_have_their_rows_and_say_nothing_of_two_scans_a_group(finished):
    metrics = table(finished, "evaluation/metrics.tsv")
    probes = metrics[metrics["protocol"] == "probes"].pivot(index="experiment", columns="metric", values="value")
    assert set(probes.index) == (EXPERIMENTS - {UNSCORED}) | {"histogram"}
    fire = [f"probe_{name}{end}" for name in ("histogram", "removed_6mm", "removed_30mm") for end in ("", "_p")]
    assert probes[fire].isna().all(axis=None)
    assert not list((finished.folder / "results").glob("probes/*")), "no map is made for them"
    within = probes.drop(index="histogram")[["probe_slices", "probe_slices_control", "probe_mirror", "probe_site_fpr"]]
    assert within.apply(lambda column: column.between(0, 1)).all(axis=None)
    sites = table(finished, "evaluation/stfpm/sites.tsv")
    assert list(sites) == ["experiment", "site", "fpr", "n_healthy_val_others", "n_healthy_test"]
    assert sites.set_index("site")[["n_healthy_val_others", "n_healthy_test"]].to_dict("index") == {
        "south": {"n_healthy_val_others": 2, "n_healthy_test": 1},
        "clinic": {"n_healthy_val_others": 2, "n_healthy_test": 1},
    }
    page = (finished.folder / "results/report/index.html").read_text(encoding="utf-8")
    assert "too few to tell whether it is evidence of lesion detection" in page


def test_graded_maps_alone_are_tested_and_two_patients_show_nothing(finished):
    compared = table(finished, "evaluation/comparisons.tsv")
    assert set(compared["experiment"]) == EXPERIMENTS - {UNSCORED, "stfpm-gaussian"}
    assert (compared["p_holm_floor"] == 1).all()  # 2 of 4 flips times 7 comparisons
    page = (finished.folder / "results/report/index.html").read_text(encoding="utf-8")
    assert "cannot be shown with 2 patients" in page and "not shown" not in page


def test_registered_brains_overlap_the_template(finished):
    brain = load_mask(finished.folder / "results/template/mask.nii.gz").data
    for sub in ("sub-demoP01", "sub-demoP06"):  # stripped scans bring an outline of their own
        own = load_volume(finished.folder / "results/register" / sub / "image.nii.gz").data != 0
        assert 2 * (own & brain).sum() / (own.sum() + brain.sum()) > 0.9


def test_every_scan_is_shown_in_the_quality_control_and_none_of_the_demo_is_astray(finished):
    quality = table(finished, "qc/registration.tsv")
    assert sorted(quality["scan_id"]) == sorted(table(finished, "cohort/participants.tsv")["participant_id"])
    page = (finished.folder / "results/qc/index.html").read_text(encoding="utf-8")
    for sub in quality["scan_id"]:
        assert f'src="pictures/{sub}.png"' in page
        assert (finished.folder / "results/qc/pictures" / f"{sub}.png").is_file()
    assert quality["coverage"].min() > 0.9
    assert quality.loc[quality["skull_stripped"], "dice"].min() > 0.9


def test_the_report_is_one_file_with_volumes_beside_it(finished):
    page = (finished.folder / "results/report/index.html").read_text(encoding="utf-8")
    assert all(sub in page for sub in TESTED)
    assert "http://" not in page.replace("http://www.w3.org", "")
    assert 'src="data:image/png' in page
    assert {path.stem for path in (finished.folder / "results/report/volumes").glob("*.js")} == set(TESTED)
    assert 'href="../qc/index.html"' in page
    assert 'href="../report/index.html"' in (finished.folder / "results/qc/index.html").read_text(encoding="utf-8")


def test_nothing_made_to_be_shared_holds_a_folder_a_host_or_what_the_headers_say(finished):
    results = finished.folder / "results"
    files = [path for part in ("report", "qc", "maps") for path in (results / part).rglob("*") if path.is_file()]
    assert {path.suffix for path in files} >= {".html", ".js", ".png", ".tsv", ".gz"}
    host = platform.node()
    planted = [SECRET, str(finished.folder), *([host] if len(host) > 7 else [])]  # a short name is met by chance
    given = next((finished.folder / "data").glob("*.nii.gz"))
    assert SECRET.encode() in gzip.decompress(given.read_bytes()), "the test looks for something"
    for path in files:
        content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        for text in planted:
            assert text.encode() not in content, f"{path} holds {text}"


def test_snakemakes_own_report_holds_the_page(finished, tmp_path):
    finished.run("--report", tmp_path / "report.html")
    assert "results/report/index.html" in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_the_papers_figures_are_made_on_request_even_of_a_training_scan(finished, tmp_path):
    project = finished.copy(tmp_path / "figures")
    folders = [Path("results/figures") / experiment for experiment in ("stfpm", "padim")]
    project.run(*(folder / "sub-demoP01_figure2.png" for folder in folders))
    for folder in folders:
        for number in (2, 3, 4):
            with Image.open(project.folder / folder / f"sub-demoP01_figure{number}.png") as picture:
                assert len(picture.convert("RGB").getcolors(2**16) or []) > 50  # something is drawn

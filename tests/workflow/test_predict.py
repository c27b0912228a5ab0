"""A bundle in an empty clone makes maps of new scans, refuses others with a reason, and makes nothing twice.

Predictions go to a folder whose name YAML would take for a number.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from project import DRY_RUN, Project, planned_rules
from small_bundle import edit
from stfpm3d.imaging.volumes import load_mask, load_volume
from stfpm3d.prediction.bundle import read_bundle, write_bundle

EXPERIMENT = "stfpm-gaussian"
SCAN = "sub-demoP06"
FOUND = "2026_12_01"
DEADLINE_S = 600


@pytest.fixture(scope="module")
def elsewhere(finished: Project, tmp_path_factory: pytest.TempPathFactory) -> Project:
    """A clone without results, with a bundle, a scan, an oblique copy of it, half a file and another contrast."""
    finished.run(f"results/bundle/{EXPERIMENT}/bundle.json")
    project = Project.clone(tmp_path_factory.mktemp("elsewhere"))
    folder = project.folder
    shutil.copytree(finished.folder / f"results/bundle/{EXPERIMENT}", folder / "bundle")
    (folder / "scans").mkdir()
    given = finished.folder / f"data/{SCAN}_T2w.nii.gz"
    shutil.copy(given, folder / "scans/plain.nii.gz")
    data, affine = load_volume(given)
    turned = np.eye(4)
    turned[:2, :2] = [[np.cos(0.3), -np.sin(0.3)], [np.sin(0.3), np.cos(0.3)]]
    nib.save(nib.Nifti1Image(data[::-1], turned @ affine @ _flip(data.shape[0])), folder / "scans/oblique.nii.gz")
    nib.save(nib.Nifti1Image(np.where(data > 0, data.max() - data, 0), affine), folder / "scans/inverted.nii.gz")
    (folder / "scans/broken.nii.gz").write_bytes(given.read_bytes()[:2000])
    return project


def _flip(size: int) -> np.ndarray:
    """Voxel indices of a volume whose first axis is turned round."""
    matrix = np.diag([-1.0, 1, 1, 1])
    matrix[0, 3] = size - 1
    return matrix


def asked(*arguments: str, bundle: str = "bundle", scans: str = "scans", out: str = FOUND) -> list[str]:
    settings = (f"bundle={bundle}", f"scans={scans}", f"out={out}", "accelerator=cpu")
    return ["-s", "workflow/predict/Snakefile", *arguments, "--config", *settings]


def predict(project: Project, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
    return project.snakemake(*asked(*arguments, **settings))


def all_files(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture(scope="module")
def predicted(elsewhere: Project) -> pd.DataFrame:
    done = predict(elsewhere)
    assert done.returncode == 1, done.stdout[-8000:]
    assert "2 of 4 scans were refused: sub-broken (read); sub-inverted (" in done.stdout
    assert done.stdout.strip().endswith(f"{FOUND}/index.html") and "WorkflowError" not in done.stdout
    return pd.read_csv(elsewhere.folder / f"{FOUND}/predictions.tsv", sep="\t", index_col="scan_id")


def test_scans_that_cannot_be_used_are_rows_with_a_reason_and_no_map(elsewhere: Project, predicted) -> None:
    assert predicted["status"].to_dict() == {
        "sub-broken": "refused",
        "sub-inverted": "refused",
        "sub-oblique": "predicted",
        "sub-plain": "predicted",
    }
    assert "cannot be read as NIfTI" in predicted["reason"]["sub-broken"]
    assert not list((elsewhere.folder / FOUND).glob("sub-inverted/anat/*"))
    page = (elsewhere.folder / f"{FOUND}/index.html").read_text(encoding="utf-8")
    shared = page + (elsewhere.folder / f"{FOUND}/predictions.tsv").read_text(encoding="utf-8")
    assert str(elsewhere.folder) not in shared  # folders may tell names
    assert "sub-inverted" in page and "http" not in page.split("<main>")[1]


@pytest.mark.parametrize("name", ["plain", "oblique"])
def test_map_and_mask_lie_on_the_scans_own_grid(elsewhere: Project, predicted, name: str) -> None:
    scan = load_volume(elsewhere.folder / f"scans/{name}.nii.gz")
    anat = elsewhere.folder / f"{FOUND}/sub-{name}/anat"
    found = load_volume(anat / f"sub-{name}_desc-anomaly_T2w.nii.gz")
    mask = load_mask(anat / f"sub-{name}_label-lesion_desc-anomaly_mask.nii.gz")
    for image in (found, mask):
        assert image.shape == scan.shape
        assert np.array_equal(image.affine, scan.affine)
    threshold = json.loads((anat / f"sub-{name}_desc-anomaly_T2w.json").read_text())["Threshold"]
    assert np.array_equal(mask.data, found.data >= threshold)
    outside = scan.data == 0
    assert np.mean(found.data[outside] == found.data.min()) > 0.97  # but for the rim, where the grids differ


def test_an_oblique_copy_has_the_same_findings(predicted) -> None:
    plain, oblique = predicted.loc["sub-plain"], predicted.loc["sub-oblique"]
    assert oblique["score"] == pytest.approx(plain["score"], rel=0.2)


def test_the_output_is_a_valid_data_set(elsewhere: Project, predicted) -> None:
    validator = Path(sys.executable).with_name("bids-validator-deno")
    command = [str(validator), str(elsewhere.folder / FOUND), "--format", "json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    issues = json.loads(done.stdout)["issues"]["issues"]
    assert [issue for issue in issues if issue["severity"] == "error"] == []


def test_one_scan_more_is_one_map_more_and_nothing_else_again(elsewhere: Project, predicted) -> None:
    assert planned_rules(predict(elsewhere, *DRY_RUN).stdout) == {"verdict": 1}
    scans = elsewhere.folder / "scans"
    shutil.copy(scans / "plain.nii.gz", scans / "another.nii.gz")
    planned = planned_rules(predict(elsewhere, *DRY_RUN).stdout)
    (scans / "another.nii.gz").unlink()
    assert planned == {"predict_scan": 1, "predictions": 1, "verdict": 1}


def test_without_a_bundle_the_clones_model_is_taken_or_the_want_of_one_is_told(elsewhere: Project, predicted) -> None:
    done = predict(elsewhere, *DRY_RUN, bundle="", scans="scans/plain.nii.gz", out="by_model")
    assert planned_rules(done.stdout) == {"predict_scan": 1, "predictions": 1, "verdict": 1}, done.stdout[-4000:]
    assert "models/T1w, which comes with this clone, is used: T1w, lesion-odds." in done.stdout
    (elsewhere.folder / "named").mkdir()
    shutil.copy(elsewhere.folder / "scans/plain.nii.gz", elsewhere.folder / "named/sub-1_T2w.nii.gz")
    done = predict(elsewhere, *DRY_RUN, bundle="", scans="named", out="by_model")
    assert done.returncode == 1 and "no model for T2w comes with this version" in done.stdout


def test_a_changed_bundle_is_refused(elsewhere: Project, predicted) -> None:
    with elsewhere.kept("bundle/landmarks.tsv") as path:
        path.write_text(path.read_text() + "\n")
        done = predict(elsewhere, *DRY_RUN)
    assert done.returncode == 1 and "landmarks.tsv has changed since the bundle was made" in done.stdout


def test_a_forged_bundle_leads_nowhere(elsewhere: Project, predicted) -> None:
    """Its checksum is right, but its space would lead out of the folder of the predictions."""
    with elsewhere.kept("bundle/bundle.json") as path:
        edit(path.parent, lambda content: content.update(space="x/../../../outside"), forged=True)
        done = predict(elsewhere)
    assert done.returncode == 1 and "bundle.json is damaged: space: string should match" in done.stdout
    assert not list(elsewhere.folder.rglob("*outside*"))


def test_a_corrected_scan_is_made_again_from_any_folder_whatever_its_time(
    elsewhere: Project, predicted, tmp_path: Path
) -> None:
    other = Project.clone(tmp_path)
    given = {"bundle": str(elsewhere.folder / "bundle"), "scans": str(elsewhere.folder / "scans")}
    out = str(elsewhere.folder / FOUND)
    assert planned_rules(predict(other, *DRY_RUN, **given, out=out).stdout) == {"verdict": 1}
    with elsewhere.kept("scans/broken.nii.gz") as path:
        path.write_bytes((elsewhere.folder / "scans/plain.nii.gz").read_bytes())
        os.utime(path, (0, 0))
        planned = planned_rules(predict(other, *DRY_RUN, **given, out=out).stdout)
    assert planned == {"predict_scan": 1, "predictions": 1, "verdict": 1}


def test_another_bundle_in_the_place_of_the_first_is_no_part_of_the_set(elsewhere: Project, predicted) -> None:
    before = all_files(elsewhere.folder / FOUND)
    (elsewhere.folder / "bundle").rename(elsewhere.folder / "first")
    shutil.copytree(elsewhere.folder / "first", elsewhere.folder / "bundle")
    bundle = read_bundle(elsewhere.folder / "first")
    description = {**bundle.description, "threshold": bundle.description["threshold"] / 2}
    write_bundle(elsewhere.folder / "bundle", bundle.files, description)
    for path in (elsewhere.folder / "bundle").iterdir():
        os.utime(path, (0, 0))
    done = predict(elsewhere)
    shutil.rmtree(elsewhere.folder / "bundle")
    (elsewhere.folder / "first").rename(elsewhere.folder / "bundle")
    assert done.returncode == 1 and f"{FOUND} holds predictions by another bundle" in done.stdout
    assert all_files(elsewhere.folder / FOUND) == before


def test_scans_of_another_folder_come_to_those_that_were_predicted(elsewhere: Project, predicted) -> None:
    (elsewhere.folder / "more").mkdir()
    for name in ("x_T1w", "x_T2w"):
        shutil.copy(elsewhere.folder / "scans/broken.nii.gz", elsewhere.folder / f"more/{name}.nii.gz")
    done = predict(elsewhere, scans="more")
    assert "2 of 2 scans were refused: sub-x (read); sub-x_T1w (read)" in done.stdout
    table = pd.read_csv(elsewhere.folder / f"{FOUND}/predictions.tsv", sep="\t", index_col="scan_id")
    assert [*table.index] == sorted([*predicted.index, "sub-x", "sub-x_T1w"])
    assert "is a T1w scan by its name" in table["reason"]["sub-x_T1w"]
    assert 'id="sub-plain"' in (elsewhere.folder / f"{FOUND}/index.html").read_text(encoding="utf-8")


def test_a_data_set_of_ones_own_is_left_as_it_is(elsewhere: Project) -> None:
    anat = elsewhere.folder / "own/sub-01/anat"
    anat.mkdir(parents=True)
    shutil.copy(elsewhere.folder / "scans/broken.nii.gz", anat / "sub-01_T2w.nii.gz")
    for name in ("sub-01_label-lesion_mask.nii.gz", "sub-01_desc-preproc_T2w.nii.gz"):
        (anat / name).write_text("mine")
    (elsewhere.folder / "own/dataset_description.json").write_text("{}")
    before = all_files(elsewhere.folder / "own")
    assert "is no set of predictions" in predict(elsewhere, scans="own", out="own").stdout
    assert "1 of 1 scans were refused" in predict(elsewhere, scans="own", out="own/derivatives/found").stdout
    shutil.rmtree(elsewhere.folder / "own/derivatives")
    assert all_files(elsewhere.folder / "own") == before


def test_after_a_kill_the_same_command_goes_on(elsewhere: Project, predicted) -> None:
    command = elsewhere.command(*asked(scans="scans/plain.nii.gz", out="killed"))
    with subprocess.Popen(
        command, cwd=elsewhere.folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as driver:
        end = time.monotonic() + DEADLINE_S
        while not list(elsewhere.folder.glob("killed/logs/sub-plain-*.log")):
            assert driver.poll() is None and time.monotonic() < end
            time.sleep(0.01)
        driver.kill()
    assert not (elsewhere.folder / "killed/predictions.tsv").exists()
    make = ["make", "predict", "BUNDLE=bundle", "SCANS=scans/plain.nii.gz", "OUT=killed", "ARGS=accelerator=cpu"]
    installed = (f"BIN={Path(sys.executable).parent}", "--old-file", ".venv/installed")
    subprocess.run([*make, *installed], cwd=elsewhere.folder, check=True, capture_output=True)
    found = pd.read_csv(elsewhere.folder / "killed/predictions.tsv", sep="\t", index_col="scan_id")
    assert found.loc["sub-plain", "score"] == predicted.loc["sub-plain", "score"]

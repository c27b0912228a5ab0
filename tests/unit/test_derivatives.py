"""What predict writes is a valid BIDS data set of derivatives, by the validator of BIDS itself."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from stfpm3d.imaging.volumes import Volume, load_volume
from stfpm3d.prediction.derivatives import Provenance, write_dataset, write_image
from stfpm3d.prediction.scans import GivenScan

DESCRIPTION = {
    "experiment": "stfpm",
    "method": "stfpm",
    "modality": "T2w",
    "space": "MNI152NLin2009cAsym",
    "threshold": 0.25,
    "made_by": {"version": "0.1.0", "code": "0123456789abcdef"},
}


def problems(folder: Path) -> dict[str, list[str]]:
    """The errors of the validator by their codes, each with its files."""
    command = [str(Path(sys.executable).with_name("bids-validator-deno")), str(folder), "--format", "json"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    found: dict[str, list[str]] = {}
    for issue in json.loads(done.stdout)["issues"]["issues"]:
        if issue["severity"] == "error":
            found.setdefault(issue["code"], []).append(issue.get("location", ""))
    return found


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """Two scans, one of them in a session, with all that predict writes beside their images."""
    out = tmp_path / "predictions"
    data = np.linspace(0, 1, 1000, dtype=np.float32).reshape(10, 10, 10)
    volume = Volume(data, np.diag([2.0, 2, 2, 1]))
    for name in ("sub-01", "sub-02_ses-a_run-2"):
        scan = GivenScan(name, f"{name}_T2w.nii.gz", None, f"{name}_T2w.nii.gz")
        for space in (None, DESCRIPTION["space"]):
            for image in (volume, Volume(data >= 0.25, volume.affine)):
                write_image(out, Provenance(scan, DESCRIPTION, False), image, space)
        (out / scan.folder / f"{name}_desc-anomaly_findings.tsv").write_text("number\n1\n")
        (out / "work" / name).mkdir(parents=True)
        (out / "work" / name / "status.json").write_text("{}")
    for name in ("index.html", "predictions.tsv", "MODEL_CARD.md", "figures/sub-01.png", "logs/sub-01.log"):
        (out / name).parent.mkdir(exist_ok=True)
        (out / name).write_text("x")
    write_dataset(out, {"scans": "../scans"}, DESCRIPTION)
    return out


def test_the_validator_finds_no_error(dataset: Path) -> None:
    assert problems(dataset) == {}


def test_the_validator_finds_a_planted_error(dataset: Path) -> None:
    sidecar = dataset / "sub-01/anat/sub-01_desc-anomaly_T2w.json"
    content = json.loads(sidecar.read_text())
    del content["SkullStripped"]
    sidecar.write_text(json.dumps(content))
    assert problems(dataset) == {"SIDECAR_KEY_REQUIRED": ["/sub-01/anat/sub-01_desc-anomaly_T2w.nii.gz"]}


def test_a_map_keeps_its_grid_and_tells_where_it_comes_from(dataset: Path) -> None:
    anat = dataset / "sub-02/ses-a/anat"
    stem = "sub-02_ses-a_run-2_space-MNI152NLin2009cAsym_label-lesion_desc-anomaly_mask"
    sidecar = json.loads((anat / f"{stem}.json").read_text())
    assert sidecar["Sources"] == ["bids:scans:sub-02_ses-a_run-2_T2w.nii.gz"]
    assert (sidecar["Type"], sidecar["Threshold"]) == ("Lesion", 0.25)
    mask = load_volume(anat / f"{stem}.nii.gz")
    assert np.array_equal(np.unique(mask.data), [0, 1])
    assert np.array_equal(mask.affine, np.diag([2.0, 2, 2, 1]))
    described = json.loads((dataset / "dataset_description.json").read_text())
    assert described["DatasetLinks"] == {"scans": "../scans"}


def test_what_a_person_has_added_to_the_data_set_stays(dataset: Path) -> None:
    path = dataset / "dataset_description.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "Authors": ["N. N."], "Name": "Ours"}))
    (dataset / "README.md").write_text("Read by two of us.\n")
    write_dataset(dataset, {"scans": "../scans", "scans2": "../more"}, DESCRIPTION)
    described = json.loads(path.read_text())
    assert (described["Authors"], described["Name"]) == (["N. N."], "Ours")
    assert described["DatasetLinks"] == {"scans": "../scans", "scans2": "../more"}
    assert [source["URL"] for source in described["SourceDatasets"]] == ["../scans", "../more"]
    assert (dataset / "README.md").read_text() == "Read by two of us.\n"

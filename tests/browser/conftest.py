"""A real Chromium without a network, and a report of a small cohort to open in it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from playwright.sync_api import Browser, sync_playwright

from availability import unavailable
from stfpm3d.evaluation.comparison import compare_metrics, compare_patients
from stfpm3d.evaluation.experiment import SCORE_COLUMNS, evaluate_experiment
from stfpm3d.imaging.grid import network_grid
from stfpm3d.imaging.placement import Placement
from stfpm3d.imaging.registration import Registration, write_registration
from stfpm3d.imaging.template import Template
from stfpm3d.imaging.volumes import Volume, save_volume
from stfpm3d.methods.stfpm import StfpmExperiment
from stfpm3d.prediction.anomalies import Anomaly
from stfpm3d.prediction.gathering import gather
from stfpm3d.prediction.page import write_predictions_page
from stfpm3d.reporting import report
from stfpm3d.reporting.pictures import picture_scans
from stfpm3d.reporting.provenance import Stage
from stfpm3d.reporting.quality import write_quality
from stfpm3d.reporting.report import Run, write_report
from stfpm3d.reporting.results import Results

TEMPLATES = Path(report.__file__).parent / "templates"
NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
QUIET = ("gpu", "quic", "background-networking", "component-update", "sync")
SHAPE = (32, 38, 32)
AFFINE = np.array([[5.0, 0, 0, -78], [0, 5.0, 0, -105], [0, 0, 5.0, -70], [0, 0, 0, 1]])
EXPERIMENTS = {"stfpm": 3.0, "untrained-gaussian": 1.0}
"""How much each experiment's map is raised in a lesion."""


def chromium() -> str | None:
    """The path of a Chromium; on Debian, as root, it is installed where there is none, if there is a network."""
    if not any(map(shutil.which, NAMES)) and shutil.which("apt-get") and os.geteuid() == 0:
        install = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", "chromium", "fonts-dejavu-core"]
        for command in (["apt-get", "update", "-qq"], install):
            subprocess.run(command, check=False, env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"})
    return next(filter(None, map(shutil.which, NAMES)), None)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """It is closed before other modules start, whose forked processes would hold its pipes and keep it from closing."""
    path = chromium()
    if path is None:
        unavailable(f"none of {', '.join(NAMES)} is on the PATH; install Chromium to look at the pages")
    arguments = ["--no-sandbox", "--no-first-run", *(f"--disable-{part}" for part in QUIET)]
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=path, args=arguments)
        yield launched
        launched.close()


@pytest.fixture(scope="module")
def cohort() -> pd.DataFrame:
    """Three healthy scans and seven patients a split; patients' lesions differ in size."""
    counts = {"healthy": 3, "patient": 7}
    places = [(split, group, n) for split in ("val", "test") for group, count in counts.items() for n in range(count)]
    rows = [(f"sub-{split}{group}{n}", group, split, n) for split, group, n in places]
    return pd.DataFrame(rows, columns=["participant_id", "group", "split", "number"])


@pytest.fixture(scope="module")
def page_path(tmp_path_factory: pytest.TempPathFactory, cohort: pd.DataFrame) -> Path:
    """The report of the cohort, with scans and maps made here."""
    folder = tmp_path_factory.mktemp("browser")
    rng = np.random.default_rng(3)
    centre = (np.array(SHAPE) - 1) / 2
    brain = Volume(np.linalg.norm((np.indices(SHAPE).T - centre) / np.array(SHAPE), axis=-1).T < 0.42, AFFINE)
    rows = []
    for scan in cohort.to_dict("records"):
        path, size = folder / str(scan["participant_id"]), 2 + int(scan["number"])
        lesion = np.zeros(SHAPE, dtype=bool)
        lesion[10 : 10 + size, 12 : 12 + size, 14 : 14 + size] = scan["group"] == "patient"
        save_volume(f"{path}.nii.gz", Volume(rng.normal(size=SHAPE) + brain.data, AFFINE))
        save_volume(f"{path}_lesion.nii.gz", Volume(lesion, AFFINE), dtype=np.uint8)
        for name, gain in EXPERIMENTS.items():
            data = rng.exponential(size=SHAPE) + gain * lesion
            save_volume(f"{path}_{name}.nii.gz", Volume(data, AFFINE))
            mask = f"{path}_lesion.nii.gz" if scan["group"] == "patient" else None
            files = {"image": f"{path}.nii.gz", "map": f"{path}_{name}.nii.gz", "lesion_mask": mask, "blocks": None}
            rows.append({**scan, "experiment": name, "score": data[brain.data].max(), **files})
    scans = pd.DataFrame(rows)
    measured = [evaluate_experiment(name, scans[scans["experiment"] == name], brain) for name in EXPERIMENTS]
    patients = pd.concat([tables.patients for tables in measured])
    test = scans[scans["split"] == "test"]
    epochs = pd.DataFrame({"epoch": [0, 1, 2], "train_loss": [3.0, 2, 1], "val_loss": [3.0, 1, 2], "chosen": [0, 1, 0]})
    plain = {"residual": None, "segmented_by": None, "architecture": None, "weights": None, "patch_learning": False}
    plain |= {"untrained": False, "blocks": [], "is_graded": True, "maps_new_scans": True}
    plain |= {"text": StfpmExperiment.text, "references": StfpmExperiment.references}
    untrained = {"untrained": True, "residual": "gaussian", "architecture": "resnet18", "weights": "file"}
    (folder / "report").mkdir()
    results = Results(
        metrics=compare_metrics([tables.metrics for tables in measured]),
        scores=scans[SCORE_COLUMNS],
        curves=pd.concat([tables.curves for tables in measured]),
        patients=patients,
        lesions=pd.concat([tables.lesions for tables in measured]),
        comparisons=compare_patients(patients, "stfpm"),
        registration=pd.DataFrame({"outlier": [False], "starts": [1]}),
        scans=test[test["experiment"] == "stfpm"].drop(columns=["map", "blocks"]),
        maps={name: test[test["experiment"] == name].set_index("participant_id") for name in EXPERIMENTS},
        sites=dict.fromkeys(cohort["participant_id"], "north"),
    ).identified()
    template = {"brain_mask": brain, "grid": network_grid(brain, 120, 24)}
    shown = {"shown": "stfpm", "min_lesion_ml": 0.05}
    volumes = folder / "report" / "volumes"
    write_report(
        folder / "report" / "index.html",
        TEMPLATES / "report.html.j2",
        results,
        picture_scans(results, volumes, blocks=[], most=40, **shown, **template),
        **shown,
        **template,
        modality="T2w",
        experiments={
            "stfpm": {**plain, "method": "stfpm", "kind": "as published"},
            "untrained-gaussian": {**plain, **untrained, "method": "stfpm", "kind": "baseline"},
        },
        networks=[],
        trainings={"student/student": epochs},
        initial={},
        healthy_quantile=0.99,
        run=Run(
            config="cohort: {participants: demo}\n",
            seeds={"demo": 0},
            stages=[Stage("register", 8, 4.0, 0.6)],
            settings={
                "space": "MNI",
                "resolution_mm": 5.0,
                "size": 24,
                "crop_mm": 120.0,
                "bias_correction": "n4",
                "transform": "AffineFast",
                "trained": {"n_healthy": 8, "n_patient": 0},
            },
            is_demo=True,
            quality_page=None,
        ),
    )
    return folder / "report" / "index.html"


@pytest.fixture(scope="module")
def quality_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of quality control of four scans, one of them doubted."""
    folder = tmp_path_factory.mktemp("qc")
    texture = np.random.default_rng(0).uniform(50, 100, SHAPE).astype(np.float32)
    mask = np.zeros(SHAPE, dtype=bool)
    mask[6:26, 6:30, 6:26] = True
    head, brain = Volume(texture, AFFINE), Volume(texture * mask, AFFINE)
    rows = []
    for number, stripped in enumerate((False, False, True, True)):
        image, placement = folder / f"{number}.nii.gz", folder / f"{number}.json"
        save_volume(image, brain if stripped else head)
        found = Placement(0.9, 0.9, 1.0, 10.0, 2.0, 0.95, 0.4, 0.3, 0.2)
        write_registration(placement, Registration(found, "crown", 6 if number == 0 else 1))
        group = "patient" if stripped else "healthy"
        scan = {"scan_id": f"sub-{number}", "group": group, "site": "north", "skull_stripped": stripped}
        rows.append({**scan, "image": image, "placement": placement})
    write_quality(
        pd.DataFrame(rows),
        Template(head, brain, Volume(mask, AFFINE)),
        space="MNI152NLin2009cAsym",
        page_template=TEMPLATES / "quality.html.j2",
        page=folder / "index.html",
        table=folder / "registration.tsv",
        pictures=folder / "pictures",
        report=folder / "report" / "index.html",
    )
    return folder / "index.html"


@pytest.fixture(scope="module")
def predictions_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of predictions of a scan with a finding and one that was refused, its name and reason long."""
    folder = tmp_path_factory.mktemp("predictions")
    found = {"status": "predicted", "score": 0.7, "percentile": 100.0, "n_as_high": 0, "n_finding": 1}
    found |= {
        "volume_ml": 1.25,
        "usual_ml": 12.5,
        "skull_stripped": False,
        "brain_covered": 1.0,
        "likeness": 0.9,
        "image": "1.nii",
    }
    reason = f"{'long' * 30}.nii is registered with an overlap of 0.2; expected 0.6 or more."
    refused = {"status": "refused", "stage": "register", "reason": reason, "image": "2.nii"}
    found["scan_id"], refused["scan_id"] = "sub-01", f"sub-{'x' * 60}"
    statuses = [folder / "1.json", folder / "2.json"]
    for path, row in zip(statuses, (found, refused), strict=True):
        path.write_text(json.dumps(row))
    (folder / "figures").mkdir()
    for row in (found, refused):
        Image.new("RGB", (1000, 300)).save(folder / "figures" / f"{row['scan_id']}.png")
    finding = Anomaly(1, 1.25, 0.7, 0.6, -20.0, 5.0, 10.0, "both", 0.82, 8.0, "left putamen 60%, left pallidum 30%")
    (folder / "sub-01" / "anat").mkdir(parents=True)
    lines = ["\t".join(Anomaly._fields), "\t".join(map(str, finding)), ""]
    (folder / "sub-01" / "anat" / "sub-01_desc-anomaly_findings.tsv").write_text("\n".join(lines))
    description = {"experiment": "stfpm", "modality": "T2w", "space": "MNI152NLin2009cAsym", "threshold": 0.5}
    description |= {"healthy_quantile": 0.99, "min_lesion_ml": 0.05, "validation": {"scores": [0.1, 0.2]}}
    values = {"voxel_auprc": 0.54, "prevalence": 0.08, "dice": 0.39, "lesion_recall": 0.75, "patient_fp_ml": 205.4}
    values |= {"n_healthy": 20, "n_patient": 12, "healthy_fp_ml": 15.2, "image_score": "unknown"}
    description["record"] = values
    page = folder / "index.html"
    write_predictions_page(page, TEMPLATES / "predictions.html.j2", gather(statuses), folder, description)
    return page

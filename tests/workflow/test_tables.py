"""The tables that labs have: without patients, without masks, with sessions, with scans that cannot be used."""

import re
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pandas as pd
import pytest
import yaml

from project import FITTED, Project

UNSCORED = "stfpm-kmeans"  # a segmentation
EXPERIMENTS = [
    {"name": "stfpm", "method": "stfpm", "student": "student"},
    {"name": UNSCORED, "method": "segmentation", "experiment": "stfpm"},
    {"name": "intensity", "method": "intensity"},
]
MAPS = {"maps_learning": 1, "maps_imaging": 2, "copies_learning": 1, "copies_imaging": 1}  # of test scans
MEASURED = {"evaluate": 3, "evaluate_synthetic": 2, "compare": 1, "report": 1}
PROBED = {"probe_histogram": 1, "probe_removed": 2, "probe_within": 2, "probe_sites": 2}


@pytest.fixture
def project(finished: Project, tmp_path: Path) -> Project:
    """A copy of the finished run, to go on with another table and three of its experiments."""
    project = finished.copy(tmp_path / "run")
    (project.folder / "three.yaml").write_text(yaml.safe_dump({"experiments": EXPERIMENTS}), encoding="utf-8")
    project.overrides = (*project.overrides, "three.yaml")
    return project


def cohort(project: Project) -> pd.DataFrame:
    """The participants table of the finished run."""
    return pd.read_csv(project.folder / "data/participants.tsv", sep="\t", dtype=str, keep_default_na=False)


def use(project: Project, table: pd.DataFrame) -> None:
    table.fillna("n/a").to_csv(project.folder / "data/participants.tsv", sep="\t", index=False)


def metrics(project: Project) -> pd.DataFrame:
    table = pd.read_csv(project.folder / "results/evaluation/metrics.tsv", sep="\t")
    strict = table[(table["split"] == "test") & (table["protocol"] == "strict")]
    return strict.pivot(index="experiment", columns="metric", values="value")


def page(project: Project) -> str:
    return (project.folder / "results/report/index.html").read_text(encoding="utf-8")


def test_a_cohort_without_patients_runs_to_a_report_that_says_what_is_missing(project):
    table = cohort(project)
    use(project, table[table["group"] == "healthy"])
    output = project.run()
    assert output.count("student 'student': no validation patient, so synthetic lesions choose its epoch") == 1
    epochs = pd.read_csv(project.folder / "results/student/student/epochs.tsv", sep="\t")
    assert epochs.loc[epochs["chosen"] == 1, "val_synthetic_ap"].tolist() == [epochs["val_synthetic_ap"].max()]
    measured = metrics(project)
    assert measured[["image_auroc", "voxel_auprc", "dice"]].isna().all(axis=None)
    synthetic = measured.drop(index=UNSCORED)[["synthetic_ap", "synthetic_sensitivity_large"]]
    assert synthetic.notna().all(axis=None)
    assert "no patient to measure against" in page(project)
    assert "There is none to trust" in page(project)
    assert "The test part has no patient: AUROC, AUPRC, AP, Dice and IoU are not available." in page(project)
    assert project.planned() == {}


def test_masks_sessions_and_exclusions_are_the_tables_matter(project):
    """Patients have no masks, one is excluded, and two healthy test scans are of one subject."""
    table = cohort(project).assign(lesion_mask="n/a", session_id="n/a", exclude="n/a")
    twice = table["participant_id"].isin(["sub-demoH08", "sub-demoH09"])
    table.loc[twice, ["participant_id", "session_id"]] = [["sub-twice", "ses-01"], ["sub-twice", "ses-02"]]
    table.loc[table["participant_id"] == "sub-demoP06", "exclude"] = "patient moved"
    use(project, table)
    assert project.planned() == {
        "cohort": 1,
        "register_qc": 1,
        **dict.fromkeys(("register", "strip", "standardize"), 2),
        **MAPS,
        **MEASURED,
        **PROBED,
        "grid": 2,
        "synthetic_lesions": 2,
    }
    project.run()
    scores = pd.read_csv(project.folder / "results/evaluation/scores.tsv", sep="\t")
    test = scores[(scores["experiment"] == "stfpm") & (scores["split"] == "test")]
    assert test[["participant_id", "session_id"]].fillna("").to_numpy().tolist() == [
        ["sub-twice", "ses-01"],
        ["sub-twice", "ses-02"],
        ["sub-demoP05", ""],
    ]
    written = pd.read_csv(project.folder / "results/cohort/participants.tsv", sep="\t").set_index("participant_id")
    assert written["exclude"].dropna().to_dict() == {"sub-demoP06": "patient moved"}
    assert "sub-demoP06" not in (project.folder / "results/cohort/split.tsv").read_text()
    measured = metrics(project)
    assert measured["voxel_auprc"].isna().all() and measured["image_auroc"].drop(index=UNSCORED).notna().all()
    assert "none of the 1 test patients has a lesion mask" in page(project)
    assert "Scans that the participants table excludes: patient moved (1)." in page(project)
    assert "sub-twice_ses-02" in page(project)


def test_a_cross_cohort_run_measures_the_second_tables_scans_with_what_the_first_one_fitted(project):
    """The first table's test scans go to a second one, under other names, and one of them is gone."""
    table = cohort(project)
    moved = table["split"] == "test"
    other = table[moved & (table["participant_id"] != "sub-demoH09")].drop(columns="split")
    other = other.assign(participant_id=other["participant_id"].str.replace("sub-demo", "other-"), site="elsewhere")
    other.to_csv(project.folder / "data/other.tsv", sep="\t", index=False)
    use(project, table[~moved])
    weights = project.folder / "results/student/student/model.safetensors"
    made = weights.stat().st_mtime_ns
    with project.edited("tiny.yaml", "participants.tsv", "participants.tsv\n  test_participants: data/other.tsv"):
        assert project.planned() == {
            "cohort": 1,
            "register_qc": 1,
            **dict.fromkeys(("register", "strip", "standardize"), 3),
            "register_lesion": 2,
            "grid": 3,
            "synthetic_lesions": 1,
            **MAPS,
            **MEASURED,
            **PROBED,
        }
        assert not FITTED & set(project.planned())
        project.run()
        assert project.planned() == {}
    assert weights.stat().st_mtime_ns == made
    table = pd.read_csv(project.folder / "results/evaluation/metrics.tsv", sep="\t")
    rows = table[(table["experiment"] == "stfpm") & (table["protocol"] == "strict")].set_index(["split", "metric"])
    counts = rows[["n_healthy", "n_patient"]].T.to_dict("list")
    assert counts["test", "image_auroc"] == [1, 2] and counts["test", "dice"] == [0, 2]
    assert counts["val", "image_auroc"] == [3, 2] and counts["val", "threshold"] == [3, 0]
    scores = pd.read_csv(project.folder / "results/evaluation/scores.tsv", sep="\t")
    tested = scores[(scores["experiment"] == "stfpm") & (scores["split"] == "test")]
    assert tested["participant_id"].tolist() == ["other-H08", "other-P05", "other-P06"]
    assert "test scans: 1 healthy, 2 patients" in page(project)


def copy_of(table: pd.DataFrame, scan: str, name: str, **cells: str) -> pd.DataFrame:
    row = table[table["participant_id"] == scan]
    return row.assign(participant_id=name, image=f"{name}.nii.gz", lesion_mask="n/a", **cells)


def test_a_bad_scan_is_named_once_leaves_nothing_behind_and_holds_up_no_other(project):
    table = cohort(project)
    data = project.folder / "data"
    head = data / "sub-demoH08_T2w.nii.gz"
    for name in ("sub-good", "sub-damaged", "sub-head"):
        shutil.copy(head, data / f"{name}.nii.gz")
    content = bytearray(head.read_bytes())
    content[len(content) // 2] ^= 255
    (data / "sub-damaged.nii.gz").write_bytes(content)
    added = [copy_of(table, "sub-demoH08", name) for name in ("sub-good", "sub-damaged")]
    added.append(copy_of(table, "sub-demoH08", "sub-head", skull_stripped="true"))
    use(project, pd.concat([table, *added]))
    done = project.snakemake("--until", "register")
    assert done.returncode != 0
    for sentence in (
        "sub-damaged: data/sub-damaged.nii.gz cannot be read as NIfTI",  # the list at the end has columns
        "sub-head: data/sub-head.nii.gz is no skull-",
    ):
        assert done.stdout.count(sentence) == 1, done.stdout
    assert "Traceback" not in done.stdout
    end = done.stdout[done.stdout.index("2 jobs failed") :].splitlines()
    assert re.fullmatch(r" +register +sub-damaged +data/sub-damaged.nii.gz cannot be read as NIfTI.*\.", end[1])
    assert re.fullmatch(r" +register +sub-head +data/sub-head.nii.gz is no skull-.*\.", end[2])
    assert len(end) < 10  # nothing of length comes after it
    kept = {path.parent.name for path in project.folder.glob("results/register/*/*")}
    assert "sub-good" in kept and not kept & {"sub-damaged", "sub-head"}
    assert not list(project.folder.glob("results/**/.*-*"))


def test_bad_headers_are_all_named_before_any_job_runs(project):
    table = cohort(project)
    nib.save(
        nib.Nifti1Image(np.zeros((40, 40, 40, 3), np.float32), np.diag([4.0, 4, 4, 1])),
        project.folder / "data/sub-4d.nii.gz",
    )
    (project.folder / "data/sub-text.nii.gz").write_text("not an image")
    use(project, pd.concat([table, *(copy_of(table, "sub-demoH08", name) for name in ("sub-4d", "sub-text"))]))
    done = project.snakemake()
    assert done.returncode != 0
    assert done.stdout.count("sub-4d: data/sub-4d.nii.gz has shape (40, 40, 40, 3); expected one 3D volume") == 1
    assert done.stdout.count("sub-text: data/sub-text.nii.gz cannot be read as NIfTI") == 1
    assert "Traceback" not in done.stdout and "rule " not in done.stdout
    use(project, pd.concat([table, copy_of(table, "sub-demoH08", "sub-text", exclude="no image")]))
    assert project.planned() == {"cohort": 1, "compare": 1, "report": 1}

"""New scans may be given as a table, a file, a folder or a BIDS data set."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from stfpm3d.prediction.scans import GivenScan, list_scans, passed_over
from stfpm3d.runtime.errors import InputError


def touched(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def test_one_file_is_one_scan_there_or_not(tmp_path: Path) -> None:
    path = tmp_path / "head_T2.nii.gz"
    assert list_scans(path, "T2w") == [GivenScan("sub-headT2", str(path), None, "head_T2.nii.gz")]


def test_a_folder_gives_its_nifti_files_in_order(tmp_path: Path) -> None:
    touched(tmp_path / "b.nii", tmp_path / "a.nii.gz", tmp_path / "notes.txt")
    assert [scan.name for scan in list_scans(tmp_path, "T2w")] == ["sub-a", "sub-b"]


def test_the_contrast_in_a_files_name_is_no_part_of_the_subjects(tmp_path: Path) -> None:
    touched(tmp_path / "x_T2w.nii.gz", tmp_path / "sub-01_ses-02_T2w.nii", tmp_path / "T2w.nii")
    assert {scan.name for scan in list_scans(tmp_path, "T2w")} == {"sub-x", "sub-01_ses-02", "sub-T2w"}
    (tmp_path / "scans.tsv").write_text("image\tsession_id\nx_T2w.nii.gz\tn/a\nsub-01_ses-02_T2w.nii\t03\n")
    assert [scan.name for scan in list_scans(tmp_path / "scans.tsv", "T2w")] == ["sub-x", "sub-01_ses-03"]


def test_scans_of_other_contrasts_in_one_folder_have_names_of_their_own(tmp_path: Path) -> None:
    touched(*(tmp_path / f"sub-01_{contrast}.nii.gz" for contrast in ("T1w", "T2w", "FLAIR")))
    assert [scan.name for scan in list_scans(tmp_path, "T1w")] == ["sub-01_FLAIR", "sub-01", "sub-01_T2w"]
    (tmp_path / "scans.tsv").write_text("participant_id\timage\np1\tsub-01_T1w.nii.gz\np1\tsub-01_T2w.nii.gz\n")
    assert [scan.name for scan in list_scans(tmp_path / "scans.tsv", "T2w")] == ["sub-p1_T1w", "sub-p1"]
    assert GivenScan("sub-p1_T1w", "").folder == "sub-p1/anat"


def test_what_lies_in_subfolders_is_counted_but_for_predictions(tmp_path: Path) -> None:
    touched(tmp_path / "a.nii", tmp_path / ".cache/b.nii")
    assert passed_over(tmp_path, "T2w", "work/set.json") == []
    touched(tmp_path / "found/work/set.json", tmp_path / "found/work/x/registered.nii.gz")
    assert passed_over(tmp_path, "T2w", "work/set.json") == []
    touched(*(tmp_path / f"P{number}/deep/T1.nii.gz" for number in range(9)), tmp_path / "P0/T2.NII")
    (told,) = passed_over(tmp_path, "T2w", "work/set.json")
    assert told.startswith("10 NIfTI file(s) in subfolders of") and "P0 (2), P1 (1)" in told and "and 4 more" in told
    assert passed_over(tmp_path / "a.nii", "T2w", "work/set.json") == []


def test_a_table_names_its_scans_and_says_what_it_knows(tmp_path: Path) -> None:
    rows = ["participant_id\tsession_id\timage\tskull_stripped\tage", "sub-p_1\tn/a\ta.nii.gz\ttrue\t40"]
    rows += ["p2\tses-02\tdeep/b.nii\tn/a", "n/a\t\tc.nii.gz\tFALSE"]
    (tmp_path / "scans.tsv").write_text("\n".join(rows))
    assert list_scans(tmp_path / "scans.tsv", "T2w") == [
        GivenScan("sub-p1", str(tmp_path / "a.nii.gz"), True, "a.nii.gz"),
        GivenScan("sub-p2_ses-02", str(tmp_path / "deep/b.nii"), None, "deep/b.nii"),
        GivenScan("sub-c", str(tmp_path / "c.nii.gz"), False, "c.nii.gz"),
    ]
    assert GivenScan("sub-p2_ses-02", "").folder == "sub-p2/ses-02/anat"


def test_folders_outside_of_a_tables_own_are_not_published(tmp_path: Path) -> None:
    (tmp_path / "scans.tsv").write_text(f"image\n{tmp_path.parent}/Jane_Doe/a.nii\n../Jane_Doe/b.nii\n")
    assert [scan.source for scan in list_scans(tmp_path / "scans.tsv", "T2w")] == ["a.nii", "b.nii"]


def test_a_bids_data_set_gives_the_scans_of_one_contrast_with_sessions_and_sidecars(tmp_path: Path) -> None:
    anat = tmp_path / "sub-01/ses-a/anat"
    touched(anat / "sub-01_ses-a_T2w.nii.gz", anat / "sub-01_ses-a_T1w.nii.gz", anat / "sub-01_ses-a_run-2_T2w.nii.gz")
    touched(anat / "sub-01_ses-a_space-MNI_T2w.nii.gz", tmp_path / "sub-02/anat/sub-02_T2w.nii")
    (anat / "sub-01_ses-a_T2w.json").write_text(json.dumps({"SkullStripped": True}))
    scans = {scan.name: scan.skull_stripped for scan in list_scans(tmp_path, "T2w")}
    assert scans == {"sub-01_ses-a": True, "sub-01_ses-a_run-2": True, "sub-02": None}  # inherited
    assert {scan.source for scan in list_scans(tmp_path, "T1w")} == {"sub-01/ses-a/anat/sub-01_ses-a_T1w.nii.gz"}
    with pytest.raises(InputError, match="without a FLAIR scan"):
        list_scans(tmp_path, "FLAIR")


def test_two_scans_of_one_name_are_refused(tmp_path: Path) -> None:
    (tmp_path / "scans.tsv").write_text("participant_id\timage\np-1\ta.nii\np1\tb.nii\n")
    with pytest.raises(InputError, match="would both be called sub-p1"):
        list_scans(tmp_path / "scans.tsv", "T2w")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("scan\na.nii\n", "lacks the column image"),
        ("image\n", "no rows"),
        ("image\tskull_stripped\na.nii\tperhaps\n", "line 2: skull_stripped is 'perhaps'"),
        ("participant_id\timage\np1\tn/a\n", "line 2: there is no image"),
        ("image\n--.nii\n", "neither letters nor digits"),
    ],
)
def test_what_a_table_lacks_is_said(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "scans.tsv").write_text(text)
    with pytest.raises(InputError, match=told):
        list_scans(tmp_path / "scans.tsv", "T2w")


def test_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        list_scans(tmp_path / "none.tsv", "T2w")
    with pytest.raises(InputError, match="itself holds no NIfTI file"):
        list_scans(tmp_path, "T2w")

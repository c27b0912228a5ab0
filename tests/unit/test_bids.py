"""A BIDS data set is a cohort, by a column of its participants table."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from stfpm3d.runtime.errors import InputError
from stfpm3d.study.cohort import read_bids


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """A healthy subject with two sessions, one of them stripped, and a patient whose mask is derived."""
    names = ["sub-01/ses-a/anat/sub-01_ses-a_T2w", "sub-01/ses-b/anat/sub-01_ses-b_T2w", "sub-02/anat/sub-02_T2w"]
    names += ["sub-02/anat/sub-02_T1w", "derivatives/manual/sub-02/anat/sub-02_label-lesion_mask"]
    names += ["derivatives/manual/sub-02/anat/sub-02_space-MNI_label-lesion_mask"]
    for name in names:
        path = tmp_path / f"{name}.nii.gz"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (tmp_path / "sub-01/ses-b/anat/sub-01_ses-b_T2w.json").write_text(json.dumps({"SkullStripped": True}))
    (tmp_path / "participants.tsv").write_text(
        "participant_id\tage\tgroup\tsite\nsub-01\t30\thealthy\tA\nsub-02\t40\tpatient\tB\n"
    )
    return tmp_path


def test_its_scans_sessions_masks_and_sidecars_are_found(dataset: Path) -> None:
    cohort = read_bids(dataset, "T2w").set_index("scan_id")
    assert list(cohort.index) == ["sub-01_ses-a", "sub-01_ses-b", "sub-02"]
    assert cohort["group"].tolist() == ["healthy", "healthy", "patient"]
    assert cohort["site"].tolist() == ["A", "A", "B"]
    assert cohort["skull_stripped"].tolist() == [False, True, False]
    assert cohort["image"]["sub-02"] == str(dataset / "sub-02/anat/sub-02_T2w.nii.gz")
    mask = dataset / "derivatives/manual/sub-02/anat/sub-02_label-lesion_mask.nii.gz"
    assert cohort["lesion_mask"].tolist() == [None, None, str(mask)]


def test_the_contrast_is_chosen_by_the_suffix(dataset: Path) -> None:
    assert read_bids(dataset, "T1w")["image"].tolist() == [str(dataset / "sub-02/anat/sub-02_T1w.nii.gz")]
    with pytest.raises(InputError, match="without a FLAIR scan"):
        read_bids(dataset, "FLAIR")


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("group", "diagnosis", r"lacks the column\(s\) group; found participant_id, age, diagnosis, site"),
        ("sub-02", "sub-03", "no row for sub-02, of which there is sub-02_T2w.nii.gz"),
        ("patient", "ill", r"sub-02_T2w\.nii\.gz: group is 'ill', expected healthy or patient"),
    ],
)
def test_what_its_participants_table_lacks_is_said(dataset: Path, old: str, new: str, told: str) -> None:
    table = dataset / "participants.tsv"
    table.write_text(table.read_text().replace(old, new))
    with pytest.raises(InputError, match=told):
        read_bids(dataset, "T2w")


def test_two_masks_of_a_session_are_refused(dataset: Path) -> None:
    (dataset / "sub-02/anat/sub-02_label-lesion_mask.nii.gz").touch()
    with pytest.raises(InputError, match="sub-02 has 2 lesion masks"):
        read_bids(dataset, "T2w")


def test_a_data_set_without_a_table_is_refused(dataset: Path) -> None:
    (dataset / "participants.tsv").unlink()
    with pytest.raises(InputError, match=r"without participants\.tsv"):
        read_bids(dataset, "T2w")

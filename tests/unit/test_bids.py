"""A BIDS data set is a cohort, by a column of its participants table."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from stfpm3d.runtime.errors import InputError
from stfpm3d.study.bids import bids_scans
from stfpm3d.study.bids_remarks import bids_remarks, scan_remarks
from stfpm3d.study.cohort import read_bids
from stfpm3d.study.config import read_config
from stfpm3d.study.reading import reading

ROWS = {
    "teachers": [{"name": "t", "epochs": 0}],
    "students": [{"name": "s", "teacher": "t"}],
    "experiments": [{"name": "e", "method": "stfpm", "student": "s"}],
}


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


def add(dataset: Path, *names: str) -> None:
    """Empty files."""
    for name in names:
        path = dataset / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


PATIENTS_MASK = "derivatives/manual/sub-02/anat/sub-02_label-lesion_mask.nii.gz"


@pytest.mark.parametrize(
    "name",
    [
        "sub-02/anat/sub-02_label-lesion_roi.nii.gz",
        "sub-02/anat/sub-02_T2w_roi.nii.gz",
        "sub-02/anat/sub-02_T2w_label-lesion_roi.nii.gz",
        "sub-02/anat/sub-02_T2w_lesion.nii",
        "sub-02/anat/sub-02_lesion_mask.nii.gz",
        "sub-02/anat/sub-02_desc-lesion_mask.NII.GZ",
        "sub-02/anat/sub-02_space-T2w_label-tumor_dseg.nii.gz",
        "derivatives/manual/sub-02/anat/sub-02_desc-lesion_mask.nii.gz",
        "derivatives/manual/sub-02/anat/sub-02_label-L_desc-T1lesion_mask.nii.gz",
        "Derivatives/lesions/v1/sub-02/anat/sub-02_label-Lesion_mask.nii.gz",
        "derivatives/sub-02_space-orig_label-lesion_mask.nii.gz",
        "derivatives/lesions/sub-02/sub-02_acq-a_T2w_desc-Tumour_mask.nii.gz",
    ],
)
def test_a_lesion_mask_is_found_under_the_names_that_people_use(dataset: Path, name: str) -> None:
    (dataset / PATIENTS_MASK).unlink()
    add(dataset, name)
    assert read_bids(dataset, "T2w")["lesion_mask"].tolist() == [None, None, str(dataset / name)]
    assert not any(name in remark for remark in bids_remarks(dataset, "T2w"))


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("sub-02/anat/sub-02_FLAIR_roi.nii.gz", "it was drawn on another contrast, FLAIR"),
        ("sub-02/anat/sub-02_space-MNI152_label-lesion_mask.nii.gz", "it lies in another space, MNI152"),
        ("sub-02/ses-b/anat/sub-02_ses-b_label-lesion_mask.nii.gz", "it is of another session"),
        ("sub-02/anat/sub-02_run-2_label-lesion_mask.nii.gz", ""),
        ("derivatives/x/sub-02/dwi/sub-02_label-lesion_mask.nii.gz", "it lies among other data, dwi"),
        (
            "derivatives/stfpm3d/sub-02/anat/sub-02_label-lesion_desc-anomaly_mask.nii.gz",
            "it was predicted by a bundle",
        ),
        ("sub-02/anat/sub-02_label-lesion_probseg.nii.gz", "it holds probabilities; threshold it"),
        ("sub-02/anat/sub-02_label-lesion_mask.mgz", "it is no .nii or .nii.gz file; convert it"),
        ("derivatives/x/sub-02/anat/sub-02_desc-manual_mask.nii.gz", "its name does not say that it is a lesion's"),
        ("sub-02/anat/sub-02_T2w_label-lesion.nii.gz", "its name does not say that it is a lesion's"),
        ("sub-02/anat/sub-02_desc-stroke.nii.gz", "its name does not say that it is a lesion's"),
        ("sub-02/anat/sub-02_WMH.nii.gz", "its name does not say that it is a lesion's"),
        ("sub-01/ses-a/anat/sub-01_ses-a_label-lesion_mask.nii.gz", "its subject is healthy by participants.tsv"),
        ("sub-09/anat/sub-09_label-lesion_mask.nii.gz", "its subject has no T2w scan"),
    ],
)
def test_what_looks_like_a_lesion_mask_and_is_not_taken_is_named(dataset: Path, name: str, told: str) -> None:
    (dataset / PATIENTS_MASK).unlink()
    add(dataset, name)
    masks = read_bids(dataset, "T2w")["lesion_mask"].tolist()
    found = [remark for remark in bids_remarks(dataset, "T2w") if name in remark]
    if told:
        assert masks == [None, None, None]
        assert len(found) == 1 and f"looks like a lesion mask and is not taken: {told}" in found[0], found
    else:  # the scan has no run to differ from
        assert masks == [None, None, str(dataset / name)] and not found


def test_masks_of_one_kind_are_one_sentence_and_masks_of_the_anatomy_none(dataset: Path) -> None:
    add(dataset, *(f"derivatives/x/sub-{n:02}/anat/sub-{n:02}_label-lesion_mask.nii.gz" for n in range(10, 40)))
    names = ("desc-brain_mask", "label-GM_probseg", "desc-aseg_dseg", "defacemask", "desc-preproc_T2w")
    add(dataset, *(f"derivatives/fmriprep/sub-02/anat/sub-02_{name}.nii.gz" for name in names))
    (dataset / PATIENTS_MASK).unlink()
    (remark,) = (remark for remark in bids_remarks(dataset, "T2w") if "x/sub-" in remark)
    assert "sub-10_label-lesion_mask.nii.gz, one of 30 of such names, looks like a lesion mask" in remark
    assert not any("fmriprep" in remark for remark in bids_remarks(dataset, "T2w"))


def test_the_documented_name_goes_before_others_which_are_named(dataset: Path) -> None:
    name = "sub-02/anat/sub-02_T2w_roi.nii.gz"
    add(dataset, name)
    assert read_bids(dataset, "T2w")["lesion_mask"].tolist()[2] == str(dataset / PATIENTS_MASK)
    assert any(f"{name} looks like" in remark and "goes before it" in remark for remark in bids_remarks(dataset, "T2w"))


def test_a_scan_in_capitals_is_a_scan_and_what_else_looks_like_one_is_named(dataset: Path) -> None:
    add(dataset, "sub-03/anat/sub-03_T2w.NII.GZ")
    others = {
        "sub-04/sub-04_T2w.nii.gz": r"it does not lie in sub-\*/",
        "sub-04/anat/sub-04_T2w.nrrd": "it is no .nii",
        "sub-02/anat/sub-02_desc-defaced_T2w.nii.gz": "its name .* says that it was made of another",
    }
    add(dataset, *others, "sub-05/anat/sub-05_T2.nii.gz")
    with (dataset / "participants.tsv").open("a") as table:
        table.write("".join(f"sub-0{number}\t30\thealthy\tA\n" for number in (3, 4, 5)))
    assert read_bids(dataset, "T2w")["image"].tolist()[3:] == [str(dataset / "sub-03/anat/sub-03_T2w.NII.GZ")]
    remarks = "\n".join(bids_remarks(dataset, "T2w"))
    for name, told in others.items():
        assert re.search(f"{name} looks like a T2w scan and is not taken: {told}", remarks), remarks
    assert re.search(r"names sub-04, sub-05, without a T2w scan; .* sub-05/anat/sub-05_T2\.nii\.gz", remarks), remarks
    assert len(scan_remarks(dataset, "T2w")) == 3


@pytest.mark.parametrize(
    ("sidecars", "expected"),
    [
        ({"T2w.json": True}, True),
        ({"T2w.json": True, "sub-02/sub-02_T2w.json": False}, False),
        ({"T2w.json": True, "sub-02_T2w.json": False}, False),
        ({"sub-02_T2w.json": True, "sub-02/anat/T2w.json": False}, False),
        ({"T2w.json": False, "sub-02/anat/sub-02_T2w.json": True}, True),
        ({"T1w.json": True, "sub-01_T2w.json": True, "acq-x_T2w.json": True}, None),
        ({"T2w.json": True, "sub-02/anat/sub-02_T2w.json": None}, True),
    ],
)
def test_the_most_specific_sidecar_says_whether_the_skull_is_off(dataset: Path, sidecars: dict, expected: bool) -> None:
    """BIDS' inheritance principle: each key from the folder farthest down, whose file applies to the scan."""
    for name, value in sidecars.items():
        (dataset / name).write_text(json.dumps({"SkullStripped": value}))
    assert bids_scans(dataset, "T2w")[2].skull_stripped is expected


@pytest.mark.parametrize("value", ["true", 1])
def test_a_sidecar_that_says_neither_true_nor_false_is_refused(dataset: Path, value: object) -> None:
    (dataset / "T2w.json").write_text(json.dumps({"SkullStripped": value}))
    with pytest.raises(InputError, match=r"T2w\.json: SkullStripped is .*, expected true or false"):
        read_bids(dataset, "T2w")


def test_two_runs_of_a_session_are_named_with_what_can_be_done(dataset: Path) -> None:
    add(dataset, *(f"sub-02/anat/sub-02_run-{run}_T2w.nii.gz" for run in (1, 2)))
    (dataset / "sub-02/anat/sub-02_T2w.nii.gz").unlink()
    with pytest.raises(InputError, match="several T2w scans in one session") as caught:
        read_bids(dataset, "T2w")
    told = "sub-02 (sub-02/anat/sub-02_run-1_T2w.nii.gz, sub-02/anat/sub-02_run-2_T2w.nii.gz)"
    assert told in str(caught.value) and "such as {run: 1} or {ce: null}, or name the scans" in str(caught.value)
    assert [scan.entities for scan in bids_scans(dataset, "T2w")][2:] == ["sub-02_run-1", "sub-02_run-2"]  # to predict


@pytest.mark.parametrize(
    ("wanted", "taken"),
    [
        ({"ce": None, "run": [1, None]}, "sub-02_run-01"),
        ({"ce": "GAD", "run": None, "ses": None}, "sub-02_ce-gad"),
        ({"ce": None, "run": 2}, "sub-02_run-02"),
    ],
)
def test_entities_say_which_scans_count_and_the_others_are_named(dataset: Path, wanted: dict, taken: str) -> None:
    (dataset / "sub-02/anat/sub-02_T2w.nii.gz").unlink()
    add(dataset, *(f"sub-02/anat/sub-02_{name}_T2w.nii.gz" for name in ("run-01", "run-02", "ce-gad")))
    images = read_bids(dataset, "T2w", wanted=wanted)["image"]
    assert f"{dataset}/sub-02/anat/{taken}_T2w.nii.gz" == images.iloc[-1]
    left_out = [remark for remark in bids_remarks(dataset, "T2w", wanted) if "cohort.bids leaves it out" in remark]
    assert left_out and not any(taken in remark for remark in left_out)
    with pytest.raises(InputError, match=r"none is what cohort\.bids says .*correct cohort\.bids"):
        read_bids(dataset, "T2w", wanted={"run": 7})


def test_a_read_only_data_set_is_a_cohort_by_links_to_its_folders(dataset: Path, tmp_path_factory) -> None:
    """As docs/own-data.md says: links to what is there, and a table of one's own."""
    study = tmp_path_factory.mktemp("study")
    for name in ("sub-01", "sub-02", "derivatives"):
        (study / name).symlink_to(dataset / name)
    (study / "participants.tsv").write_text((dataset / "participants.tsv").read_text())
    linked, direct = read_bids(study, "T2w"), read_bids(dataset, "T2w")
    same = ["participant_id", "group", "site", "skull_stripped", "scan_id"]
    assert linked[same].values.tolist() == direct[same].values.tolist()
    assert linked["lesion_mask"].notna().tolist() == [False, False, True]


def test_what_was_read_is_said_before_a_run(dataset: Path) -> None:
    study = read_config({**ROWS, "cohort": {"participants": str(dataset), "bids": {"ses": ["a", None]}}})
    table = read_bids(dataset, "T2w", wanted=study.cohort.bids).assign(split=["train", "test"])
    read, sites, parts = reading(study, table)
    assert "1 healthy and 1 patients' T2w scans of 2 subjects; 1 lesion mask; 0 skull-stripped." in read
    assert sites == "Sites: A 1, B 1."
    assert parts.startswith(
        "To train on 1 healthy and 0 patients', to validate on 0 healthy and 0 patients', to test on"
    )
    without = reading(study, table.assign(lesion_mask=None))[0]
    assert "0 lesion masks (1 patients' scans have none; looked for in the column lesion_mask" in without


def test_a_scan_in_another_subjects_folder_is_refused(dataset: Path) -> None:
    add(dataset, "sub-02/anat/sub-03_T2w.nii.gz")
    with pytest.raises(InputError, match=r"sub-03_T2w\.nii\.gz lies in the folder of another subject, sub-02"):
        read_bids(dataset, "T2w")


def test_derivatives_that_are_linked_from_elsewhere_count_once_and_circles_end(
    dataset: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    (dataset / PATIENTS_MASK).unlink()
    elsewhere, name = tmp_path_factory.mktemp("elsewhere"), "sub-02/anat/sub-02_label-lesion_mask.nii.gz"
    add(elsewhere, name)
    for link, target in {"manual/again": dataset / "derivatives", "a": elsewhere, "b": elsewhere}.items():
        (dataset / "derivatives" / link).symlink_to(target)
    assert read_bids(dataset, "T2w")["lesion_mask"].tolist() == [None, None, str(dataset / "derivatives/a" / name)]

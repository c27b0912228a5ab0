"""The folders of IXI and BraTS 2021, as they are published, become a participants table."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from stfpm3d.runtime.errors import InputError
from stfpm3d.study.cohort import check_files, read_participants
from stfpm3d.study.ixi_brats import tabulate

ROOT = Path(__file__).resolve().parents[2]
IXI = ("IXI002-Guys-0828", "IXI012-HH-1211", "IXI035-IOP-0873")
BRATS = ("BraTS2021_00000", "BraTS2021_01666")


@pytest.fixture
def ixi(tmp_path: Path) -> Path:
    """IXI's T1 and T2 archives, unpacked side by side."""
    for name in IXI:
        for contrast in ("T1", "T2", "PD"):
            place(tmp_path / "IXI" / f"IXI-{contrast}" / f"{name}-{contrast}.nii.gz")
    return tmp_path / "IXI"


@pytest.fixture
def brats(tmp_path: Path) -> Path:
    for name in BRATS:
        for kind in ("flair", "t1", "t1ce", "t2", "seg"):
            place(tmp_path / "BraTS" / name / f"{name}_{kind}.nii.gz")
    return tmp_path / "BraTS"


def place(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()


def table(output: Path) -> pd.DataFrame:
    """The table as the workflow reads it; every file that it names is there."""
    participants = read_participants(output)
    check_files(participants)
    return participants.set_index("participant_id")


def test_the_command_writes_a_table_that_the_workflow_takes(tmp_path: Path, ixi: Path, brats: Path) -> None:
    output = tmp_path / "tables" / "participants.tsv"
    command = [sys.executable, "workflow/tabulate.py", "--ixi", ixi, "--brats", brats, "--output", output]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert "3 healthy scans" in done.stderr and "2 patient scans" in done.stderr
    found = table(output)
    assert found["group"].to_dict() == {
        "sub-IXI002": "healthy",
        "sub-IXI012": "healthy",
        "sub-IXI035": "healthy",
        "sub-BraTS202100000": "patient",
        "sub-BraTS202101666": "patient",
    }
    assert found["site"].tolist() == ["Guys", "HH", "IOP", "BraTS", "BraTS"]
    assert found["skull_stripped"].tolist() == [False] * 3 + [True] * 2
    assert found["lesion_mask"].notna().tolist() == [False] * 3 + [True] * 2
    raw = pd.read_csv(output, sep="\t", keep_default_na=False).set_index("participant_id")
    assert raw["image"]["sub-IXI002"] == "../IXI/IXI-T2/IXI002-Guys-0828-T2.nii.gz"
    assert raw["image"]["sub-BraTS202101666"] == "../BraTS/BraTS2021_01666/BraTS2021_01666_t2.nii.gz"
    assert raw["lesion_mask"]["sub-BraTS202101666"] == "../BraTS/BraTS2021_01666/BraTS2021_01666_seg.nii.gz"
    assert raw["lesion_mask"]["sub-IXI002"] == "n/a"


@pytest.mark.parametrize(("modality", "endings"), [("T1w", {"-T1", "_t1"}), ("FLAIR", {"_flair"})])
def test_the_modality_chooses_the_files(
    tmp_path: Path, ixi: Path, brats: Path, modality: str, endings: set[str]
) -> None:
    tabulate(None if modality == "FLAIR" else ixi, brats, modality, None, tmp_path / "participants.tsv")
    images = table(tmp_path / "participants.tsv")["image"].str.removesuffix(".nii.gz")
    assert {image[max(image.rfind("-"), image.rfind("_")) :] for image in images} == endings


def test_a_published_list_becomes_the_split(tmp_path: Path, ixi: Path, brats: Path) -> None:
    names = ["sub-IXI002", "IXI012", "IXI035-IOP-0873-T2.nii.gz", "BraTS2021_00000", "sub-BraTS202101666", "IXI999"]
    parts = ["train", "val", "test", "test", "train", "test"]
    split = tmp_path / "split.tsv"
    split.write_text("subject\tsplit\n" + "".join(f"{n}\t{p}\n" for n, p in zip(names, parts, strict=True)))
    tabulate(ixi, brats, "T2w", split, tmp_path / "participants.tsv")
    assert table(tmp_path / "participants.tsv")["split"].tolist() == parts[:-1]


MISTAKES = {
    "no folder": (lambda root: (root / "IXI").rename(root / "away"), r"IXI is not a folder; give the one that holds"),
    "an empty folder": (
        lambda root: [path.unlink() for path in (root / "IXI").rglob("*-T2.nii.gz")],
        r"IXI holds no files such as IXI002-Guys-0828-T2\.nii\.gz",
    ),
    "a subject twice": (
        lambda root: place(root / "IXI" / "copy" / "IXI012-HH-1211-T2.nii.gz"),
        r"IXI012 has two files, .*; keep one of them",
    ),
    "no segmentation": (
        lambda root: (root / "BraTS" / BRATS[1] / f"{BRATS[1]}_seg.nii.gz").unlink(),
        r"01666_t2\.nii\.gz has no BraTS2021_01666_seg\.nii\.gz beside it",
    ),
    "no scan": (
        lambda root: (root / "BraTS" / BRATS[0] / f"{BRATS[0]}_t2.nii.gz").unlink(),
        r"00000_seg\.nii\.gz has no BraTS2021_00000_t2\.nii\.gz beside it",
    ),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_folders_with_a_mistake_are_refused(tmp_path: Path, ixi: Path, brats: Path, mistake: str) -> None:
    make, sentence = MISTAKES[mistake]
    make(tmp_path)
    with pytest.raises(InputError, match=sentence) as error:
        tabulate(ixi, brats, "T2w", None, tmp_path / "participants.tsv")
    assert "\n" not in str(error.value)
    assert not (tmp_path / "participants.tsv").exists()


def test_a_table_that_is_there_is_replaced_on_demand_alone(tmp_path: Path, ixi: Path) -> None:
    output = tmp_path / "participants.tsv"
    output.write_text("edited by hand")
    with pytest.raises(InputError, match=r"participants\.tsv is there already; give another --output, or --force"):
        tabulate(ixi, None, "T2w", None, output)
    assert output.read_text() == "edited by hand"
    tabulate(ixi, None, "T2w", None, output, force=True)
    assert len(table(output)) == 3


def test_ixi_has_no_flair(tmp_path: Path, ixi: Path) -> None:
    with pytest.raises(InputError, match=r"IXI has no FLAIR scans; expected T1w or T2w"):
        tabulate(ixi, None, "FLAIR", None, tmp_path / "participants.tsv")


@pytest.mark.parametrize(
    ("lines", "sentence"),
    [
        ("IXI002\ttrain\nIXI012\tval\n", r"does not name sub-IXI035; add its line"),
        ("IXI002\ttrain\nIXI012 val\n", r"line 2: 'IXI012 val'; expected a subject of IXI or BraTS 2021, a tab"),
        ("IXI002\ttraining\n", r"line 1: 'IXI002\\ttraining'; expected .* train, val or test"),
        ("IXI002\ttrain\nsub-IXI002\ttest\n", r"line 2: sub-IXI002 is in the test part, but in another"),
    ],
)
def test_a_list_with_a_mistake_is_refused(tmp_path: Path, ixi: Path, lines: str, sentence: str) -> None:
    (tmp_path / "split.tsv").write_text(lines)
    with pytest.raises(InputError, match=sentence):
        tabulate(ixi, None, "T2w", tmp_path / "split.tsv", tmp_path / "participants.tsv")


def test_a_list_as_a_spreadsheet_writes_it_is_read(tmp_path: Path, ixi: Path) -> None:
    text = 'Subject\tSplit\t\r\n\r\n"IXI002"\tTRAIN\t\r\nIXI012\tval\r\n\t\t\r\nIXI035\ttest\r\n'
    (tmp_path / "split.tsv").write_bytes(text.encode("utf-16"))
    tabulate(ixi, None, "T2w", tmp_path / "split.tsv", tmp_path / "participants.tsv")
    assert table(tmp_path / "participants.tsv")["split"].tolist() == ["train", "val", "test"]


def test_linked_folders_and_files_are_the_sets_own(tmp_path: Path, ixi: Path, brats: Path) -> None:
    """Folders of subjects and single files are links; one folder is reached twice, and one holds itself."""
    (tmp_path / "BraTS" / BRATS[1]).rename(tmp_path / "store")
    (tmp_path / "BraTS" / BRATS[1]).symlink_to(tmp_path / "store")
    (tmp_path / "BraTS" / "again").symlink_to(tmp_path / "store")
    (tmp_path / "BraTS" / "loop").symlink_to(tmp_path / "BraTS")
    (tmp_path / "store" / "up").symlink_to("..")
    linked = tmp_path / "links"
    linked.mkdir()
    for path in ixi.rglob("*-T2.nii.gz"):
        (linked / path.name).symlink_to(path)
    (linked / "copy").mkdir()
    (linked / "copy" / f"{IXI[0]}-T2.nii.gz").symlink_to(ixi / "IXI-T2" / f"{IXI[0]}-T2.nii.gz")
    tabulate(linked, tmp_path / "BraTS", "T2w", None, tmp_path / "participants.tsv")
    found = table(tmp_path / "participants.tsv")
    assert sorted(found.index) == sorted(f"sub-{name.split('-')[0].replace('_', '')}" for name in (*IXI, *BRATS))


def test_a_link_to_nothing_is_named(tmp_path: Path, ixi: Path) -> None:
    (ixi / "IXI050-Guys-0711-T2.nii.gz").symlink_to(tmp_path / "gone")
    with pytest.raises(InputError, match=r"IXI050-Guys-0711-T2.nii.gz is no file that can be reached; mend the link"):
        tabulate(ixi, None, "T2w", None, tmp_path / "participants.tsv")

"""A set of predictions belongs to one bundle, keeps what it has, and touches nothing that others wrote."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from stfpm3d.prediction.data_set import (
    RUN,
    check_set,
    link_to,
    links,
    open_set,
    place_of,
    records,
    status_path,
    statuses,
    unreadable,
)
from stfpm3d.prediction.going_on import LOCKS, go_on
from stfpm3d.prediction.scans import GivenScan
from stfpm3d.prediction.stages import write_status
from stfpm3d.runtime.errors import InputError


@pytest.fixture
def out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A bundle's set, of the scans in `nifti`."""
    monkeypatch.chdir(tmp_path)
    Path("nifti").mkdir()
    open_set("found", "digest", "stfpm", "nifti")
    return Path("found")


def given(path: str, name: str = "sub-a", content: str = "") -> GivenScan:
    Path(path).parent.mkdir(exist_ok=True)
    Path(path).write_text(content)
    return GivenScan(name, path, None, Path(path).name)


def recorded(out: Path, scan: GivenScan, status: str = "predicted", content: str = "1") -> Path:
    path = status_path(out, scan.name, content)
    row = {"scan_id": scan.name, "status": status, "image": scan.source}
    write_status(path, row | {"content": content, "place": place_of(scan.image, out)})
    return path


def test_a_folder_that_is_new_or_holds_no_file_is_taken(tmp_path: Path) -> None:
    (tmp_path / "made/before").mkdir(parents=True)
    for out in (tmp_path / "made", tmp_path / "new/er"):
        check_set(out, "digest", tmp_path / "scans.tsv")


@pytest.mark.parametrize(
    "file", ["dataset_description.json", ".bidsignore", "sub-01/anat/sub-01_label-lesion_mask.nii"]
)
def test_a_folder_of_others_is_refused(tmp_path: Path, file: str) -> None:
    (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / file).write_text("mine")
    with pytest.raises(InputError, match=f"holds {file} and is no set of predictions"):
        check_set(tmp_path, "digest", tmp_path)


def test_a_folder_within_the_data_set_is_taken_but_no_subjects(tmp_path: Path) -> None:
    check_set(tmp_path / "derivatives/found", "digest", tmp_path)
    with pytest.raises(InputError, match="lies in sub-01 of the scans"):
        check_set(tmp_path / "sub-01/found", "digest", tmp_path)
    (tmp_path / "link").symlink_to(tmp_path)
    with pytest.raises(InputError, match="lies in sub-01 of the scans"):
        check_set(tmp_path / "link/sub-01", "digest", tmp_path)


def test_a_set_belongs_to_one_bundle_by_its_content(out: Path) -> None:
    check_set(out, "digest", "nifti")
    with pytest.raises(InputError, match="found holds predictions by another bundle"):
        check_set(out, "other", "nifti")
    shutil.move(out, "moved")
    with pytest.raises(InputError, match="moved holds predictions by another bundle"):
        check_set("moved", "other", "nifti")


def test_each_folder_of_scans_has_a_link_of_its_own(out: Path) -> None:
    assert link_to(out, "nifti") == link_to(out, Path("nifti").absolute()) == link_to(out, "nifti/a.nii") == "scans"
    open_set(out, "digest", "stfpm", "more/scans.tsv")
    assert links(out) == {"scans": "../nifti", "scans2": "../more"}
    assert link_to(out, "nifti") == "scans"


def test_what_a_status_says_is_found_wherever_the_set_lies(out: Path) -> None:
    path = recorded(out, given("nifti/a.nii"))
    assert path != status_path(out, "sub-a", "2")
    (record,) = records(out)
    assert record[:3] == ("sub-a", path, "predicted")
    shutil.move(out, "moved")
    assert [record.name for record in records("moved")] == ["sub-a"]


@pytest.mark.parametrize(
    ("image", "content", "status", "taken"),
    [
        ("nifti/a.nii", "1", "predicted", True),  # which status there is tells whether it is made again
        ("nifti/a.nii", "2", "predicted", True),  # corrected in its place
        ("more/a.nii", "1", "predicted", True),  # moved
        ("more/a.nii", "2", "refused", True),  # corrected elsewhere
        ("more/a.nii", "2", "predicted", False),
    ],
)
def test_no_other_scan_takes_the_place_of_a_prediction(
    out: Path, image: str, content: str, status: str, taken: bool
) -> None:
    recorded(out, given("nifti/a.nii"), status)
    scan = given(image)
    if taken:
        assert [*statuses([scan], records(out), {"sub-a": content}, out, [])] == ["sub-a"]
    else:
        with pytest.raises(InputError, match=r"more/a\.nii and a\.nii, whose prediction found holds, would both be"):
            statuses([scan], records(out), {"sub-a": content}, out, [])


def test_a_status_is_made_anew_when_what_decides_is_another_and_the_others_stay(out: Path) -> None:
    scan, other = given("nifti/a.nii"), given("nifti/b.nii", "sub-b")
    kept = recorded(out, other)

    def planned(made_by: str, **changes: object) -> Path:
        found = statuses([scan._replace(**changes)], records(out), {"sub-a": "1"}, out, [made_by])
        assert found.pop("sub-b") == kept
        return found["sub-a"]

    first = planned("code")
    assert planned("code", image=str(Path(scan.image).absolute())) == first
    assert first not in (planned("other"), planned("code", skull_stripped=True), planned("code", source="a_T1w.nii"))


def test_a_prediction_stays_when_its_scan_cannot_be_read_any_more(out: Path) -> None:
    scan = given("nifti/a.nii")
    path = recorded(out, scan)
    Path(scan.image).unlink()
    assert statuses([scan], records(out), {"sub-a": "No such file or directory"}, out, []) == {"sub-a": path}
    assert unreadable([scan], records(out)) == ["nifti/a.nii cannot be read; what was predicted of sub-a before stays."]


def note(out: Path, **changes: object) -> None:
    run = {"host": socket.gethostname(), "pid": 1, "slurm_job": None, "jobs_on_slurm": False}
    (out / RUN).write_text(json.dumps(run | changes))


def test_a_set_goes_on_after_a_kill(out: Path) -> None:
    ended = subprocess.run([sys.executable, "-c", "import os; print(os.getpid())"], capture_output=True, check=True)
    note(out, pid=int(ended.stdout))
    LOCKS.mkdir(parents=True)
    locked = {
        "0.output.lock": "found/index.html",
        "0.input.lock": "page.j2\nfound/work/x.json",
        "1.output.lock": "foundry/x",
    }
    for name, lines in locked.items():
        (LOCKS / name).write_text(lines + "\n")
    go_on("found")
    assert not (out / RUN).exists()
    assert [path.name for path in LOCKS.iterdir()] == ["1.output.lock"]


@pytest.mark.parametrize(
    ("changes", "told"),
    [({"host": "elsewhere"}, "was started on elsewhere"), ({"pid": 2**22 + 1, "jobs_on_slurm": True}, "jobs on SLURM")],
)
def test_where_nobody_knows_whether_a_run_has_ended_it_is_asked(out: Path, changes: dict, told: str) -> None:
    note(out, **changes)
    with pytest.raises(InputError, match=told):
        go_on("found")


def test_no_two_runs_predict_to_one_set(out: Path) -> None:
    sleeps = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(60)", "snakemake"]
    with subprocess.Popen(sleeps, stdout=subprocess.PIPE) as driver:
        try:
            assert driver.stdout is not None
            driver.stdout.readline()  # a process that is being started has no command line yet
            note(out, pid=driver.pid)
            with pytest.raises(InputError, match=f"is at work .process {driver.pid}"):
                go_on("found")
        finally:
            driver.kill()
    note(out, pid=os.getpid())  # as in a container, where each run has the same
    go_on("found")

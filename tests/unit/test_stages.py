"""A scan is refused for what is wrong with it, and for nothing else; nobody else's files are touched."""

from __future__ import annotations

import errno
import os
import tempfile
from pathlib import Path

import pytest

from stfpm3d.prediction import stages
from stfpm3d.prediction.bundle import Bundle
from stfpm3d.prediction.scans import GivenScan
from stfpm3d.prediction.stages import Compute, ScanStages
from stfpm3d.runtime.errors import InputError, MachineError, of_machine
from stfpm3d.runtime.files import replacing

DESCRIPTION = {"method": "intensity", "maker": {}, "modality": "T1w", "space": "MNI152NLin2009cAsym"}


@pytest.fixture
def scan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ScanStages:
    """The way of a scan that is an empty file."""
    for name in ("map_maker", "read_parts"):
        monkeypatch.setattr(stages, name, lambda *_: None)
    (tmp_path / "a.nii").touch()
    (tmp_path / "out").mkdir()
    given = GivenScan("sub-01", str(tmp_path / "a.nii"), None, "a.nii")
    return ScanStages(given, Bundle(tmp_path, DESCRIPTION, {}), tmp_path / "out", Compute("cpu"))


def failing(error: Exception, cause: Exception | None = None):
    def stage() -> None:
        raise error from cause

    stage.__name__ = "register"
    return stage


def test_a_damaged_scan_is_refused(scan: ScanStages) -> None:
    row = scan.predict()
    assert (row["status"], row["stage"]) == ("refused", "read")


@pytest.mark.parametrize(
    ("error", "cause"),
    [
        (OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), None),
        (PermissionError(errno.EACCES, os.strerror(errno.EACCES)), None),
        (InputError("x.nii cannot be read as NIfTI."), OSError(errno.EIO, os.strerror(errno.EIO))),
        (InputError("x.nii may not be read."), PermissionError(errno.EACCES, os.strerror(errno.EACCES))),
        (MemoryError(), None),
        (RuntimeError("Exception thrown in SimpleITK: std::bad_alloc"), None),
        (RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"), None),
    ],
)
def test_what_the_machine_lacks_fails_the_job_and_refuses_no_scan(
    scan: ScanStages, error: Exception, cause: Exception | None
) -> None:
    scan.read = failing(error, cause)
    with pytest.raises(MachineError, match="sub-01"):
        scan.predict()


def test_a_full_disk_fails_the_job_wherever_it_shows(scan: ScanStages, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def written() -> None:
        with replacing(scan.work / "to_mni.mat") as temporary:
            temporary.write_text("matrix")

    monkeypatch.setattr(Path, "replace", full)
    scan.read = written
    with pytest.raises(MachineError, match="its disk is full"):
        scan.predict()


def test_nothing_that_fails_on_a_full_disk_is_laid_on_the_scan(
    scan: ScanStages, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ITK writes an empty file there and says nothing, so that what reads it finds no transform."""
    monkeypatch.setattr(stages, "on_full_disk", lambda folder: folder == tempfile.gettempdir())
    scan.read = failing(InputError("sub-01 cannot be registered to the template: no transform is found."))
    with pytest.raises(MachineError, match=f"as the disk of {tempfile.gettempdir()} is full"):
        scan.predict()


@pytest.mark.parametrize("error", [OSError("Expected 100 bytes, got 20 bytes"), FileNotFoundError(errno.ENOENT, "no")])
def test_what_is_said_of_the_file_itself_is_no_fault_of_the_machines(error: OSError) -> None:
    assert not of_machine(error)


def test_an_error_of_the_program_fails_the_job_as_it_is(scan: ScanStages) -> None:
    scan.read = failing(ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        scan.predict()


def test_only_what_predict_wrote_is_removed_of_a_scan(scan: ScanStages) -> None:
    anat, work = scan.out / "sub-01/anat", scan.out / "work/sub-01"
    own = ["sub-01_desc-anomaly_T1w.nii.gz", "sub-01_space-MNI152NLin2009cAsym_label-lesion_desc-anomaly_mask.json"]
    others = ["sub-01_label-lesion_mask.nii.gz", "sub-01_desc-preproc_T1w.nii.gz", "sub-01_desc-brain_mask.nii.gz"]
    paths = [*(anat / name for name in own), work / "status-0123abcd.json", work / "registered.nii.gz"]
    kept = [*(anat / name for name in others), work / "notes.txt"]
    for path in [*paths, *kept]:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    assert scan.predict()["status"] == "refused"
    assert not [path for path in paths if path.exists()]
    assert all(path.exists() for path in kept)

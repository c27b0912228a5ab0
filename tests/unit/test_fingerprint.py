"""A file's fingerprint follows its whole content, whatever its times say, and is read once."""

from __future__ import annotations

import gzip
import os
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from stfpm3d.runtime import fingerprint as module
from stfpm3d.runtime.fingerprint import Fingerprints

NOISE = np.random.default_rng(0).integers(0, 4000, (96, 96, 96)).astype(np.int16)


def fingerprint(path: Path) -> str:
    """As a process finds it that remembers nothing."""
    return Fingerprints(path.parent / "no memory").of(path)


def written(path: Path, data: np.ndarray) -> Path:
    nib.save(nib.Nifti1Image(data, np.eye(4)), path)
    os.utime(path, (1e9, 1e9))
    return path


@pytest.mark.parametrize("name", ["scan.nii", "scan.nii.gz"])
def test_another_scan_of_the_same_size_and_time_has_another_fingerprint(tmp_path: Path, name: str) -> None:
    first = written(tmp_path / f"a-{name}", NOISE)
    other = written(tmp_path / f"b-{name}", NOISE[::-1])
    assert fingerprint(first) != fingerprint(other)
    shutil.copy(first, tmp_path / f"c-{name}")
    assert fingerprint(first) == fingerprint(tmp_path / f"c-{name}")


def test_every_local_correction_of_an_uncompressed_mask_is_seen(tmp_path: Path) -> None:
    """Balls of 4 mm, and a single voxel: a correction by hand."""
    shape, rng = (240, 240, 155), np.random.default_rng(0)
    prints = [fingerprint(written(tmp_path / "mask.nii", np.zeros(shape, np.uint8)))]
    for number, place in enumerate(rng.integers(5, 150, (10, 3))):
        mask, radius = np.zeros(shape, np.uint8), 4 if number else 0
        box = tuple(slice(at - radius, at + radius + 1) for at in place)
        mask[box] = np.linalg.norm(np.indices((2 * radius + 1,) * 3) - radius, axis=0) <= radius
        prints.append(fingerprint(written(tmp_path / "mask.nii", mask)))
    assert len(set(prints)) == 11


def test_a_voxel_in_any_member_of_a_compressed_scan_is_seen(tmp_path: Path) -> None:
    """Of several members, as bgzip and pigz write them, the last alone has its checksum at the end of the file."""
    path, prints = tmp_path / "scan.nii.gz", []
    for voxel in (0, 1):
        changed = NOISE.copy()
        changed[40, 40, 40] += voxel
        content = changed.tobytes()
        blocks = [content[start : start + 65280] for start in range(0, len(content), 65280)]
        path.write_bytes(b"".join(gzip.compress(block, 0, mtime=0) for block in [*blocks, b""]))
        prints.append((path.stat().st_size, fingerprint(path)))
    assert prints[0][0] == prints[1][0] and prints[0][1] != prints[1][1]


def test_both_files_of_a_pair_count(tmp_path: Path) -> None:
    prints = []
    for number, (data, edge) in enumerate([(NOISE, 1), (NOISE[::-1], 1), (NOISE, 2)]):
        nib.save(nib.Nifti1Pair(data, np.diag([edge, edge, edge, 1])), tmp_path / f"{number}.img")
        prints += [fingerprint(tmp_path / f"{number}.{end}") for end in ("img", "hdr")]
    assert prints[0::2] == prints[1::2] and len(set(prints)) == 3


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that are read from now on; files count as settled at once."""
    names: list[str] = []
    hashed = module._hashed
    monkeypatch.setattr(module, "_hashed", lambda path: (names.append(path.name), hashed(path))[1])
    monkeypatch.setattr(module, "SETTLED_NS", -(10**10))
    return names


@pytest.fixture
def scans(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / f"{number}.nii" for number in range(3)]
    for path in paths:
        path.write_bytes(path.name.encode())
    return paths


def prints(memory: Path, scans: list[Path]) -> list[str]:
    """As a new process finds them."""
    fingerprints = Fingerprints(memory, scans)
    return [fingerprints.of(path) for path in scans]


def test_a_file_is_read_once_and_again_when_it_may_have_changed(scans: list[Path], read: list[str]) -> None:
    memory = scans[0].parent / "folder" / "memory"
    expected = [fingerprint(path) for path in scans]
    read.clear()
    assert prints(memory, scans) == prints(memory, scans) == expected
    assert sorted(read) == ["0.nii", "1.nii", "2.nii"]
    times = scans[0].stat()
    scans[0].write_bytes(b"0.NII")  # as large, and given the time that it had
    os.utime(scans[0], ns=(times.st_atime_ns, times.st_mtime_ns))
    shutil.copy2(scans[1], scans[1].with_suffix(".new"))  # the same content and time, as another file
    scans[1].with_suffix(".new").replace(scans[1])
    assert prints(memory, scans) == [fingerprint(scans[0]), *expected[1:]] != expected
    assert sorted(read[3:5]) == ["0.nii", "1.nii"]
    read.clear()
    prints(memory, scans)
    assert read == []


def test_what_changes_within_the_clocks_step_after_it_was_read_is_seen(scans: list[Path]) -> None:
    """A file that was just written is not remembered, for a further change might show in none of its times."""
    memory = scans[0].parent / "memory"
    before = prints(memory, scans)
    assert not memory.exists()
    scans[0].write_bytes(b"0.NII")
    assert prints(memory, scans) != before


def test_what_is_written_while_it_is_read_is_not_remembered(
    scans: list[Path], read: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    memory, hashed = scans[0].parent / "memory", module._hashed
    monkeypatch.setattr(module, "_hashed", lambda path: (hashed(path), path.write_bytes(b"later"))[0])
    prints(memory, scans[:1])
    assert prints(memory, scans[:1]) == [fingerprint(scans[0])]


DAMAGES: dict[str, Callable[[Path], object]] = {
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-9]),
    "a digit": lambda path: path.write_text(path.read_text().replace("1", "2", 1)),
    "a mark": lambda path: path.write_text(path.read_text()[:-20] + "0" + path.read_text()[-19:]),
    "no text": lambda path: path.write_bytes(bytes(range(256))),
    "empty": lambda path: path.write_bytes(b""),
    "a folder": lambda path: (path.unlink(), path.mkdir()),
    "gone": lambda path: path.unlink(),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_memory_costs_time_alone(scans: list[Path], read: list[str], damage: str) -> None:
    memory = scans[0].parent / "memory"
    expected = prints(memory, scans)
    DAMAGES[damage](memory)
    assert prints(memory, scans) == expected
    assert len(read) == 6
    assert sorted(path.name for path in memory.parent.iterdir()) == ["0.nii", "1.nii", "2.nii", "memory"]
    prints(memory, scans)
    assert len(read) == (9 if damage == "a folder" else 6)


def test_a_working_directory_that_cannot_be_written_to_costs_time_alone(scans: list[Path], read: list[str]) -> None:
    memory = Path("/proc/self/none/memory")
    assert prints(memory, scans) == prints(memory, scans) == [fingerprint(path) for path in scans]


def test_processes_that_write_at_once_leave_a_whole_memory(scans: list[Path], read: list[str]) -> None:
    memory = scans[0].parent / "memory"
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda number: prints(memory, scans[number % 3 :]), range(40)))
    assert {part for parts in found for part in parts} == {fingerprint(path) for path in scans}
    assert module._load(memory) and len(list(memory.parent.iterdir())) == 4


def test_a_job_reads_its_own_file_and_writes_nothing(scans: list[Path], read: list[str]) -> None:
    """Though its machine shows other inodes."""
    memory = scans[0].parent / "memory"
    prints(memory, scans[:2])
    content = memory.read_bytes()
    shutil.copy2(scans[0], scans[0].with_suffix(".new"))
    scans[0].with_suffix(".new").replace(scans[0])
    read.clear()
    job = Fingerprints(memory)
    assert job.of(scans[0]) == fingerprint(scans[0]) and job.of(scans[1]) == fingerprint(scans[1])
    assert read == ["0.nii", "0.nii", "1.nii"]  # the job's, and those of this comparison
    assert memory.read_bytes() == content


def test_what_cannot_be_read_is_told_to_who_asks(scans: list[Path], read: list[str]) -> None:
    fingerprints = Fingerprints(scans[0].parent / "memory", [*scans, "absent.nii"])
    assert fingerprints.of(scans[0])
    with pytest.raises(FileNotFoundError):
        fingerprints.of("absent.nii")


def test_much_to_be_read_is_said(scans: list[Path], read: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "WORTH_SAYING_BYTES", 15)
    for memory, told in (("memory", 1), ("memory", 0)):
        said: list[str] = []
        Fingerprints(scans[0].parent / memory, scans, said.append).of(scans[0])
        assert len(said) == told

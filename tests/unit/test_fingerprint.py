"""A file's fingerprint follows its content, whatever its times say."""

from __future__ import annotations

import gzip
import os
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from stfpm3d.runtime.fingerprint import fingerprint

NOISE = np.random.default_rng(0).integers(0, 4000, (96, 96, 96)).astype(np.int16)


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


def test_a_single_voxel_of_a_compressed_scan_is_seen(tmp_path: Path) -> None:
    changed = NOISE.copy()
    changed[48, 48, 48] += 1
    pair = [written(tmp_path / f"{number}.nii.gz", data) for number, data in enumerate((NOISE, changed))]
    assert fingerprint(pair[0]) != fingerprint(pair[1])


def test_a_small_lesion_of_an_uncompressed_mask_is_seen(tmp_path: Path) -> None:
    mask = np.zeros((240, 240, 155), np.uint8)
    lesion = mask.copy()
    lesion[100:110, 90:100, 70:80] = 1
    pair = [written(tmp_path / f"{number}.nii", data) for number, data in enumerate((mask, lesion))]
    assert fingerprint(pair[0]) != fingerprint(pair[1])


def test_both_files_of_a_pair_count(tmp_path: Path) -> None:
    prints = []
    for number, (data, edge) in enumerate([(NOISE, 1), (NOISE[::-1], 1), (NOISE, 2)]):
        nib.save(nib.Nifti1Pair(data, np.diag([edge, edge, edge, 1])), tmp_path / f"{number}.img")
        prints += [fingerprint(tmp_path / f"{number}.{end}") for end in ("img", "hdr")]
    assert prints[0::2] == prints[1::2] and len(set(prints)) == 3


def test_the_empty_file_and_the_small_one_are_read_whole(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    (tmp_path / "small").write_bytes(gzip.compress(b"lesion"))
    assert fingerprint(tmp_path / "empty") != fingerprint(tmp_path / "small")

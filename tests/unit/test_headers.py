"""Where a header says that its voxels lie, and what each of them holds: what is taken, and what is refused unread."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from nibabel.affines import from_matvec
from nibabel.nifti1 import data_type_codes
from scipy.spatial.transform import Rotation

from stfpm3d.imaging.headers import check_same_grid, read_header
from stfpm3d.imaging.volumes import load_volume
from stfpm3d.runtime.errors import InputError

SCAN = np.random.default_rng(0).integers(1, 100, (5, 6, 7)).astype(np.uint8)
TURN = np.array([[0, -2.0, 0, 5], [0, 0, 2, -7], [-2, 0, 0, 9], [0, 0, 0, 1]])  # right-handed, 2 mm
SLOPED = TURN @ from_matvec(Rotation.from_euler("xyz", [20, -10, 30], degrees=True).as_matrix())
REAL = {2, 4, 8, 16, 64, 256, 512, 768, 1024, 1280}
"""The codes of nifti1.h for whole numbers and for floating-point ones of 32 and 64 bits."""


def both(path: Path, qform: np.ndarray, sform: np.ndarray) -> Path:
    """A scan whose header states two matrices."""
    image = nib.Nifti1Image(SCAN, qform)
    image.set_qform(qform, 1)
    image.set_sform(sform, 1)
    nib.save(image, path)
    return path


def refusal(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        read_header(path, "sub-7")
    message = str(caught.value)
    assert message.startswith(f"sub-7: {path} ") and message.endswith(".") and "\n" not in message, message
    return message


SHIFT = from_matvec(np.eye(3), [90, -120, 60])
SHEAR = np.array([[1, 0.1, 0, 0], [0, np.sqrt(0.99), 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
STRETCHED = np.diag([1, 1.05, 1, 1])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (np.diag([-1.0, 1, 1, 1]), "its sform is a mirror image of its qform"),
        (np.diag([1.0, 1, -1, 1]), "its sform is a mirror image of its qform"),
        (np.diag([-0.5, 0.5, 0.5, 1]), "its sform is a mirror image of its qform"),
        (np.diag([0.5, 0.5, 0.5, 1]), "its voxels measure 1 x 1 x 1 mm by its sform and 2 x 2 x 2 mm by its qform's"),
        (STRETCHED, "its voxels measure 2 x 2.1 x 2 mm by its sform and 2 x 2 x 2 mm by its qform's pixdim"),
        (SHEAR, "its sform is sheared against its qform"),
    ],
)
@pytest.mark.parametrize("qform", [TURN, SLOPED, TURN @ np.diag([-1, 1, 1, 1])])
def test_a_header_with_two_matrices_of_different_bodies_is_refused(tmp_path, qform, change, said):
    message = refusal(both(tmp_path / "scan.nii.gz", qform, qform @ change))
    assert f"contradicts itself: {said}" in message and "sform" in message and "qform" in message


@pytest.mark.parametrize("qform", [TURN, TURN @ np.diag([-1, 1, 1, 1]), TURN @ np.diag([1, 0.5, 1.7, 1])])
def test_a_rotation_and_a_shift_from_qform_to_sform_are_legitimate_and_the_sform_counts(tmp_path, qform):
    for number, turn in enumerate((np.eye(4), SHIFT, SLOPED @ np.linalg.inv(TURN), SHIFT @ TURN / 2)):
        turn[3] = [0, 0, 0, 1]
        sform = turn @ qform
        image = read_header(both(tmp_path / f"{number}.nii.gz", qform, sform))
        np.testing.assert_allclose(np.asarray(image.affine), sform, atol=1e-5)


def test_a_sform_alone_has_the_voxel_sizes_of_pixdim(tmp_path):
    image = nib.Nifti1Image(SCAN, TURN)
    image.header["pixdim"][2] = 1.0
    nib.save(image, tmp_path / "scan.nii")
    assert nib.Nifti1Image.from_filename(tmp_path / "scan.nii").header["qform_code"] == 0
    assert "measure 2 x 2 x 2 mm by its sform and 2 x 1 x 2 mm by its pixdim" in refusal(tmp_path / "scan.nii")


def test_voxel_sizes_that_are_rounded_contradict_nothing(tmp_path):
    image = nib.Nifti1Image(SCAN, np.diag([0.9375, 0.9375, 1.5, 1]))
    image.header["pixdim"][1:3] = 0.94
    nib.save(image, tmp_path / "scan.nii")
    assert np.array_equal(np.asarray(read_header(tmp_path / "scan.nii").affine), np.diag([0.9375, 0.9375, 1.5, 1]))


@pytest.mark.parametrize("code", sorted(set(data_type_codes.value_set("code")) | {4096}))
def test_every_type_of_nifti_is_read_as_the_numbers_that_it_holds_or_refused(tmp_path, code):
    path = tmp_path / "scan.nii"
    if code in REAL:
        dtype: Any = data_type_codes.dtype[code]
        nib.save(nib.Nifti1Image(SCAN.astype(dtype), TURN, dtype=dtype), path)
        assert read_header(path).header["datatype"] == code
        np.testing.assert_array_equal(load_volume(path).data, SCAN)
        return
    nib.save(nib.Nifti1Image(SCAN.astype(np.float64), TURN), path)
    content = bytearray(path.read_bytes())
    content[70:72] = code.to_bytes(2, "little")  # nifti1.h: datatype
    path.write_bytes(bytes(content) + bytes(10000))
    assert "one real number a voxel" in refusal(path)


def test_colours_are_named_as_what_they_are(tmp_path):
    colours = np.zeros(SCAN.shape, [("R", "u1"), ("G", "u1"), ("B", "u1")])
    nib.save(nib.Nifti1Image(colours, TURN), tmp_path / "scan.nii.gz")
    assert "holds R and G and B in each voxel, expected one real number" in refusal(tmp_path / "scan.nii.gz")


@pytest.mark.parametrize("kind", ["AnalyzeImage", "Spm99AnalyzeImage", "Spm2AnalyzeImage"])
@pytest.mark.parametrize("end", ["hdr", "img"])
def test_an_analyze_pair_says_nothing_of_left_and_right(tmp_path, kind, end):
    nib.save(getattr(nib, kind)(SCAN, TURN), tmp_path / "scan.img")
    assert "is of the format Analyze, expected NIfTI, which says how" in refusal(tmp_path / f"scan.{end}")


def test_freesurfers_format_is_named_though_its_content_is_a_scan(tmp_path):
    scan: Any = SCAN
    nib.save(nib.MGHImage(scan, TURN), tmp_path / "scan.mgz")
    assert "is of the format MGH, expected NIfTI" in refusal(tmp_path / "scan.mgz")


def test_pairs_and_the_second_version_are_the_same_scan(tmp_path):
    affine = TURN @ np.diag([1, 1, -1, 1])
    for name, kind in (("a.img", nib.Nifti1Pair), ("b.nii", nib.Nifti2Image)):
        nib.save(kind(SCAN, affine), tmp_path / name)
        volume = load_volume(tmp_path / name)
        np.testing.assert_allclose(volume.affine, affine, atol=1e-5)
        np.testing.assert_array_equal(volume.data, SCAN)


def test_a_pair_without_codes_is_refused(tmp_path):
    nib.save(nib.Nifti1Pair(SCAN, TURN), tmp_path / "scan.img")
    header = bytearray((tmp_path / "scan.hdr").read_bytes())
    header[252:256] = bytes(4)  # nifti1.h: qform_code, sform_code
    (tmp_path / "scan.hdr").write_bytes(header)
    assert "(sform and qform are unset)" in refusal(tmp_path / "scan.img")


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "scan.nii")
    assert "is a pipe or device" in refusal(tmp_path / "scan.nii")


@pytest.mark.parametrize(("written", "named"), [("a.nii", "b.nii.gz"), ("a.nii.gz", "b.nii")])
def test_a_file_that_is_not_what_its_name_says_is_refused(tmp_path, written, named):
    nib.save(nib.Nifti1Image(SCAN, TURN), tmp_path / written)
    (tmp_path / written).rename(tmp_path / named)
    assert "cannot be read as NIfTI" in refusal(tmp_path / named)


GRIDS = {"1 mm": ((256, 256, 180), 1), "thick slices": ((256, 256, 24), [0.9, 0.9, 5]), "coarse": ((64, 64, 40), 3)}


def about(centre: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """A linear map of the world that keeps a point where it is."""
    return from_matvec(matrix, centre - matrix @ centre)


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("base", [np.eye(4), SLOPED], ids=["straight", "sloped"])
def test_masks_that_are_turned_scaled_or_shifted_are_on_another_grid(grid: str, base: np.ndarray) -> None:
    shape, edges = GRIDS[grid]
    affine = base @ np.diag([*np.ones(3) * edges, 1])
    corner, middle = affine[:3, 3], (affine @ [*np.array(shape) / 2, 1])[:3]
    changes = [Rotation.from_euler(axis, 1, degrees=True).as_matrix() for axis in "xyz"]
    changes += [np.diag(np.roll([1.04, 1, 1], turn)) for turn in range(3)]
    others = [about(at, change) for at in (corner, middle) for change in changes]
    others += [base @ from_matvec(np.eye(3), np.ones(3) * edges / 2) @ np.linalg.inv(base)]  # corners for centres
    for other in others:
        with pytest.raises(InputError, match=r"mask lies elsewhere than its image: .* expected 0\.45 at most"):
            check_same_grid(shape, other @ affine, shape, affine, "mask")


@pytest.mark.parametrize("grid", GRIDS)
@pytest.mark.parametrize("base", [np.eye(4), SLOPED, np.diag([-1.0, -1, 1, 1])], ids=["straight", "sloped", "LPS"])
def test_what_a_header_rounds_is_on_the_same_grid(grid: str, base: np.ndarray) -> None:
    """Single precision in an sform, a quaternion in a qform, text with four decimals."""
    shape, edges = GRIDS[grid]
    header = nib.Nifti1Header()
    for tilt in (0, 1e-4, 1e-3, 0.2):
        turned = from_matvec(Rotation.from_rotvec([tilt, tilt / 2, -tilt]).as_matrix())
        affine = base @ turned @ np.diag([*np.ones(3) * edges, 1])
        affine[:3, 3] = [91.1234567, -125.7654321, -71.5555555]
        header.set_sform(affine)
        header.set_qform(affine)
        for written in (header.get_sform(), header.get_qform(), np.round(affine, 4)):
            check_same_grid(shape, np.asarray(written), shape, affine, "mask")

"""What a lab hands in by mistake, kind by kind: each is refused in one sentence that says what to do.

Weights that are no weights are in test_resnet.py.
"""

from __future__ import annotations

import gzip
import itertools
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from scipy import ndimage

from availability import unavailable
from stfpm3d.imaging.background import (
    check_lesion,
    check_skull_stripped,
    in_whole_numbers,
    load_scan,
    without_outliers,
    without_padding,
    zero_background,
)
from stfpm3d.imaging.headers import check_headers, read_header
from stfpm3d.imaging.registration import apply_transform, estimate_linear
from stfpm3d.imaging.standardize import standardize
from stfpm3d.imaging.volumes import Volume, load_mask, load_volume, resample_like, save_volume
from stfpm3d.runtime.errors import InputError
from stfpm3d.study.cohort import check_files, check_parts, check_statistics, check_teacher, read_participants

SCAN = np.random.default_rng(0).integers(1, 1000, (5, 6, 7)).astype(np.float32)
MM2 = np.diag([2.0, 2, 2, 1])


def nifti(path: Path, data: np.ndarray, affine: np.ndarray = MM2, **fields: Any) -> None:
    """Write a NIfTI file, with header fields as no library would write them."""
    image = nib.Nifti1Image(data, affine)
    nib.save(image, path)
    if fields:
        content = bytearray(gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes())
        header = np.frombuffer(content, image.header.template_dtype, count=1).copy()
        for name, value in fields.items():
            header[name] = value
        content[: header.nbytes] = header.tobytes()
        path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


def with_voxel(value: float) -> np.ndarray:
    data = SCAN.copy()
    data[2, 3, 4] = value
    return data


def truncated(path: Path) -> None:
    nifti(path, SCAN)
    path.write_bytes(path.read_bytes()[:300])


def corrupt(path: Path) -> None:
    nifti(path, SCAN)
    content = bytearray(path.read_bytes())
    content[200:260] = bytes(60)
    path.write_bytes(content)


def cut_short(path: Path) -> None:
    """Whole gzip, but voxels are missing."""
    nifti(path, SCAN)
    path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes())[:-100]))


SINGULAR = {"sform_code": 1, "srow_x": [2, 0, 0, 0], "srow_y": [2, 0, 0, 0], "srow_z": [0, 0, 2, 0]}
BAD_SCANS: dict[str, tuple[Callable[[Path], object], str]] = {
    "missing": (lambda path: None, "does not exist or cannot be reached; correct its path"),
    "a folder": (lambda path: path.mkdir(), "is a folder; give the path of a NIfTI file"),
    "empty": (lambda path: path.touch(), "cannot be read as NIfTI"),
    "text": (lambda path: path.write_text("not an image"), "cannot be read as NIfTI"),
    "truncated": (truncated, "cannot be read as NIfTI"),
    "corrupt gzip": (corrupt, "cannot be read as NIfTI"),
    "voxels missing": (cut_short, "cannot be read as NIfTI"),
    "no data type": (lambda path: nifti(path, SCAN, datatype=0), "cannot be read as NIfTI"),
    "4D": (lambda path: nifti(path, np.stack([SCAN, SCAN], -1)), "(5, 6, 7, 2); expected one 3D volume: extract it"),
    "2D": (lambda path: nifti(path, SCAN[:, :, 0]), "has shape (5, 6); expected one 3D volume"),
    "one slice": (lambda path: nifti(path, SCAN[:, :, :1]), "has shape (5, 6, 1); expected one 3D volume"),
    "NaN": (lambda path: nifti(path, with_voxel(np.nan)), "holds NaN or infinite voxels; replace them"),
    "Inf": (lambda path: nifti(path, with_voxel(np.inf)), "holds NaN or infinite voxels; replace them"),
    "all NaN": (lambda path: nifti(path, np.full_like(SCAN, np.nan)), "holds NaN or infinite voxels; replace them"),
    "constant": (lambda path: nifti(path, np.full_like(SCAN, 7)), "is constant (7 everywhere); expected a scan with"),
    "all zero": (lambda path: nifti(path, np.zeros_like(SCAN)), "is constant (0 everywhere); expected a scan with"),
    "slope overflows": (
        lambda path: nifti(path, SCAN.astype(np.int16), scl_slope=3e38, scl_inter=0),
        "holds NaN or infinite voxels",
    ),
    "zero spacing": (
        lambda path: nifti(path, SCAN, sform_code=0, qform_code=1, pixdim=[1, 0, 0, 0, 0, 0, 0, 0]),
        "pixdim[1,2,3] should be non-zero",  # nibabel would take it for 1 mm
    ),
    "no orientation": (lambda path: nifti(path, SCAN, sform_code=0, qform_code=0), "sform and qform are unset"),
    "singular affine": (lambda path: nifti(path, SCAN, **SINGULAR), "has no valid voxel-to-world matrix; repair"),
    "zero affine": (
        lambda path: nifti(path, SCAN, sform_code=1, srow_x=0, srow_y=0, srow_z=0),
        "has no valid voxel-to-world matrix; repair",
    ),
    "NaN affine": (
        lambda path: nifti(path, SCAN, **{"sform_code": 1, "srow_x": np.nan}),
        "has no valid voxel-to-world matrix; repair",
    ),
}


def one_sentence(error: pytest.ExceptionInfo[InputError]) -> str:
    """The message, which is one line and ends as a sentence does."""
    message = str(error.value)
    assert "\n" not in message and message.endswith("."), message
    return message


@pytest.mark.parametrize("kind", BAD_SCANS)
def test_a_scan_that_cannot_be_used_is_named_with_its_subject(tmp_path: Path, kind: str) -> None:
    make, sentence = BAD_SCANS[kind]
    path = tmp_path / "scan.nii.gz"
    make(path)
    with pytest.raises(InputError) as caught:
        load_volume(path, "sub-7")
    message = one_sentence(caught)
    assert message.startswith(f"sub-7: {path} ") and sentence in message, message


def test_a_scan_without_permission_to_read_it_is_named(tmp_path: Path) -> None:
    path = tmp_path / "scan.nii"
    nifti(path, SCAN)
    path.chmod(0)
    tmp_path.chmod(0o755)
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)  # root may read everything
    try:
        with pytest.raises(InputError) as caught:
            read_header(path, "sub-7")
    finally:
        if root:
            os.seteuid(0)
    assert one_sentence(caught).startswith(f"sub-7: {path}")


def test_all_headers_are_checked_at_once_and_every_bad_scan_has_its_sentence(tmp_path: Path) -> None:
    wide = np.zeros((40, 40, 40), np.float32)
    grids = {"good": MM2, "metres": np.diag([0.002, 0.002, 0.002, 1]), "singular": np.diag([2.0, 2, 2, 1])}
    rows = HEADER
    for name, affine in grids.items():
        nifti(tmp_path / f"{name}.nii.gz", wide, affine)
        rows += row(name, image=f"{name}.nii.gz")
    nifti(tmp_path / "singular.nii.gz", wide, **SINGULAR)
    for name, shape in (("mask", (40, 40, 40)), ("other", (40, 40, 41))):
        nifti(tmp_path / f"{name}.nii.gz", np.zeros(shape, np.uint8))
    moved = MM2.copy()
    moved[0, 3] = 9
    nifti(tmp_path / "moved.nii.gz", np.zeros(wide.shape, np.uint8), moved)
    for name in ("mask", "other", "moved"):
        nifti(tmp_path / f"scan-{name}.nii.gz", wide)
        rows += row(f"p-{name}", group="patient", image=f"scan-{name}.nii.gz", lesion_mask=f"{name}.nii.gz")
    participants = table(tmp_path, rows)
    check_files(participants)
    with pytest.raises(InputError) as caught:
        check_headers(participants)
    sentences = dict(line.split(": ", 1) for line in str(caught.value).splitlines())
    assert list(sentences) == ["metres", "singular", "p-other", "p-moved"]
    assert "measures 0.08 x 0.08 x 0.08 mm, expected 20 to 1000" in sentences["metres"]
    assert "has shape (40, 40, 41), its image (40, 40, 40), expected the same grid; give" in sentences["p-other"]
    assert "a corner of the volume is 4.5 voxels off, expected 0.45 at most; resample it" in sentences["p-moved"]


def test_a_scan_that_breaks_off_is_named_before_any_job_and_several_gzip_members_are_none(tmp_path: Path) -> None:
    noise = np.random.default_rng(3).integers(1, 1000, (40, 40, 40)).astype(np.int16)
    nifti(tmp_path / "whole.nii.gz", noise)
    nifti(tmp_path / "whole.nii", noise)
    content, plain = ((tmp_path / name).read_bytes() for name in ("whole.nii.gz", "whole.nii"))
    (tmp_path / "broken.nii.gz").write_bytes(content[: len(content) // 2])
    (tmp_path / "broken.nii").write_bytes(plain[:-1])
    blocks = [plain[start : start + 65280] for start in range(0, len(plain), 65280)]
    (tmp_path / "bgzip.nii.gz").write_bytes(b"".join(gzip.compress(block) for block in [*blocks, b""]))
    (tmp_path / "trailing.nii.gz").write_bytes(gzip.compress(plain + bytes(1000)) + bytes(512))
    names = ["whole.nii.gz", "whole.nii", "broken.nii.gz", "broken.nii", "bgzip.nii.gz", "trailing.nii.gz"]
    rows = (row(f"sub-{number}", image=name) for number, name in enumerate(names))
    with pytest.raises(InputError) as caught:
        check_headers(table(tmp_path, HEADER + "".join(rows)))
    sentences = str(caught.value).splitlines()
    assert [sentence.partition(":")[0] for sentence in sentences] == ["sub-2", "sub-3"]
    assert all("it ends before its last voxel" in sentence for sentence in sentences)
    for name in {*names} - {"broken.nii.gz", "broken.nii"}:
        assert np.array_equal(load_volume(tmp_path / name).data, noise)


@pytest.mark.parametrize("members", [1, 3])
def test_bytes_behind_a_gzip_are_counted_and_zeros_are_padding(tmp_path: Path, members: int) -> None:
    """An older, longer file shows behind a newer one that was written over it; gzip itself passes over both."""
    noise = np.random.default_rng(3).integers(1, 1000, (40, 40, 40)).astype(np.int16)
    nifti(tmp_path / "plain.nii", noise)
    plain = (tmp_path / "plain.nii").read_bytes()
    cuts = np.linspace(0, len(plain), members + 1).astype(int)
    whole = b"".join(gzip.compress(plain[start:end]) for start, end in itertools.pairwise(cuts))
    path, rows = tmp_path / "scan.nii.gz", HEADER + row("sub-7", image="scan.nii.gz")
    path.write_bytes(whole + bytes(700))
    check_headers(table(tmp_path, rows))
    assert np.array_equal(load_volume(path).data, noise)
    for behind in (b"\xff" * 37, bytes(5) + b"\xff" * 37, b"older " * 200):
        path.write_bytes(whole + behind)
        told = f"^sub-7: .*scan.nii.gz holds {len(behind.lstrip(bytes(1)))} bytes behind the end of its gzip data"
        for read in (lambda: check_headers(table(tmp_path, rows)), lambda: load_volume(path, "sub-7")):
            with pytest.raises(InputError, match=told) as caught:
                read()
            assert "write it anew" in one_sentence(caught)


def test_the_checksum_of_a_scan_in_capitals_counts(tmp_path: Path) -> None:
    path = tmp_path / "SCAN.NII.GZ"
    nifti(tmp_path / "scan.nii.gz", SCAN)
    content = bytearray((tmp_path / "scan.nii.gz").read_bytes())
    path.write_bytes(content)
    assert np.array_equal(load_volume(path).data, SCAN)
    content[-8] ^= 1  # RFC 1952: CRC32, ISIZE
    path.write_bytes(content)
    with pytest.raises(InputError, match="cannot be read as NIfTI"):
        load_volume(path)


LABELS = np.zeros(SCAN.shape, np.uint8)
LABELS[1:4, 1:4, 1:4] = [[[1], [2], [4]]]


def test_the_labels_of_brats_become_one_lesion(tmp_path: Path) -> None:
    nifti(tmp_path / "mask.nii.gz", LABELS)
    np.testing.assert_array_equal(load_mask(tmp_path / "mask.nii.gz").data, LABELS > 0)


def test_a_mask_of_probabilities_is_refused(tmp_path: Path) -> None:
    nifti(tmp_path / "mask.nii.gz", LABELS.astype(np.float32) / 7)
    with pytest.raises(InputError, match=r"sub-7: .*mask.nii.gz holds fractions; expected whole labels"):
        load_mask(tmp_path / "mask.nii.gz", "sub-7")


def ball(radius_mm: float, spacing_mm: float = 5.0, box: int = 48) -> Volume:
    """1 inside a ball in the middle of a cube of 240 mm, 0 outside."""
    distance_mm = np.linalg.norm(np.indices((box,) * 3) - (box - 1) / 2, axis=0) * spacing_mm
    return Volume((distance_mm < radius_mm).astype(np.float32), np.diag([spacing_mm] * 3 + [1.0]))


BRAIN, HEAD = ball(68), ball(110)
NOISE = np.random.default_rng(1).random(HEAD.shape, np.float32)
NOISY_HEAD = Volume(HEAD.data + 0.1 * NOISE, HEAD.affine)
SLAB = Volume(HEAD.data[:, :, 20:28], HEAD.affine)


@pytest.mark.parametrize(
    ("scan", "skull_stripped", "sentence"),
    [
        (HEAD, True, "is no skull-stripped brain: 5.* ml differ from the background, .* set skull_stripped to false"),
        (NOISY_HEAD, True, "is no skull-stripped brain"),
        (BRAIN, False, "is skull-stripped: only 1.* ml differ from the background, .* set skull_stripped to true"),
    ],
)
def test_a_scan_that_is_not_what_its_skull_stripped_column_says_is_refused(
    scan: Volume, skull_stripped: bool, sentence: str
) -> None:
    check_skull_stripped(scan, not skull_stripped, "sub-7", "scan.nii.gz")
    with pytest.raises(InputError, match=f"sub-7: scan.nii.gz {sentence}"):
        check_skull_stripped(scan, skull_stripped, "sub-7", "scan.nii.gz")


def test_a_slab_of_a_whole_head_is_taken_for_what_it_is() -> None:
    check_skull_stripped(SLAB, False, "sub-7", "scan.nii.gz")


@pytest.mark.parametrize("value", [1e30, -(2.0**31)])
def test_a_value_that_single_precision_cannot_hold_beside_the_others_is_refused(tmp_path: Path, value: float) -> None:
    data = NOISY_HEAD.data.copy()
    data[24, 24, 24] = value
    nifti(tmp_path / "scan.nii.gz", data)
    with pytest.raises(InputError, match=r"^sub-7: .*scan.nii.gz holds values .* apart, .*: clip the scan, or exclude"):
        load_scan(tmp_path / "scan.nii.gz", "sub-7")


INSIDE = BRAIN.data > 0
PLAIN = np.where(INSIDE, 0.1 + NOISE, 0).astype(np.float32)  # NOISE lies between 0 and 1


def z_scored(data: np.ndarray) -> np.ndarray:
    """A stripped scan as it is normalised for deep learning: its brain around 0, and 0 outside."""
    brain = data[INSIDE]
    return np.where(INSIDE, (data - brain.mean()) / brain.std(), 0).astype(np.float32)


def padded(data: np.ndarray, value: float) -> np.ndarray:
    """A scan whose lower part was cut away and filled up."""
    cut = data.copy()
    cut[:, :, :20] = value
    return cut


@pytest.mark.parametrize("background", [0, -1, -1024, 0.5, 2])
def test_a_background_of_any_value_is_made_0_and_noise_is_left(background: float) -> None:
    data = zero_background(Volume(np.where(INSIDE, 0.1 + NOISE, background).astype(np.float32), BRAIN.affine)).data
    np.testing.assert_array_equal(data != 0, INSIDE)
    assert np.corrcoef(data[INSIDE], NOISE[INSIDE])[0, 1] == pytest.approx(1)
    np.testing.assert_array_equal(zero_background(NOISY_HEAD).data, NOISY_HEAD.data)


@pytest.mark.parametrize("value", [-1000, -1])
def test_padding_that_stands_for_nothing_does_not_lift_the_scan(value: float) -> None:
    for data in (PLAIN, NOISY_HEAD.data):
        cleaned = zero_background(Volume(padded(data, value), BRAIN.affine)).data
        np.testing.assert_allclose(cleaned, padded(data, 0), atol=1e-6)


@pytest.mark.parametrize("factor", [5e-8, 1e-3, 1.0, 1e6, 1e20])
@pytest.mark.parametrize("shift", [0, -1.5, 1000])
@pytest.mark.parametrize("kind", ["stripped", "z-scored", "padded", "noise"])
def test_neither_a_shift_nor_a_positive_scale_changes_a_scan(kind: str, shift: float, factor: float) -> None:
    data = {"stripped": PLAIN, "z-scored": z_scored(PLAIN), "padded": padded(PLAIN, 0), "noise": NOISY_HEAD.data}[kind]
    given = ((data + np.float32(shift)) * np.float32(factor)).astype(np.float32)
    plain, changed = (zero_background(Volume(each, BRAIN.affine)).data for each in (data, given))
    np.testing.assert_allclose(changed / np.float32(factor), plain, atol=1e-3)  # 1000 and 1 leave 4 digits
    assert ((changed == 0) != (plain == 0)).mean() < 1e-3  # noise has few least values


@pytest.mark.parametrize(("factor", "shift"), [(5e-8, 0), (1e6, 0), (1, -1024), (0.013, 7)])
def test_a_scan_of_few_grey_values_is_estimated_from_the_same_numbers_in_any_unit(factor: float, shift: float) -> None:
    grey = np.where(INSIDE, np.rint(1 + 254 * NOISE), 0)
    plain, changed = (
        in_whole_numbers(zero_background(Volume(each.astype(np.float32), BRAIN.affine)))
        for each in (grey, (grey + shift) * factor)
    )
    np.testing.assert_array_equal(changed.data, plain.data)
    assert len(np.unique(plain.data)) == 256
    assert in_whole_numbers(NOISY_HEAD) is NOISY_HEAD


def test_a_z_scored_brain_keeps_its_outline_and_its_contrast() -> None:
    for data in (z_scored(PLAIN), np.clip(z_scored(PLAIN), -1, 1)):
        raised = zero_background(Volume(data, BRAIN.affine)).data
        np.testing.assert_array_equal(raised > 0, INSIDE)
        assert np.corrcoef(raised[INSIDE], data[INSIDE])[0, 1] == pytest.approx(1)


# A brain's grey values as smooth as tissue, so that those of one value are sheets which reach the rim; from 0 to 1.
SMOOTH = ndimage.gaussian_filter(NOISE, 1.5)
SMOOTH = (np.argsort(np.argsort(SMOOTH[INSIDE])) / INSIDE.sum()).astype(np.float32)
SCALES = {
    "[-1, 1] of 8 bits": np.rint(254 * SMOOTH) / 127 - 1,
    "[-0.5, 0.5] of 8 bits": np.rint(254 * SMOOTH) / 254 - 0.5,
    "-100 to 100": np.rint(200 * SMOOTH - 100),
    "-10 to 10": np.rint(20 * SMOOTH - 10),
    "z-scored and rounded": np.rint(50 * (SMOOTH - SMOOTH.mean()) / SMOOTH.std()) / 50,
    "z-scored": (SMOOTH - np.median(SMOOTH)) / SMOOTH.std(),
}


def stripped(grey: np.ndarray) -> np.ndarray:
    """A brain of these grey values with 0 outside."""
    data = np.zeros(INSIDE.shape, np.float32)
    data[INSIDE] = grey
    return data


@pytest.mark.parametrize("scale", SCALES)
def test_the_zeros_of_a_brain_that_has_values_around_0_are_brain(scale: str) -> None:
    """Those at the rim touch the outside, and nothing tells them from it."""
    data = stripped(SCALES[scale])
    raised = zero_background(Volume(data, BRAIN.affine)).data
    assert not raised[~INSIDE].any()
    assert raised[ndimage.binary_erosion(INSIDE, iterations=3)].all()
    kept = raised[INSIDE] > 0
    assert kept.mean() > 0.985
    assert np.corrcoef(raised[INSIDE][kept], data[INSIDE][kept])[0, 1] == pytest.approx(1)


def test_a_region_of_zeros_that_a_brain_encloses_is_brain_however_large() -> None:
    data = stripped(SCALES["z-scored"])
    data[20:28, 20:28, 20:28] = 0
    np.testing.assert_array_equal(zero_background(Volume(data, BRAIN.affine)).data > 0, INSIDE)


def test_gaps_between_gyri_stay_background_where_zero_is_no_grey_value() -> None:
    data = z_scored(PLAIN)
    data[24, 24:, :] = 0
    raised = zero_background(Volume(data, BRAIN.affine)).data
    np.testing.assert_array_equal(raised > 0, data != 0)


@pytest.mark.parametrize("scale", [lambda data: 2 * data / data.max() - 1, lambda data: np.rint(200 * data) - 100])
def test_a_whole_head_of_values_around_0_is_the_head_it_was_with_its_air(scale) -> None:
    data = np.where(HEAD.data > 0, 0.2 + 0.8 * NOISE, 0).astype(np.float32)
    data[18:29, 28:39, 18:29] = 0  # a sinus
    plain, scaled = (zero_background(Volume(each, HEAD.affine)).data for each in (data, scale(data).astype(np.float32)))
    np.testing.assert_array_equal(scaled > 0, plain > 0)
    assert np.corrcoef(scaled.ravel(), plain.ravel())[0, 1] > 0.999


def test_air_in_a_head_that_is_0_between_its_values_stays_air() -> None:
    head = HEAD.data > 0
    head[18:29, 28:39, 18:29] = False  # a sinus
    data = np.where(head, NOISE - 0.5, 0).astype(np.float32)
    np.testing.assert_array_equal(zero_background(Volume(data, HEAD.affine)).data > 0, head)


def test_a_few_extreme_voxels_have_no_say_in_what_is_estimated() -> None:
    hot = PLAIN.copy()
    hot[24, 24, 24] = 1e4
    assert without_outliers(Volume(hot, BRAIN.affine)).data.max() < 10
    np.testing.assert_array_equal(without_outliers(Volume(PLAIN, BRAIN.affine)).data, PLAIN)


@pytest.mark.parametrize("data", [HEAD.data * (1 + NOISE), NOISY_HEAD.data], ids=["air 0", "air noise"])
def test_what_fills_up_a_cut_head_is_taken_off_and_air_is_not(data: np.ndarray) -> None:
    measured = without_padding(Volume(padded(data, 0), HEAD.affine))
    np.testing.assert_array_equal(measured.data, data[:, :, 20:])
    np.testing.assert_array_equal(measured.affine @ [0, 0, 0, 1], HEAD.affine @ [0, 0, 20, 1])
    np.testing.assert_array_equal(without_padding(Volume(data, HEAD.affine)).data, data)


@pytest.mark.parametrize(
    ("lesion", "sentence"),
    [
        (np.zeros_like(BRAIN.data), "is empty; expected a lesion: write n/a"),
        (BRAIN.data, "marks 1.* ml, expected a lesion of at most 700; is it a brain mask"),
        (
            np.roll(ball(20).data, 20, axis=0),
            "100% of the lesion in .* lies on its scan's background; give this scan's",
        ),
    ],
    ids=["empty", "of the brain", "of another subject"],
)
def test_a_mask_that_cannot_be_the_lesion_is_refused(lesion: np.ndarray, sentence: str) -> None:
    check_lesion(Volume(ball(20).data > 0, BRAIN.affine), BRAIN, "sub-7", "mask.nii.gz")
    with pytest.raises(InputError, match=f"sub-7: .*{sentence}"):
        check_lesion(Volume(lesion > 0, BRAIN.affine), BRAIN, "sub-7", "mask.nii.gz")


def test_flipped_permuted_and_oblique_scans_are_registered_alike(tmp_path: Path) -> None:
    places = np.stack(np.meshgrid(*(np.linspace(-1, 1, 40),) * 3, indexing="ij"), axis=-1)
    centres = np.random.default_rng(4).uniform(-0.6, 0.6, (30, 3))
    blobs = 0.3 + np.exp(-np.square(places[..., None, :] - centres).sum(axis=-1) / 0.02).sum(axis=-1)
    blobs = np.where(np.square(places / [0.6, 0.75, 0.65]).sum(axis=-1) < 1, blobs, 0).astype(np.float32)
    template = Volume(blobs, np.diag([5.0, 5, 5, 1]))
    shift = np.eye(4)
    shift[:3, 3] = [6, -8, 4]
    scan = Volume(blobs, shift @ template.affine)
    turned = nib.Nifti1Image(scan.data, scan.affine).as_reoriented([[2, -1], [0, 1], [1, -1]])
    angle = np.deg2rad(25)
    tilt = np.array([[np.cos(angle), 0, np.sin(angle), -40], [0, 1, 0, 0], [-np.sin(angle), 0, np.cos(angle), 40]])
    oblique = Volume(np.zeros((52, 40, 52)), np.vstack([tilt, [0, 0, 0, 1]]) @ scan.affine)
    registered = []
    for number, given in enumerate(
        [scan, Volume(turned.get_fdata(dtype=np.float32), np.asarray(turned.affine)), resample_like(scan, oblique)]
    ):
        save_volume(tmp_path / f"{number}.nii.gz", given)
        loaded, files = load_volume(tmp_path / f"{number}.nii.gz"), [tmp_path / f"{number}.mat"]
        estimate_linear(loaded, template, files[0], kind="AffineFast", seed=0)
        registered.append(apply_transform(given, template, files).data.ravel())
    likeness = np.corrcoef([template.data.ravel(), *registered])
    assert likeness[0].min() > 0.9
    assert likeness[1, 2] > 0.999
    assert likeness[1, 3] > 0.95  # the oblique scan was interpolated once more


def test_a_scan_ruled_by_a_few_extreme_voxels_is_refused() -> None:
    mask = BRAIN.data > 0
    data = np.where(mask, 100 + 10 * NOISE, 0).astype(np.float32)
    landmarks = np.linspace(0, 100, 13, dtype=np.float64)
    standardize(data, mask, landmarks, "sub-7")
    data[24, 24, 24] = 1e7
    with pytest.raises(InputError, match=r"sub-7: a few extreme voxels .*; clip them, or exclude"):
        standardize(data, mask, landmarks, "sub-7")


HEADER = "participant_id\tgroup\tsite\timage\tlesion_mask\tskull_stripped\tsplit\tsession_id\texclude\n"


def row(participant_id: str, **cells: str) -> str:
    cells = {
        "participant_id": participant_id,
        "group": "healthy",
        "site": "A",
        "image": f"{participant_id}{cells.get('session_id', '')}.nii.gz",
        "lesion_mask": "n/a",
        "skull_stripped": "false",
        "split": "train",
        "session_id": "n/a",
        "exclude": "n/a",
    } | cells
    return "\t".join(cells[column] for column in HEADER.split()) + "\n"


def table(folder: Path, text: str):
    path = folder / "participants.tsv"
    path.write_text(text, encoding="utf-8", newline="")
    return read_participants(path)


ONE = HEADER + row("sub-1")
BAD_TABLES = {
    "no rows": (HEADER, "has no rows; add one for each scan"),
    "empty": ("", "lacks the column(s) participant_id, group, site, image, lesion_mask, skull_stripped; found nothing"),
    "commas for tabs": (ONE.replace("\t", ","), "lacks the column(s) participant_id"),
    "a column missing": (ONE.replace("skull_stripped", "stripped"), "lacks the column(s) skull_stripped; found"),
    "too many cells": (ONE + row("sub-2").replace("\n", "\tx\ty\n"), "line 3: 11 cells, expected 9 as in the header"),
    "a column twice": (ONE.replace("exclude", "Group"), "has the column group twice; remove or rename one"),
    "the name of another file": (HEADER + row("Mask"), "line 2: 'Mask' is the name of another file in results/; give"),
    "capitals alone": (
        ONE + row("Sub-1", image="b.nii"),
        "line 3: 'Sub-1' stands in participants table, line 2 already as 'sub-1', the same name to some file systems",
    ),
    "sessions that meet": (
        HEADER + row("a", session_id="b") + row("a_b"),
        "line 3: 'a_b' stands in participants table, line 2 already; every scan has one row",
    ),
    "a name that no disk takes": (HEADER + row("s" * 101), "may hold letters, digits, - and _ only, at most 100"),
    "bytes of 0": (ONE.replace("sub-1", "sub\0-1"), "cannot be read as tab-separated text (it holds bytes of 0)"),
    "semicolons for tabs": (ONE.replace("\t", ";"), "lacks the column(s) participant_id"),
    "duplicate id": (ONE + row("sub-1", image="b.nii"), "line 3: 'sub-1' stands in participants table, line 2 already"),
    "duplicate session": (
        HEADER + row("sub-1", session_id="ses-1") + row("sub-1", session_id="ses-1", image="b.nii"),
        "line 3: 'sub-1_ses-1' stands in participants table, line 2 already",
    ),
    "id with a space": (HEADER + row("sub 1"), "line 2: participant_id 'sub 1' may hold letters, digits, - and _ only"),
    "id with ..": (HEADER + row("../sub-1"), "participant_id '../sub-1' may hold letters"),
    "unicode id": (HEADER + row("sub-ä"), "participant_id 'sub-ä' may hold letters"),
    "no id": (HEADER + row(""), "participant_id '' may hold letters"),
    "session with a slash": (HEADER + row("sub-1", session_id="1/2"), "session_id '1/2' may hold letters"),
    "unknown group": (HEADER + row("sub-1", group="control"), "group is 'control', expected healthy or patient"),
    "skull_stripped no": (HEADER + row("sub-1", skull_stripped="no"), "skull_stripped is 'no', expected true or false"),
    "unknown part": (HEADER + row("sub-1", split="training"), "split is 'training', expected train or val or test"),
    "mask of a healthy scan": (
        HEADER + row("sub-1", lesion_mask="m.nii"),
        "a healthy scan has the lesion_mask 'm.nii', expected n/a",
    ),
    "no image": (HEADER + row("sub-1", image="n/a"), "line 2: image is 'n/a', expected the path of a scan"),
    "two rows, one file": (
        ONE + row("sub-2", image="./x/../sub-1.nii.gz"),
        "stands as image in participants table, line 2 already; every image and every mask is a file of its own",
    ),
    "its image as mask": (
        HEADER + row("sub-1", group="patient", lesion_mask="sub-1.nii.gz"),
        "line 2: lesion_mask '.*sub-1.nii.gz' stands as image in participants table, line 2 already",
    ),
    "one mask twice": (
        HEADER + "".join(row(name, group="patient", lesion_mask="m.nii") for name in ("sub-1", "sub-2")),
        "line 3: lesion_mask '.*m.nii' stands as lesion_mask in participants table, line 2 already",
    ),
    "exclude without a reason": (HEADER + row("sub-1", exclude="true"), "exclude is 'true', expected the reason"),
    "subject in two groups": (
        HEADER + row("sub-1", session_id="a") + row("sub-1", session_id="b", group="patient"),
        "line 3: 'sub-1' has the group 'patient', but 'healthy' in an earlier line",
    ),
    "subject in two parts": (
        HEADER + row("sub-1", session_id="a") + row("sub-1", session_id="b", split="test"),
        "line 3: 'sub-1' has the split 'test', but 'train' in an earlier line; all scans of a subject share it",
    ),
}


@pytest.mark.parametrize("kind", BAD_TABLES)
def test_a_mistake_in_the_table_is_named_with_its_line(tmp_path: Path, kind: str) -> None:
    text, sentence = BAD_TABLES[kind]
    with pytest.raises(InputError, match=sentence.replace("(", r"\(").replace(")", r"\)")) as caught:
        table(tmp_path, text)
    assert one_sentence(caught).startswith("participants table")


@pytest.mark.parametrize("kind", ["missing", "a folder", "Latin-1"])
def test_a_table_that_is_no_text_file_is_named(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "participants.tsv"
    if kind == "a folder":
        path.mkdir()
    elif kind == "Latin-1":
        path.write_bytes((HEADER + row("sub-1", site="Zürich")).encode("latin-1"))
    with pytest.raises(InputError, match=r"participants.tsv (is not a file|cannot be read)") as caught:
        read_participants(path)
    one_sentence(caught)


def test_byte_order_mark_windows_line_ends_and_absolute_paths_do_no_harm(tmp_path: Path) -> None:
    text = "\ufeff" + (HEADER + row("sub-1", image=f"{tmp_path}/elsewhere/scan.nii")).replace("\n", "\r\n")
    assert table(tmp_path, text)["image"].tolist() == [f"{tmp_path}/elsewhere/scan.nii"]


def test_more_rows_than_files_are_named_with_their_line(tmp_path: Path) -> None:
    participants = table(tmp_path, ONE + row("sub-2"))
    (tmp_path / "sub-1.nii.gz").touch()
    with pytest.raises(InputError, match=r"line 3: image .*sub-2.nii.gz is not a file .*: correct it, or exclude"):
        check_files(participants)


@pytest.mark.parametrize("image", [r"C:\scans\sub-1.nii.gz", "C:/scans/sub-1.nii.gz", r"scans\sub-1.nii.gz"])
def test_a_path_of_windows_is_recognised(tmp_path: Path, image: str) -> None:
    with pytest.raises(
        InputError, match=r"line 2: image .* \(a path of Windows: .* /mnt/c/data under WSL\); paths are"
    ):
        check_files(table(tmp_path, HEADER + row("sub-1", image=image)))
    with pytest.raises(InputError, match=r"not a file \(a path of Windows"):
        read_participants(r"C:\scans\participants.tsv")


def cohort(folder: Path, healthy: tuple[int, int, int], patients: tuple[int, int, int]):
    parts = [(group, part) for group in ("healthy", "patient") for part in ("train", "val", "test")]
    counts = dict(zip(parts, (*healthy, *patients), strict=True))
    rows = (row(f"{g}-{p}-{n}", group=g, split=p) for (g, p), count in counts.items() for n in range(count))
    return table(folder, HEADER + "".join(rows))


def test_parts_that_are_too_small_are_named_before_anything_runs(tmp_path: Path) -> None:
    alone = cohort(tmp_path, (1, 1, 1), (0, 0, 0))
    check_parts(alone)
    with pytest.raises(InputError, match="drawn from 1 subject\\(s\\) of the train part, expected at least 2"):
        check_teacher(alone, "patches", "equal", 0)
    with pytest.raises(InputError, match="stand on 1 healthy scan\\(s\\) of the train part, expected at least 2"):
        check_statistics(alone, "zscore")
    with pytest.raises(InputError, match="drawn from 1 subject\\(s\\) of the val part"):
        check_teacher(cohort(tmp_path, (2, 1, 1), (1, 0, 0)), "patches", "equal", 0)
    with pytest.raises(InputError, match="no healthy scan in the train part"):
        check_parts(cohort(tmp_path, (0, 0, 0), (3, 3, 3)))
    check_teacher(cohort(tmp_path, (2, 1, 1), (1, 1, 1)), "patches", "equal", 0)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 64 kB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", disk], capture_output=True, text=True)
    if mounted.returncode != 0:
        unavailable(f"a tmpfs cannot be mounted: {mounted.stderr.strip()}")
    yield disk
    subprocess.run(["umount", "--lazy", disk], check=True)  # the error that was caught still holds its file open


def test_a_full_disk_is_named_and_nothing_half_written_stays(small_disk: Path) -> None:
    noise = Volume(np.random.default_rng(2).random((40, 40, 40)).astype(np.float32), MM2)
    for name in ("scan.nii.gz", "scan.nii"):
        with pytest.raises(InputError) as caught:
            save_volume(small_disk / name, noise)
        assert f"{name} cannot be written: its disk is full; free some space" in one_sentence(caught)
    assert list(small_disk.iterdir()) == []

"""Volumes keep their place in the world, and what cannot be a scan is refused in one sentence."""

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk

from stfpm3d.imaging.volumes import Volume, check_same_grid, from_sitk, load_volume, resample_like, save_volume, to_sitk
from stfpm3d.study.errors import InputError

OBLIQUE = np.array([[0, -2, 0.3, 30], [1.9, 0, 0, -20], [0, 0.2, -3, 10], [0, 0, 0, 1.0]])


def volume(affine=OBLIQUE, shape=(5, 6, 7)):
    return Volume(np.random.default_rng(0).random(shape).astype(np.float32), affine)


def test_a_saved_volume_is_read_back(tmp_path):
    save_volume(tmp_path / "scan.nii.gz", volume())
    loaded = load_volume(tmp_path / "scan.nii.gz")
    np.testing.assert_array_equal(loaded.data, volume().data)
    np.testing.assert_allclose(loaded.affine, OBLIQUE, atol=1e-5)
    assert [path.name for path in tmp_path.iterdir()] == ["scan.nii.gz"]


def test_simpleitk_sees_a_voxel_where_nibabel_does(tmp_path):
    save_volume(tmp_path / "scan.nii.gz", volume())
    affine = np.asarray(nib.Nifti1Image.from_filename(tmp_path / "scan.nii.gz").affine)
    point = to_sitk(volume()).TransformIndexToPhysicalPoint((1, 2, 3))
    np.testing.assert_allclose(np.array([-1, -1, 1]) * point, (affine @ [1, 2, 3, 1])[:3], atol=1e-4)
    np.testing.assert_allclose(from_sitk(to_sitk(volume())).affine, OBLIQUE, atol=1e-9)


def test_resampling_follows_the_transform_from_the_references_space():
    scan = volume(np.eye(4), (8, 8, 8))
    shift = sitk.TranslationTransform(3, (-1.0, 0, 0))  # LPS: the reference's voxel 2 is the scan's voxel 3
    moved = resample_like(scan, scan, transform=shift)
    np.testing.assert_allclose(moved.data[2], scan.data[3], atol=1e-6)


def test_a_mask_stays_a_mask():
    mask = Volume(volume().data > 0.5, OBLIQUE)
    again = resample_like(mask, mask, nearest=True)
    assert again.data.dtype == bool
    np.testing.assert_array_equal(again.data, mask.data)


def bad_files(folder):
    data = np.random.default_rng(0).random((4, 5, 6)).astype(np.float32)
    whole = folder / "whole.nii.gz"
    nib.save(nib.Nifti1Image(data, np.eye(4)), whole)
    (folder / "truncated.nii.gz").write_bytes(whole.read_bytes()[:200])
    (folder / "text.nii.gz").write_text("not an image")
    (folder / "empty.nii.gz").touch()
    (folder / "folder.nii.gz").mkdir()
    nan = data.copy()
    nan[0, 0, 0] = np.nan
    series = np.stack([data, data], axis=-1)
    for name, array in (("nan", nan), ("series", series), ("constant", np.zeros((4, 5, 6), np.float32))):
        nib.save(nib.Nifti1Image(array, np.eye(4)), folder / f"{name}.nii.gz")


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("missing", "does not exist"),
        ("folder", "is not a file"),
        ("truncated", "cannot be read"),
        ("text", "cannot be read"),
        ("empty", "cannot be read"),
        ("nan", "NaN"),
        ("series", r"shape \(4, 5, 6, 2\); expected one 3D volume"),
        ("constant", "constant"),
    ],
)
def test_a_bad_file_is_named_with_its_subject(tmp_path, name, sentence):
    bad_files(tmp_path)
    with pytest.raises(InputError, match=rf"sub-7: .*{name}\.nii\.gz .*{sentence}"):
        load_volume(tmp_path / f"{name}.nii.gz", "sub-7")


def test_a_mask_on_another_grid_is_refused():
    scan = volume()
    with pytest.raises(InputError, match="differ in their affines"):
        check_same_grid(Volume(scan.data, np.diag([2, 2, 3, 1.0])), scan, "sub-7", "mask.nii.gz")
    with pytest.raises(InputError, match="has shape"):
        check_same_grid(Volume(scan.data[1:], scan.affine), scan, "sub-7", "mask.nii.gz")

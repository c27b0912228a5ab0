"""Volumes keep their place in the world."""

import nibabel as nib
import numpy as np
import SimpleITK as sitk

from stfpm3d.imaging.volumes import Volume, from_sitk, load_volume, resample_like, save_volume, to_sitk

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

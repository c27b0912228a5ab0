"""What was found in MNI space comes back to where it lies in the scan, whatever the scan's grid."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk

from stfpm3d.imaging.native import to_native
from stfpm3d.imaging.registration import apply_transform
from stfpm3d.imaging.volumes import Volume

TO_MNI = np.diag([2.0, 2, 2, 1])
TO_MNI[:3, 3] = [-96, -132, -78]
MNI = Volume(np.zeros((97, 115, 97), dtype=bool), TO_MNI)
CENTRE_MM = np.array([20.0, -10, 15])


def rotation(degrees: float, axis: int) -> np.ndarray:
    angle = np.deg2rad(degrees)
    matrix = np.eye(3)
    first, second = [other for other in range(3) if other != axis]
    matrix[[first, first, second, second], [first, second, first, second]] = (
        np.cos(angle), -np.sin(angle), np.sin(angle), np.cos(angle),
    )  # fmt: skip
    return matrix


def grid(shape: tuple[int, int, int], axes: np.ndarray, centre_mm: np.ndarray = CENTRE_MM) -> Volume:
    """An empty scan of `shape` whose affine's columns are `axes` (mm), centred near the lesion."""
    affine = np.eye(4)
    affine[:3, :3] = axes
    affine[:3, 3] = centre_mm - axes @ (np.array(shape) - 1) / 2
    return Volume(np.zeros(shape, dtype=bool), affine)


NATIVE = {
    "1 mm": grid((90, 90, 90), np.eye(3)),
    "oblique": grid((90, 90, 90), rotation(25, 0) @ rotation(-15, 2)),
    "flipped, axes permuted": grid((90, 90, 90), np.array([[0.0, -1, 0], [0, 0, 1], [1, 0, 0]])),
    "anisotropic": grid((100, 100, 40), np.diag([0.9, 0.9, 3.0])),
    "cut through the lesion's neighbourhood": grid((60, 60, 60), np.diag([-1.0, 1, 1])),
}


@pytest.fixture
def transform(tmp_path):
    """An affine such as registration finds: from MNI points to native ones, LPS mm."""
    affine = sitk.AffineTransform(3)
    affine.SetMatrix((rotation(8, 1) @ np.diag([1.08, 0.95, 1.04])).ravel().tolist())
    affine.SetTranslation([4.0, -7.0, 3.0])
    path = tmp_path / "to_mni.mat"
    sitk.WriteTransform(affine, str(path))
    return [path]


def ball(reference: Volume, centre_mm: np.ndarray, volume_ml: float) -> Volume:
    radius_mm = (3000 * volume_ml / (4 * np.pi)) ** (1 / 3)
    voxels = np.indices(reference.shape).reshape(3, -1).T
    world = voxels @ reference.affine[:3, :3].T + reference.affine[:3, 3]
    inside = np.linalg.norm(world - centre_mm, axis=1) <= radius_mm
    return Volume(inside.reshape(reference.shape), reference.affine)


MNI_1MM = grid((50, 50, 50), np.eye(3))


@pytest.mark.parametrize("native", ["1 mm", "oblique", "flipped, axes permuted"])
@pytest.mark.parametrize("volume_ml", [1.0, 8.0])
def test_a_lesion_keeps_its_shape_from_mni_to_the_scan_and_back(native, volume_ml, transform):
    lesion = ball(MNI_1MM, CENTRE_MM, volume_ml)
    there = to_native(lesion, NATIVE[native], transform)
    back = apply_transform(there, MNI_1MM, transform)
    dice = 2 * (back.data & lesion.data).sum() / (back.data.sum() + lesion.data.sum())
    assert dice >= 0.9


@pytest.mark.parametrize("name", NATIVE)
def test_a_map_lies_on_the_scans_own_grid_and_its_peak_at_the_same_anatomy(name, transform):
    native = NATIVE[name]
    index = np.indices(MNI.shape).transpose(1, 2, 3, 0) @ MNI.affine[:3, :3].T + MNI.affine[:3, 3]
    anomaly = Volume(np.exp(-((index - CENTRE_MM) ** 2).sum(axis=-1) / 200).astype(np.float32), MNI.affine)
    found = to_native(anomaly, native, transform, fill=-1)
    assert found.shape == native.shape
    assert np.array_equal(found.affine, native.affine)
    peak = np.append(np.unravel_index(found.data.argmax(), found.shape), 1)
    x, y, z = CENTRE_MM * [-1, -1, 1]
    expected = np.array(sitk.ReadTransform(str(transform[0])).TransformPoint([x, y, z])) * [-1, -1, 1]
    half_voxels_mm = (np.linalg.norm(native.spacing_mm) + 2) / 2  # of the scan and, along one axis, of the map
    assert np.linalg.norm((native.affine @ peak)[:3] - expected) <= half_voxels_mm


def test_beyond_the_map_stands_the_fill(transform):
    small = Volume(np.ones((10, 10, 10), dtype=np.float32), np.diag([2.0, 2, 2, 1]))
    assert to_native(small, NATIVE["1 mm"], transform, fill=-3).data.min() == -3

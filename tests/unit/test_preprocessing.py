"""Preprocessing agrees with independent implementations and with values worked out by hand."""

import json
import os
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
import torch
from scipy import ndimage
from torchio import ScalarImage, Subject
from torchio.transforms import HistogramStandardization

from stfpm3d.imaging import refusals, registration
from stfpm3d.imaging.background import load_scan, zero_background
from stfpm3d.imaging.bias import correct_bias
from stfpm3d.imaging.coarse import estimate_affine
from stfpm3d.imaging.grid import (
    brain_cut_share,
    mask_on_network_grid,
    network_grid,
    read_grid,
    to_network_grid,
    write_grid,
)
from stfpm3d.imaging.landmarks import fit_landmarks
from stfpm3d.imaging.placement import Target, measure_placement, misplaced
from stfpm3d.imaging.registration import apply_transform, estimate_linear, estimate_warp, read_transform, register
from stfpm3d.imaging.skullstrip import brain_support
from stfpm3d.imaging.standardize import apply_landmarks, standardize
from stfpm3d.imaging.template import brain_mask, build_template, fetch_head_template
from stfpm3d.imaging.volumes import Volume, load_volume, resample_like, save_volume, to_sitk
from stfpm3d.runtime.errors import InputError

SCRIPTS = Path(__file__).resolve().parents[2] / "workflow" / "scripts"


def box_mask(shape, low, high, spacing_mm=2.0):
    data = np.zeros(shape, dtype=bool)
    data[tuple(slice(a, b) for a, b in zip(low, high, strict=True))] = True
    return Volume(data, np.diag([spacing_mm] * 3 + [1.0]))


@pytest.fixture
def training(tmp_path):
    rng = np.random.default_rng(1)
    mask = box_mask((12, 12, 12), (2, 2, 2), (10, 11, 10))
    images, masks = [], []
    for number in range(4):
        data = rng.gamma(2 + number, 50 * (number + 1), mask.shape).astype(np.float32)
        for kind, paths, array in (("image", images, data), ("mask", masks, mask.data)):
            paths.append(tmp_path / f"{kind}{number}.nii.gz")
            save_volume(paths[-1], Volume(array, mask.affine), array.dtype if kind == "image" else np.uint8)
    return images, masks, mask


def test_landmarks_are_applied_as_torchio_applies_them(training):
    images, masks, mask = training
    landmarks = fit_landmarks(images, masks)
    data = np.round(np.random.default_rng(2).gamma(3, 20, mask.shape)).astype(np.float32)  # quantised: percentiles tie
    transform = HistogramStandardization(
        {"scan": landmarks}, masking_method=lambda _: torch.from_numpy(mask.data)[None]
    )
    expected = transform(Subject(scan=ScalarImage(tensor=torch.from_numpy(data)[None]))).scan.data[0].numpy()
    np.testing.assert_allclose(apply_landmarks(data, mask.data, landmarks), expected, atol=1e-4)


def test_the_standard_scale_runs_from_0_to_100_inside_the_brain_only(training):
    images, masks, mask = training
    landmarks = fit_landmarks(images, masks)
    np.testing.assert_allclose(landmarks[[0, -1]], [0, 100], atol=1e-9)
    for path in images:  # whatever lies outside the brain has no say
        scan = nib.Nifti1Image.from_filename(path)
        data = np.where(mask.data, scan.get_fdata(), 1e6).astype(np.float32)
        save_volume(path, Volume(data, mask.affine))
    np.testing.assert_allclose(fit_landmarks(images, masks), landmarks)


def test_a_standardized_brain_has_mean_0_and_sd_1_and_one_background(training):
    images, masks, mask = training
    data = np.random.default_rng(3).gamma(3, 20, mask.shape).astype(np.float32)
    z = standardize(data, mask.data, fit_landmarks(images, masks))
    assert abs(z[mask.data].mean()) < 1e-5
    assert abs(z[mask.data].std() - 1) < 1e-5
    assert len(np.unique(z[~mask.data])) == 1


def test_the_support_is_the_templates_brain_within_the_scans_own():
    brain = box_mask((20, 20, 20), (4, 4, 4), (16, 16, 16))
    scan = np.zeros(brain.shape, np.float32)
    scan[3:17, 3:17, 3:12] = 5  # the field of view ends below the brain's top
    scan[8, 8, 8] = 0  # a dark voxel inside is no hole
    support = brain_support(Volume(scan, brain.affine), brain)
    expected = brain.data.copy()
    expected[:, :, 12:] = False
    np.testing.assert_array_equal(support.data, expected)
    with pytest.raises(InputError, match="covers 0% of the template's brain"):
        brain_support(Volume(np.zeros_like(scan), brain.affine), brain, "sub-7")


def test_the_crop_lies_where_the_config_says(tmp_path):
    mask = box_mask((97, 115, 97), (10, 10, 10), (80, 96, 85))
    grid = network_grid(mask, 156, 80)
    corner = grid.affine @ [-0.5, -0.5, -0.5, 1]
    np.testing.assert_allclose(corner[:3], np.array([96, 114, 96]) - 78)  # box centre minus half of 156 mm
    assert grid.affine[0, 0] == pytest.approx(156 / 80)
    kept = 1.0  # by hand: the cube spans 18-174, 36-192 and 18-174 mm, the brain's voxels lie every 2 mm
    for low, high, start, stop in ((18, 174, 10, 80), (36, 192, 10, 96), (18, 174, 10, 85)):
        centres_mm = np.arange(start, stop) * 2
        kept *= ((centres_mm >= low) & (centres_mm <= high)).mean()
    assert brain_cut_share(mask, grid) == pytest.approx(1 - kept)
    write_grid(tmp_path / "grid.json", grid, 0.1)
    np.testing.assert_array_equal(read_grid(tmp_path / "grid.json").affine, grid.affine)


def test_the_brains_box_is_the_part_of_its_cube_that_holds_brain(tmp_path):
    mask = box_mask((97, 115, 97), (10, 10, 10), (75, 96, 80))  # 130 x 172 x 140 mm
    box, cube = network_grid(mask, "brain", 80), network_grid(mask, "brain", 80, cube=True)
    assert box.affine[0, 0] == cube.affine[0, 0] == pytest.approx(172 / 80)
    assert (box.shape, cube.shape) == ((64, 80, 80), (80, 80, 80))  # the brain: 60.5, 80 and 65.1 voxels
    assert brain_cut_share(mask, box) == brain_cut_share(mask, cube) == 0
    scan = Volume(np.random.default_rng(0).normal(size=mask.shape).astype(np.float32), mask.affine)
    np.testing.assert_array_equal(to_network_grid(scan, box), to_network_grid(scan, cube)[8:-8])
    write_grid(tmp_path / "grid.json", box, 0)
    assert read_grid(tmp_path / "grid.json").shape == box.shape


def test_the_network_sees_the_scan_at_the_right_place():
    mask = box_mask((40, 44, 40), (10, 10, 10), (30, 34, 30))
    x, y, _ = np.meshgrid(*(np.arange(n, dtype=np.float32) * 2 for n in mask.shape), indexing="ij")
    grid = network_grid(mask, 48, 16)
    array = to_network_grid(Volume(x + 100 * y, mask.affine), grid)
    position = grid.affine @ [3, 5, 7, 1]
    assert array.dtype == np.float16
    assert float(array[3, 5, 7]) == pytest.approx(position[0] + 100 * position[1], rel=1e-3)
    # 3 mm voxels whose centres, -3 mm to 6 mm beyond the brain's 20-58 mm box, lie inside it
    centres_mm = [grid.affine[axis, 3] + 3 * np.arange(16) for axis in range(3)]
    counts = [
        ((c >= low - 1) & (c < high - 1)).sum()
        for c, low, high in zip(centres_mm, (20, 20, 20), (60, 68, 60), strict=True)
    ]
    assert mask_on_network_grid(mask, grid).sum() == np.prod(counts)


@pytest.mark.parametrize("size", [64, 80, 112])  # 2.4, 2.0 and 1.4 mm
def test_a_grid_coarser_than_the_scan_shows_no_pattern_that_is_not_there(size):
    board = Volume(np.indices((193, 229, 193)).sum(axis=0).astype(np.float32) % 2, np.eye(4))
    grid = network_grid(Volume(board.data > -1, board.affine), 156, size)
    # Every second voxel of 1 mm is 0: the mean anywhere is one half.
    np.testing.assert_allclose(to_network_grid(board, grid), 0.5, atol=0.05)


def test_a_coarse_voxel_is_the_mean_of_the_voxels_in_it():
    rng = np.random.default_rng(0)
    scan = Volume(np.full((20, 20, 20), -3, dtype=np.float32), np.eye(4))  # background below
    scan.data[5:] = rng.normal(size=(15, 20, 20))
    coarse = to_network_grid(scan, network_grid(Volume(scan.data > -9, scan.affine), 20, 10))
    means = scan.data.reshape(10, 2, 10, 2, 10, 2).mean(axis=(1, 3, 5))
    np.testing.assert_allclose(coarse, means, atol=2e-3)  # float16
    assert (coarse[:2] == -3).all()


@pytest.mark.parametrize("size", [20, 28])
def test_a_grid_as_fine_as_the_scan_or_finer_is_interpolated_linearly(size):
    scan = Volume(np.random.default_rng(0).normal(size=(20, 20, 20)).astype(np.float32), np.eye(4))
    grid = network_grid(Volume(scan.data > -9, scan.affine), 20, size)
    linear = resample_like(scan, grid.reference, fill=float(scan.data[0, 0, 0])).data
    np.testing.assert_array_equal(to_network_grid(scan, grid), linear.astype(np.float16))


@pytest.fixture(scope="module")
def blobs() -> Volume:
    """Eight blobs in a cube of 192 mm."""
    rng = np.random.default_rng(4)
    places = np.stack(np.meshgrid(*(np.linspace(-1, 1, 48),) * 3, indexing="ij"), axis=-1)
    centres = rng.uniform(-0.5, 0.5, (8, 3))
    values = np.exp(-np.square(places[..., None, :] - centres).sum(axis=-1) / 0.05).sum(axis=-1)
    return Volume(values.astype(np.float32), np.diag([4, 4, 4, 1.0]))


TURN = np.array([[np.cos(0.1), -np.sin(0.1), 0, 6], [np.sin(0.1), np.cos(0.1), 0, -8], [0, 0, 1, 4], [0, 0, 0, 1]])


def correlation(first: Volume, second: Volume) -> float:
    return np.corrcoef(first.data.ravel(), second.data.ravel())[0, 1]


def with_ants(moving, target, path):
    estimate_linear(moving, target.image, path, kind="AffineFast", seed=0)


def on_coarse_copies(moving, target, path):
    sitk.WriteTransform(estimate_affine(moving, target, seed=0), str(path))


@pytest.mark.parametrize("estimate", [with_ants, on_coarse_copies])
def test_registration_undoes_a_known_affine_and_repeats_itself_to_the_bit(blobs, tmp_path, estimate):
    moving = Volume(blobs.data, TURN @ blobs.affine)
    first, second = tmp_path / "first.mat", tmp_path / "second.mat"
    for path in (first, second):
        estimate(moving, Target(blobs, Volume(blobs.data > 0.1, blobs.affine), skull_stripped=True), path)
    assert first.read_bytes() == second.read_bytes()
    assert correlation(apply_transform(moving, blobs, [first]), blobs) > 0.98


def test_a_rigid_transform_keeps_lengths_and_an_affine_one_need_not(blobs, tmp_path):
    moving = Volume(blobs.data, TURN @ np.diag([1.2, 1, 1, 1]) @ blobs.affine)
    lengths = {}
    for kind in ("Rigid", "Affine"):
        path = tmp_path / f"{kind}.mat"
        estimate_linear(moving, blobs, path, kind=kind, seed=0)
        origin, *axes = (read_transform([path]).TransformPoint(p) for p in np.eye(4, 3, -1))
        lengths[kind] = np.linalg.svd(np.subtract(axes, origin), compute_uv=False)
    np.testing.assert_allclose(lengths["Rigid"], 1, atol=1e-6)
    np.testing.assert_allclose(lengths["Affine"], [1.2, 1, 1], atol=0.03)


def test_syn_undoes_a_warp_that_no_affine_can_and_leaves_the_way_back(blobs, tmp_path):
    bend_mm = 10 * np.sin(np.arange(48) / 47 * 4 * np.pi)
    field = np.zeros((48, 48, 48, 3))  # (z, y, x, component); x is bent along y
    field[..., 0] = bend_mm[None, :, None]
    warp = sitk.GetImageFromArray(field, isVector=True)
    warp.CopyInformation(to_sitk(blobs))
    moving = resample_like(blobs, blobs, transform=sitk.DisplacementFieldTransform(warp))
    affine, *syn = tmp_path / "affine.mat", *(tmp_path / n for n in ("syn.mat", "to.nii.gz", "from.nii.gz"))
    estimate_linear(moving, blobs, affine, kind="AffineFast", seed=0)
    estimate_warp(moving, blobs, affine, syn, seed=0)
    assert correlation(apply_transform(moving, blobs, [affine]), blobs) < 0.97
    assert correlation(apply_transform(moving, blobs, syn), blobs) > 0.99

    there = read_transform(syn)
    back_warp = sitk.DisplacementFieldTransform(sitk.ReadImage(str(syn[2]), sitk.sitkVectorFloat64))
    back = sitk.CompositeTransform([back_warp, sitk.ReadTransform(str(syn[0])).GetInverse()])
    point = (-90.0, -100.0, 80.0)  # LPS mm, inside the cube
    assert np.linalg.norm(np.subtract(there.TransformPoint(point), point)) > 1
    np.testing.assert_allclose(back.TransformPoint(there.TransformPoint(point)), point, atol=0.5)


REGISTER = """
import runpy, sys
from types import SimpleNamespace
snakemake = SimpleNamespace(
    input={"image": "scan.nii.gz", "scan": "scan.nii.gz", "template": "head.nii.gz", "brain_mask": "mask.nii.gz"},
    output={"image": "registered.nii.gz", "transform": ["to_mni.mat"], "placement": "placement.json"},
    params={"transform": "none", "seed": 0, "skull_stripped": False}, wildcards={"sub": "sub-1"}, log=["rule.log"],
)
runpy.run_path(sys.argv[1], {"snakemake": snakemake})
assert "ants" not in sys.modules
"""


def test_a_scan_in_the_templates_space_is_resampled_to_its_grid_and_no_more(tmp_path):
    texture = ndimage.gaussian_filter(np.random.default_rng(7).normal(size=(40, 40, 40)), 2)
    scan = Volume((texture - texture.min()).astype(np.float32), np.diag([6.0, 6, 6, 1]))
    mask = box_mask((50, 50, 50), (15, 15, 15), (45, 45, 45), spacing_mm=4.0)
    head = resample_like(scan, mask)
    for name, volume in (("scan", scan), ("head", head), ("mask", mask)):
        save_volume(tmp_path / f"{name}.nii.gz", volume)

    environment = os.environ | {"PYTHONPATH": str(SCRIPTS)}
    command = [sys.executable, "-c", REGISTER, SCRIPTS / "register.py"]
    subprocess.run(command, cwd=tmp_path, env=environment, check=True)
    registered = load_volume(tmp_path / "registered.nii.gz")
    linear = ndimage.map_coordinates(scan.data, np.indices(mask.shape) * 4 / 6, order=1)
    np.testing.assert_allclose(registered.data, linear, rtol=1e-5, atol=1e-5)
    lesion = apply_transform(mask, mask, [tmp_path / "to_mni.mat"])
    np.testing.assert_array_equal(lesion.data, mask.data)
    figures = json.loads((tmp_path / "placement.json").read_text())
    assert (figures["rotation_deg"], figures["volume_ratio"], figures["starts"]) == (0, 1, 1)


@pytest.fixture(scope="module")
def target() -> Target:
    """A textured ball of 160 mm, a brain without skull."""
    radius_mm = np.linalg.norm(np.indices((48,) * 3) - 23.5, axis=0) * 4
    texture = ndimage.gaussian_filter(np.random.default_rng(6).normal(0, 1, (48,) * 3), 2)
    brain = np.where(radius_mm < 80, 1 + texture / np.abs(texture).max(), 0).astype(np.float32)
    affine = np.diag([4, 4, 4, 1.0])
    return Target(Volume(brain, affine), Volume(brain > 0, affine), skull_stripped=True)


def about_the_middle(matrix: np.ndarray) -> sitk.AffineTransform:
    """A linear map of LPS mm that leaves the middle of `target` where it is."""
    return sitk.AffineTransform(np.ravel(matrix).tolist(), (0.0, 0.0, 0.0), (-94.0, -94.0, 94.0))


def test_the_figures_of_a_transform_are_worked_out_by_hand(target):
    turn = np.array([[0.8, -0.6, 0], [0.6, 0.8, 0], [0, 0, 1]])  # by 36.87 degrees
    found = measure_placement(target.image, about_the_middle(turn @ np.diag([1.2, 1.0, 0.9])), target)
    np.testing.assert_allclose(found[:4], [1.2 * 0.9, 0.9, 1.2, 36.87], rtol=1e-4)
    there = measure_placement(target.image, sitk.AffineTransform(3), target)
    assert (there.centre_mm < 1, there.overlap, there.similarity > 0.99) == (True, 1, True)


@pytest.mark.parametrize(
    ("matrix", "shift_mm", "figure"),
    [
        (np.diag([-1.0, 1, 1]), 0, "volume_ratio -1,"),
        (np.diag([0.5] * 3), 0, "volume_ratio 0.125,"),
        (np.diag([0.55, 1, 1]), 0, "shortest_axis 0.55,"),
        (np.diag([1, 1, 1.6]), 0, "longest_axis 1.6,"),
        (np.array([[0, -1, 0], [1, 0, 0], [0, 0, 1]]), 0, "rotation_deg 90,"),
        (np.eye(3), 1e8, "centre_mm inf,"),
    ],
)
def test_a_transform_that_no_head_has_is_refused_by_its_figure(target, matrix, shift_mm, figure):
    transform = about_the_middle(matrix)
    transform.SetTranslation((0.0, float(shift_mm), 0.0))
    clause = misplaced(measure_placement(target.image, transform, target))
    assert clause is not None and clause.startswith(figure), clause
    assert misplaced(measure_placement(target.image, sitk.AffineTransform(3), target)) is None


def astray(moving, fixed, output, **settings):
    sitk.WriteTransform(about_the_middle(np.diag([3.0] * 3)), str(output))


def test_a_scan_that_no_start_brings_to_the_template_is_named_with_its_file(target, tmp_path, monkeypatch):
    for module in (registration, refusals):
        monkeypatch.setattr(module, "estimate_affine", lambda *given: about_the_middle(np.diag([3.0] * 3)))
    other = Volume(target.image.data[::-1, ::-1], np.diag([4, 4, 4, 1.0]))
    with pytest.raises(InputError, match=r"^sub-7: t2.nii does not lie in the template's space: margin -0\.\d"):
        register(other, target, [tmp_path / "none.mat"], kind="none", seed=0, who="sub-7: t2.nii")

    monkeypatch.setattr(registration, "estimate_linear", astray)
    with pytest.raises(InputError, match=r"^sub-7: t2.nii cannot be registered to the template: of 7 starts the best"):
        register(other, target, [tmp_path / "astray.mat"], kind="AffineFast", seed=0, who="sub-7: t2.nii")
    assert not list(tmp_path.iterdir())


def test_another_start_is_taken_where_the_first_goes_astray(target, tmp_path, monkeypatch):
    def at_first_astray(moving, fixed, output, *, start, **settings):
        scale = 1.0 if start.name == "geometry" else 3.0
        sitk.WriteTransform(about_the_middle(np.diag([scale] * 3)), str(output))

    monkeypatch.setattr(registration, "estimate_affine", lambda *given: about_the_middle(np.diag([3.0] * 3)))
    monkeypatch.setattr(registration, "estimate_linear", at_first_astray)
    found = register(target.image, target, [tmp_path / "to_mni.mat"], kind="AffineFast", seed=0)
    assert (found.start, found.starts, found.placement.volume_ratio) == ("geometry", 4, 1)


def test_an_ordinary_scan_needs_no_ants(target, tmp_path, monkeypatch):
    monkeypatch.setattr(registration, "estimate_linear", astray)
    moved = Volume(target.image.data, TURN @ target.image.affine)
    found = register(moved, target, [tmp_path / "to_mni.mat"], kind="AffineFast", seed=0)
    assert (found.start, found.starts) == ("coarse copies", 1)
    assert found.placement.similarity > 0.9


def test_a_scan_that_ants_cannot_warp_is_named(target, tmp_path, monkeypatch):
    def fails(*given, **settings):
        raise RuntimeError("ANTs")

    monkeypatch.setattr(registration, "estimate_warp", fails)
    files = [tmp_path / name for name in ("to_mni.mat", "to.nii.gz", "from.nii.gz")]
    with pytest.raises(InputError, match=r"^sub-7: t2.nii cannot be registered to the template: no transform is found"):
        register(target.image, target, files, kind="SyN", seed=0, who="sub-7: t2.nii")
    assert not any(path.exists() for path in files)


@pytest.mark.parametrize("fill", [0, -1024])
def test_a_head_that_is_cut_and_filled_up_is_registered_as_without_the_filling(target, tmp_path, fill):
    cut = target.image.data.copy()
    cut[:, :, :16] = fill
    files = [tmp_path / "to_mni.mat"]
    register(zero_background(Volume(cut, TURN @ target.image.affine)), target, files, kind="AffineFast", seed=0)
    found, true = read_transform(files), np.diag([-1, -1, 1, 1]) @ TURN @ np.diag([-1, -1, 1, 1])
    points = np.argwhere(target.brain_mask.data)[::200] * [-4, -4, 4]
    off_mm = [np.linalg.norm(found.TransformPoint(p.tolist()) - (true @ [*p, 1])[:3]) for p in points.astype(float)]
    assert np.mean(off_mm) < 3


@pytest.mark.parametrize(("factor", "shift"), [(5e-8, 0), (1e6, 0), (1, -1024), (0.01, 5), (1e20, 0)])
def test_a_standardized_brain_depends_neither_on_a_shift_nor_on_a_positive_scale(training, factor, shift):
    images, masks, mask = training
    landmarks, data = fit_landmarks(images, masks), load_volume(images[2]).data
    given = ((data + np.float32(shift)) * np.float32(factor)).astype(np.float32)
    plain, changed = (standardize(each, mask.data, landmarks)[mask.data] for each in (data, given))
    np.testing.assert_allclose(changed, plain, atol=1e-3)


def test_a_coarser_template_takes_means_of_a_scan_and_keeps_a_stripped_scans_outline(tmp_path):
    scan = Volume(np.indices((40, 40, 40)).sum(axis=0).astype(np.float32) % 2 + 1, np.eye(4))
    scan.data[:10] = 0
    template = box_mask((19, 19, 19), (0, 0, 0), (19, 19, 19), spacing_mm=2.0)
    sitk.WriteTransform(sitk.TranslationTransform(3, (0.0, 0, 0)), str(tmp_path / "to_mni.mat"))
    means = apply_transform(scan, template, [tmp_path / "to_mni.mat"]).data
    assert not means[:5].any()  # centres at 0 to 8 mm; the signal begins between 9 and 10 mm
    np.testing.assert_allclose(means[6:, 1:, 1:], 1.5, atol=1e-5)
    assert (means[5, 1:, 1:] > 0).all()


def test_n4_removes_a_known_bias_field():
    places = np.stack(np.meshgrid(*(np.linspace(-1, 1, 40),) * 3, indexing="ij"))
    radius = np.sqrt(np.square(places).sum(axis=0))
    tissue = np.where(radius < 0.8, 100.0, 0) + np.where(radius < 0.45, 60.0, 0)
    tissue = np.where(tissue > 0, tissue + np.random.default_rng(5).normal(0, 2, tissue.shape), 0)
    field = np.exp(0.35 * places[0] + 0.2 * places[1] * places[2])
    corrected = correct_bias(Volume((tissue * field).astype(np.float32), np.diag([4, 4, 4, 1.0])))

    inside = tissue > 0
    left = corrected.data[inside] / tissue[inside]

    def spread(values):
        return values.std() / values.mean()

    assert spread(left) < 0.3 * spread(field[inside])
    assert not corrected.data[~inside].any()
    shifted = np.where(inside, tissue * field - 1024, -1024).astype(np.float32) * np.float32(1e6)
    again = correct_bias(zero_background(Volume(shifted, np.diag([4, 4, 4, 1.0])))).data[inside]
    expected = corrected.data[inside]
    np.testing.assert_allclose(again / again.mean(), expected / expected.mean(), rtol=1e-3)


RULE = """
import runpy, sys
from types import SimpleNamespace
names = ("image", "lesion_mask", "transform", "template")
snakemake = SimpleNamespace(
    input=dict(zip(names, ("scan.nii.gz", "seg.nii.gz", ["to_mni.mat"], "template.nii.gz"))),
    output={"lesion_mask": "registered.nii.gz"}, wildcards={"sub": "sub-1"}, log=["rule.log"],
)
runpy.run_path(sys.argv[1], {"snakemake": snakemake})
"""


def test_every_label_of_a_brats_segmentation_is_lesion_after_registration(tmp_path):
    labels = np.zeros((16, 16, 16), dtype=np.uint8)
    for label, x in ((1, 4), (2, 6), (4, 8)):
        labels[x : x + 2, 5:9, 5:9] = label
    affine = np.diag([4.0, 4, 4, 1])
    nib.save(nib.Nifti1Image(labels, affine), tmp_path / "seg.nii.gz")
    scan = np.random.default_rng(0).uniform(1, 2, labels.shape)
    save_volume(tmp_path / "scan.nii.gz", Volume(np.pad(scan[1:-1, 1:-1, 1:-1], 1), affine))
    save_volume(tmp_path / "template.nii.gz", Volume(scan > 0, affine), np.uint8)
    two_voxels_left = sitk.AffineTransform(3)
    two_voxels_left.SetTranslation((8.0, 0.0, 0.0))  # LPS mm, from MNI to native points
    sitk.WriteTransform(two_voxels_left, str(tmp_path / "to_mni.mat"))

    script = SCRIPTS / "register_lesion.py"
    environment = os.environ | {"PYTHONPATH": str(SCRIPTS)}
    subprocess.run([sys.executable, "-c", RULE, script], cwd=tmp_path, env=environment, check=True)
    registered = load_volume(tmp_path / "registered.nii.gz")
    np.testing.assert_array_equal(registered.data, np.roll(labels > 0, 2, axis=0))


REAL = os.environ.get("STFPM3D_REAL_DATA", "")


@pytest.mark.skipif(not REAL, reason="STFPM3D_REAL_DATA names no folder of real scans")
def test_a_real_head_that_is_cut_from_below_and_filled_up_lies_where_it_lay_uncut(tmp_path):
    fetch_head_template(tmp_path / "head.nii.gz")
    template = build_template(load_volume(tmp_path / "head.nii.gz"), brain_mask(), 2)
    target = Target(template.head, template.mask, skull_stripped=False)
    head = load_scan(sorted(Path(REAL).glob("real_t1/images/IXI*.nii.gz"))[0])
    axis = int(np.abs(head.affine[2, :3]).argmax())
    below = np.indices(head.shape)[axis] * np.sign(head.affine[2, axis]) * head.spacing_mm[axis]
    crown_mm = below[head.data > 100].max()
    transforms = []
    for number, fill in enumerate((None, 0, -1024)):
        lower = below < crown_mm - 140  # through the neck and the lower cerebellum
        scan = head if fill is None else Volume(np.where(lower, np.float32(fill), head.data), head.affine)
        files = [tmp_path / f"{number}.mat"]
        register(zero_background(scan), target, files, kind="AffineFast", seed=0)
        transforms.append(read_transform(files))
    points = np.argwhere(template.mask.data)[::500] @ template.mask.affine[:3, :3].T + template.mask.affine[:3, 3]
    uncut, *cut = (np.array([t.TransformPoint(p) for p in (points * [-1, -1, 1]).tolist()]) for t in transforms)
    assert max(np.linalg.norm(each - uncut, axis=1).mean() for each in cut) < 3

"""The demo cohort: who is in it, what its scans hold, and that it is hard enough to mean something."""

import subprocess
import sys
from typing import Literal, NamedTuple

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage
from sklearn.metrics import average_precision_score, precision_recall_curve

from stfpm3d.demo import growth
from stfpm3d.demo.anatomy import draw_variation, surface_shift_mm
from stfpm3d.demo.heads import render_head
from stfpm3d.demo.participants import LESION_VOLUME_ML, demo_participants, lesion_plan
from stfpm3d.demo.render import RenderedSubject, acquire, render_subject
from stfpm3d.imaging.fields import compose, push, signed_distance_mm, smooth_noise, warp
from stfpm3d.imaging.template import brain_mask, build_template, fetch_head_template, tissues_on_grid
from stfpm3d.imaging.volumes import Volume, load_volume

SEED = 0
PATIENTS = [f"sub-demoP{number:02d}" for number in range(1, 21)]


class Cohort(NamedTuple):
    """Healthy training scans and test patients of the default demo, with the maps that they were rendered from."""

    maps: tuple[Volume, Volume, Volume, Volume]
    mask: NDArray[np.bool_]
    healthy: dict[str, RenderedSubject]
    patients: dict[str, RenderedSubject]


@pytest.fixture(scope="module")
def mni_head(tmp_path_factory) -> Volume:
    """The packaged head template, 1 mm."""
    head_path = tmp_path_factory.mktemp("template") / "head.nii.gz"
    fetch_head_template(head_path)
    return load_volume(head_path)


@pytest.fixture(scope="module")
def cohort(mni_head: Volume) -> Cohort:
    template = build_template(mni_head, brain_mask(), 2.0)
    tissues = tissues_on_grid(template.head)
    maps = (template.head, tissues.gm, tissues.wm, tissues.csf)
    scans = {"healthy": {}, "patient": {}}
    for row in demo_participants(SEED, healthy=(8, 6, 6), patient=(4, 2, 8)):
        if (row["group"], row["split"]) in (("healthy", "train"), ("patient", "test")):
            participant_id = row["participant_id"]
            scans[row["group"]][participant_id] = render_subject(participant_id, row["group"], row["site"], SEED, *maps)
    return Cohort(maps, template.mask.data, scans["healthy"], scans["patient"])


@pytest.fixture
def grid() -> Volume:
    return Volume(np.zeros((48, 48, 48), dtype=bool), np.diag([2.0, 2.0, 2.0, 1.0]))


def ball(grid: Volume, radius_mm: float) -> NDArray[np.bool_]:
    """A ball in the middle of `grid`."""
    centre = (np.array(grid.shape) - 1) / 2
    distance_mm = np.linalg.norm((np.indices(grid.shape).T - centre) * 2, axis=-1).T
    return distance_mm <= radius_mm


def on_scan(image: NDArray, mni: Volume, subject: RenderedSubject) -> NDArray:
    """An MNI image, bent as the subject is, on the grid of its scan."""
    voxel = np.linalg.inv(mni.affine) @ subject.mni_from_scan @ subject.image.affine
    bent = warp(image.astype(np.float32), subject.displacement)
    return ndimage.affine_transform(bent, voxel, output_shape=subject.image.shape, order=1)


def in_mni(volume: Volume, mni: Volume, subject: RenderedSubject, order: Literal[0, 1]) -> NDArray[np.float32]:
    """A volume of the scan's grid on the MNI grid, by the pose that it was rendered with."""
    voxel = np.linalg.inv(subject.mni_from_scan @ volume.affine) @ mni.affine
    return ndimage.affine_transform(volume.data.astype(np.float32), voxel, output_shape=mni.shape, order=order)


# Who is in the cohort


def test_splits_hold_the_numbers_asked_for() -> None:
    rows = demo_participants(SEED, healthy=(14, 6, 5), patient=(4, 2, 12))

    counts = [
        sum(row["group"] == group and row["split"] == split for row in rows)
        for group in ("healthy", "patient")
        for split in ("train", "val", "test")
    ]
    assert counts == [14, 6, 5, 4, 2, 12]
    assert len({row["participant_id"] for row in rows}) == 43


@pytest.mark.parametrize("seed", range(4))
def test_patients_and_a_part_of_the_healthy_people_that_no_network_learns_from_are_scanned_in_the_clinic(
    seed: int,
) -> None:
    sites: dict[tuple[str, str], list[str]] = {}
    for row in demo_participants(seed):
        sites.setdefault((row["group"], row["split"]), []).append(row["site"])
        assert row["skull_stripped"] == str(row["site"] == "clinic").lower()
    assert all(set(sites["patient", split]) == {"clinic"} for split in ("train", "val", "test"))
    assert sorted(sites["healthy", "train"]) == 7 * ["north"] + 7 * ["south"]
    for split in ("val", "test"):
        assert sites["healthy", split].count("clinic") == 3
        assert {"north", "south"} < set(sites["healthy", split])


def test_groups_share_their_sites_unless_the_site_is_the_shortcut() -> None:
    def sites(scenario: Literal["shortcut", "matched"]) -> dict[str, list[str]]:
        rows = demo_participants(SEED, (6, 6, 12), (6, 6, 12), scenario)
        assert {row["skull_stripped"] for row in rows} == {"false"}
        return {group: [row["site"] for row in rows if row["group"] == group] for group in ("healthy", "patient")}

    assert sites("shortcut") == {"healthy": ["north"] * 24, "patient": ["east"] * 24}
    matched = sites("matched")
    assert matched["healthy"] == matched["patient"] and matched["patient"].count("north") == 12


@pytest.mark.parametrize("seed", range(4))
def test_a_third_of_the_patients_is_isointense(seed: int) -> None:
    isointense = [lesion_plan(seed, participant_id).isointense for participant_id in PATIENTS]

    assert [sum(isointense[part]) for part in (slice(4), slice(4, 6), slice(6, 18))] == [2, 0, 4]


def test_lesion_volumes_are_log_uniform_over_their_range() -> None:
    volumes = [lesion_plan(seed, participant_id).volume_ml for seed in range(50) for participant_id in PATIENTS]

    low, high = LESION_VOLUME_ML
    quantiles = np.log(np.array(volumes) / low) / np.log(high / low)
    counts, _ = np.histogram(quantiles, bins=5, range=(0, 1))
    assert counts.sum() == len(volumes)
    assert counts.min() > 0.8 * len(volumes) / 5


def test_the_cohort_is_listed_without_the_imaging_libraries() -> None:
    heavy = "scipy", "nibabel", "SimpleITK", "nilearn"
    check = f"import sys, stfpm3d.demo.participants; print([m for m in {heavy} if m in sys.modules])"

    listed = subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path[:0] = {sys.path}; {check}"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert listed.stdout.strip() == "[]"


# What they are made of


def test_smooth_noise_has_the_smoothness_asked_for() -> None:
    wide = Volume(np.zeros((96, 96, 96), dtype=bool), np.diag([2.0, 2.0, 2.0, 1.0]))
    field = smooth_noise(np.random.default_rng(0), wide, sigma_mm=8)

    assert field.std() == pytest.approx(1, abs=1e-3)
    # White noise smoothed by a Gaussian of sigma has the autocorrelation exp(-d^2 / (4 sigma^2)).
    at_8_mm = np.mean(field[:-4] * field[4:])
    assert at_8_mm == pytest.approx(np.exp(-0.25), abs=0.06)


def test_a_pushed_region_grows_by_the_amount(grid: Volume) -> None:
    distance_mm = signed_distance_mm(ball(grid, 16), grid)

    grown = warp(ball(grid, 16).astype(np.float32), push(distance_mm, 5, 15, grid))

    assert np.cbrt(grown.sum() * grid.voxel_ml * 1000 * 0.75 / np.pi) == pytest.approx(21, abs=0.7)


def test_displacements_compose_as_warps_do(grid: Volume) -> None:
    rng = np.random.default_rng(0)
    first, second = (2 * np.stack([smooth_noise(rng, grid, 20) for _ in range(3)]) for _ in range(2))
    image = smooth_noise(rng, grid, 12)

    inner = (slice(8, -8),) * 3
    np.testing.assert_allclose(
        warp(image, compose(second, first))[inner], warp(warp(image, first), second)[inner], atol=0.1
    )


@pytest.mark.parametrize("factor", [0.6, 2.5])
def test_ventricles_change_their_volume_by_the_factor(grid: Volume, factor: float) -> None:
    distance_mm = signed_distance_mm(ball(grid, 16), grid)

    displacement = push(distance_mm, surface_shift_mm(distance_mm, factor, grid), 12, grid)

    changed = warp(ball(grid, 16).astype(np.float32), displacement).sum()
    assert changed / ball(grid, 16).sum() == pytest.approx(factor, rel=0.15)


def test_healthy_traits_cover_their_range() -> None:
    factors = [draw_variation(np.random.default_rng(seed)).ventricle_factor for seed in range(200)]

    assert 0.6 <= min(factors) < 0.7
    assert 2.2 < max(factors) <= 2.5


def test_tumours_grow_faster_in_white_matter_and_never_into_csf(grid: Volume) -> None:
    x = np.indices(grid.shape)[0]
    ones, zeros = np.ones(grid.shape, dtype=np.float32), np.zeros(grid.shape, dtype=np.float32)
    wm = np.where((x >= 24) & (x < 40), ones, zeros)
    gm = np.where(x < 24, ones, zeros)
    person = growth.Habitat(gm=gm, wm=wm, csf=ones - wm - gm, depth_mm=30 * ones)

    density, threshold = growth.grow_density(person, grid, np.array([24, 24, 24]), 12, np.random.default_rng(0))

    tumour = density > threshold
    assert tumour.sum() * grid.voxel_ml == pytest.approx(12, rel=0.01)
    assert (tumour & (wm > 0)).sum() > 2 * (tumour & (gm > 0)).sum()
    assert not density[person.csf > 0.5].any()


@pytest.mark.parametrize("n_voxels", [5, 20, 60])
def test_a_tumours_level_is_exceeded_by_the_voxels_asked_for_or_by_all_that_have_cells(n_voxels: int) -> None:
    density = np.random.default_rng(0).permutation(np.append(np.arange(1, 41) / 40, np.zeros(24))).reshape(4, 4, 4)
    level = growth.enclosing_level(density, Volume(density, np.eye(4)), n_voxels / 1000)
    assert level == np.sort(density, axis=None)[-n_voxels - 1]
    assert np.count_nonzero(density > level) == min(n_voxels, 40)


def test_mass_effect_moves_tissue_away_by_the_amount_and_leaves_the_skull(grid: Volume) -> None:
    tumour = ball(grid, 14)
    depth_mm = -signed_distance_mm(ball(grid, 40), grid)

    displacement = growth.mass_effect(tumour, depth_mm, 6.0, grid)

    assert np.linalg.norm(displacement * 2, axis=0).max() == pytest.approx(6, rel=1e-3)
    # A pull-back that reads nearer to the centre pushes outwards.
    beside = (33, 24, 24)
    assert displacement[(0, *beside)] < -1
    assert not displacement[:, depth_mm < -2].any()


def test_noise_is_rician() -> None:
    from stfpm3d.demo.render import SITES

    grid = Volume(np.zeros((60, 60, 60), dtype=bool), np.diag([2.0, 2.0, 2.0, 1.0]))
    site = SITES["north"]._replace(noise=0.1)
    air = acquire(np.zeros(grid.shape, np.float32), grid, grid, np.eye(4), site, np.random.default_rng(0))

    # Rayleigh in air: mean / SD = sqrt(pi / (4 - pi)).
    assert air.mean() / air.std() == pytest.approx(np.sqrt(np.pi / (4 - np.pi)), rel=0.01)


# What the scans hold


def test_a_subject_is_a_function_of_seed_and_id(cohort: Cohort) -> None:
    first = cohort.patients["sub-demoP14"]
    rows = {row["participant_id"]: row for row in demo_participants(SEED)}
    again = render_subject("sub-demoP14", "patient", rows["sub-demoP14"]["site"], SEED, *cohort.maps)

    assert again.image.data.tobytes() == first.image.data.tobytes()
    assert again.lesion_mask is not None and first.lesion_mask is not None
    assert again.lesion_mask.data.tobytes() == first.lesion_mask.data.tobytes()


def test_groups_differ_in_nothing_but_the_lesion_and_what_it_pushes(cohort: Cohort) -> None:
    as_patient = cohort.patients["sub-demoP14"]
    as_healthy = render_subject("sub-demoP14", "healthy", "clinic", SEED, *cohort.maps)

    assert as_patient.lesion_mask is not None and as_healthy.lesion_mask is None
    assert as_healthy.variation == as_patient.variation
    for healthy_map, patient_map in zip(as_healthy.anatomy, as_patient.anatomy, strict=True):
        np.testing.assert_array_equal(healthy_map, patient_map)
    np.testing.assert_array_equal(as_healthy.mni_from_scan, as_patient.mni_from_scan)
    np.testing.assert_array_equal(as_healthy.image.affine, as_patient.image.affine)
    unmoved = np.linalg.norm(as_patient.displacement - as_healthy.displacement, axis=0) < 1e-6
    beyond = on_scan(unmoved, cohort.maps[0], as_healthy) > 0.999
    for subject in (as_healthy, as_patient):
        beyond &= subject.image.data > 0
    assert beyond.mean() > 0.01
    assert np.isclose(as_patient.image.data[beyond], as_healthy.image.data[beyond], rtol=0.01).mean() > 0.99


def test_healthy_scans_are_whole_heads_and_patients_are_stripped(cohort: Cohort) -> None:
    mni = cohort.maps[0]
    for subject in cohort.healthy.values():
        assert subject.lesion_mask is None
        assert (subject.image.data > 0).all()
    for subject in cohort.patients.values():
        outside = on_scan(subject.anatomy.depth_mm, mni, subject) < -5
        assert not subject.image.data[outside].any()


def tissue_levels(subject: RenderedSubject, mni: Volume) -> tuple[float, float, float]:
    """Median signal of white matter, grey matter and CSF outside the lesion."""
    normal = np.ones(subject.image.shape, bool) if subject.lesion_mask is None else ~subject.lesion_mask.data
    tissues = (subject.anatomy.wm, subject.anatomy.gm, subject.anatomy.csf)
    wm, gm, csf = (np.median(subject.image.data[(on_scan(t, mni, subject) > 0.9) & normal]) for t in tissues)
    return float(wm), float(gm), float(csf)


def test_csf_is_brightest_and_white_matter_darkest_but_less_so_in_the_clinic(cohort: Cohort) -> None:
    # Consecutive healthy participants come from different sites.
    healthy, patients = (
        np.array([tissue_levels(subject, cohort.maps[0]) for subject in list(group.values())[:4]])
        for group in (cohort.healthy, cohort.patients)
    )
    assert (1.1 * healthy[:, 0] < healthy[:, 1]).all() and (1.3 * healthy[:, 1] < healthy[:, 2]).all()
    assert (1.2 * patients[:, :2].max(axis=1) < patients[:, 2]).all()
    assert (patients[:, 2] / patients[:, 0]).mean() < (healthy[:, 2] / healthy[:, 0]).mean()


def test_scans_of_the_clinic_are_smoother(cohort: Cohort) -> None:
    """What a Gaussian of 2 mm takes away is 0.20 SD in real patients, 0.25 in healthy heads (docs/real-scans.md)."""

    def detail(subject: RenderedSubject) -> float:
        z = np.nan_to_num(z_normalised(subject, cohort))
        deep = ndimage.binary_erosion(np.isfinite(z_normalised(subject, cohort)), iterations=4)
        return float((z - ndimage.gaussian_filter(z, 1.0))[deep].std())

    healthy, patients = ([detail(subject) for subject in group.values()] for group in (cohort.healthy, cohort.patients))
    assert np.mean(patients) < 0.9 * np.mean(healthy)


def test_lesions_have_their_volume_and_lie_in_the_brain(cohort: Cohort) -> None:
    for participant_id, subject in cohort.patients.items():
        assert subject.lesion_mask is not None
        volume_ml = subject.lesion_mask.data.sum() * subject.lesion_mask.voxel_ml
        assert volume_ml == pytest.approx(lesion_plan(SEED, participant_id).volume_ml, rel=0.02)
        depth_mm = on_scan(subject.anatomy.depth_mm, cohort.maps[0], subject)[subject.lesion_mask.data]
        assert np.mean(depth_mm > -1) > 0.99
        assert 2 <= subject.mass_effect_mm <= 8


def test_lesions_lie_between_grey_matter_and_csf_unless_isointense_to_white(cohort: Cohort) -> None:
    for participant_id, subject in cohort.patients.items():
        assert subject.lesion_mask is not None
        inside = subject.lesion_mask.data
        normal = on_scan(subject.anatomy.hyperintensities, cohort.maps[0], subject) < 0.1
        tissues = (subject.anatomy.wm, subject.anatomy.gm, subject.anatomy.csf)
        wm, gm, csf = (
            subject.image.data[(on_scan(t, cohort.maps[0], subject) > 0.9) & normal & ~inside] for t in tissues
        )
        level = np.median(subject.image.data[inside])
        if lesion_plan(SEED, participant_id).isointense:
            assert abs(level - np.median(wm)) < wm.std()
        else:
            assert np.median(gm) < level < np.median(csf)


# Whole heads on the template's grid


def test_a_sham_marks_where_nothing_was_changed_and_a_lesion_changes_nothing_else(mni_head: Volume) -> None:
    template = build_template(mni_head, brain_mask(), 4.0)
    maps = (template.head, *tissues_on_grid(template.head))
    healthy, sham, diseased = (
        render_head("sub-demoP02", group, "north", SEED, *maps, lesions=lesions)
        for group, lesions in (("healthy", False), ("patient", False), ("patient", True))
    )
    assert healthy.lesion_mask is None and sham.lesion_mask is not None and diseased.lesion_mask is not None
    np.testing.assert_array_equal(sham.image.data, healthy.image.data)
    np.testing.assert_array_equal(sham.lesion_mask.data, diseased.lesion_mask.data)
    np.testing.assert_array_equal(diseased.image.affine, template.head.affine)
    inside = diseased.lesion_mask.data
    changed = np.abs(diseased.image.data - healthy.image.data)
    assert changed[inside].mean() > 50 * changed[~ndimage.binary_dilation(inside, iterations=3)].max()
    assert 1 <= inside.sum() * template.head.voxel_ml <= 20


# Hard enough to mean something


def z_normalised(subject: RenderedSubject, cohort: Cohort) -> NDArray[np.float32]:
    """The scan on the MNI grid, z-normalised over its brain voxels, NaN elsewhere."""
    scan = in_mni(subject.image, cohort.maps[0], subject, order=1)
    support = cohort.mask & (scan > 1)
    return np.where(support, (scan - scan[support].mean()) / scan[support].std(), np.nan).astype(np.float32)


def best_dice(truth: NDArray[np.bool_], score: NDArray) -> float:
    precision, recall, _ = precision_recall_curve(truth, score)
    return float(np.max(2 * precision * recall / np.maximum(precision + recall, 1e-9)))


def test_neither_brightness_nor_a_voxelwise_z_score_solves_it(cohort: Cohort) -> None:
    lesions = [
        in_mni(s.lesion_mask, cohort.maps[0], s, order=0) for s in cohort.patients.values() if s.lesion_mask is not None
    ]
    truth = np.concatenate([inside[cohort.mask] > 0.5 for inside in lesions])
    patients = [z_normalised(subject, cohort) for subject in cohort.patients.values()]
    healthy = np.ma.masked_invalid(np.stack([z_normalised(subject, cohort) for subject in cohort.healthy.values()]))
    mean, sd = healthy.mean(axis=0).filled(0), np.maximum(healthy.std(axis=0).filled(0), 0.2)

    brightness = np.concatenate([np.nan_to_num(z, nan=-5)[cohort.mask] for z in patients])
    # Gaussian of 4 mm (2 voxels).
    deviations = [ndimage.gaussian_filter(np.nan_to_num(np.abs(z - mean) / sd), 2.0) for z in patients]
    deviation = np.concatenate([d[cohort.mask] for d in deviations])

    prevalence = truth.mean()
    assert 1.5 * prevalence <= average_precision_score(truth, brightness) <= 0.35
    assert best_dice(truth, brightness) <= 0.40
    assert 1.5 * prevalence <= average_precision_score(truth, deviation) <= 0.60

"""Synthetic lesions and random acquisitions: lengths, volumes and orders that are known beforehand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import ndimage
from scipy.spatial.transform import Rotation
from torch import Tensor

from stfpm3d.imaging.grid import NetworkGrid
from stfpm3d.imaging.standardize import KNOTS, PERCENTILES, standardize
from stfpm3d.simulation.acquisition import bias_field, contrast_curve, restripped, thick_slices, through
from stfpm3d.simulation.draws import Draws
from stfpm3d.simulation.geometry import moved, push, ventricles, wider_sulci
from stfpm3d.simulation.lesion import KINDS, Form, Levels, Tissue, glioma, infarct, levels_of, outline, small_lesion
from stfpm3d.simulation.scan import Healthy, Simulation, mirrored, on_landmarks
from stfpm3d.simulation.space import Space, blurred, noise, rotation, space_of
from stfpm3d.simulation.unseen import unseen_acquisition

SPACING_MM = 2.0
SHAPE = (48, 56, 48)
GRID = NetworkGrid(SHAPE, np.array([[2.0, 0, 0, -48], [0, 2, 0, -66], [0, 0, 2, -40], [0, 0, 0, 1]]))
SPACE = space_of(GRID)
torch.set_num_threads(1)  # of a sample's many small steps two threads take more time than one
CENTRE_MM = torch.tensor([24.0, -10.0, 8.0])
LANDMARKS = torch.tensor([0.0, 12, 24, 30, 36, 46, 56, 64, 72, 77, 82, 90, 100])


def ball(space: Space, centre_mm: Tensor, radius_mm: float) -> Tensor:
    return space.distance_mm(centre_mm) <= radius_mm


@pytest.fixture(scope="module")
def healthy() -> Healthy:
    """A brain of three tissues, T1w: fluid in the middle and between folds, grey around white matter."""
    place = space_of(GRID).places_mm
    radius = (place / torch.tensor([40.0, 48, 36])).norm(dim=-1)
    brain = radius < 1
    folds = 0.03 * torch.sin(place[..., 0] / 3) * torch.sin(place[..., 1] / 3)
    tissue = torch.where(radius + folds < 0.75, 1.0, torch.where(radius + folds < 0.95, 0.7, 0.3))
    tissue = torch.where(radius < 0.2, 0.3, tissue) + 0.02 * noise(SPACE, 6, Draws(1))[0]
    scan = standardize((100 * tissue * brain).numpy(), brain.numpy(), LANDMARKS.double().numpy())
    return Healthy(torch.from_numpy(scan), brain)


def test_a_mass_pushes_by_its_amount_at_its_radius_and_less_before_and_behind() -> None:
    shift = push(SPACE, CENTRE_MM, radius_mm=20, amount_mm=6, decay_mm=10)
    along = {}
    for steps in (0, 5, 10, 15):
        voxel = tuple(((CENTRE_MM + torch.tensor([0, 2.0 * steps, 0]) - SPACE.places_mm[0, 0, 0]) / 2).int().tolist())
        along[2 * steps] = shift[voxel]
    lengths = {mm: float(vector.norm()) for mm, vector in along.items()}
    assert lengths == pytest.approx({0: 0, 10: 3, 20: 6, 30: 6 / math.e}, abs=1e-4)
    torch.testing.assert_close(along[20], torch.tensor([0.0, 6, 0]))


def test_tissue_beside_a_mass_moves_away_from_it() -> None:
    point = torch.zeros(SHAPE)
    point[36, 38, 24] = 1.0  # 20 mm in front of the centre
    shift = push(SPACE, CENTRE_MM, radius_mm=20, amount_mm=6, decay_mm=1000)
    after = moved(point[None], SPACE, shift, Draws(0), strength=0)[0]
    centre = [float((after * SPACE.places_mm[..., axis]).sum() / after.sum()) for axis in range(3)]
    assert centre == pytest.approx([24, 16, 8], abs=0.3)


def test_without_displacement_and_without_strength_nothing_moves() -> None:
    image = noise(SPACE, 4, Draws(3))
    still = moved(image, SPACE, torch.zeros(*SHAPE, 3), Draws(0), strength=0)
    torch.testing.assert_close(still, image, atol=1e-3, rtol=0)


def test_wider_ventricles_push_on_both_sides_or_on_one() -> None:
    ratios = []
    for seed in range(8):
        length = ventricles(SPACE, Draws(seed)).norm(dim=-1)
        left, right = sorted([float(length[:12].max()), float(length[37:].max())])
        ratios.append(left / right)
    assert min(ratios) < 0.3 and max(ratios) > 0.5


def test_wider_sulci_take_grey_matter_beside_fluid_and_leave_white_matter(healthy: Healthy) -> None:
    image = torch.full(SHAPE, 0.7)
    image[:24], image[30:] = 0.2, 1.0
    wider = wider_sulci(image, torch.ones(SHAPE, dtype=torch.bool), 0.2, 1.0, SPACE, Draws(4))
    assert (wider[24] <= 0.7).all() and (wider[24] < 0.69).float().mean() > 0.3
    torch.testing.assert_close(wider[25:29], image[25:29])
    torch.testing.assert_close(wider[30:], image[30:])
    inverted = wider_sulci(1 - image, torch.ones(SHAPE, dtype=torch.bool), 0.8, 0.0, SPACE, Draws(4))
    torch.testing.assert_close(inverted, 1 - wider)


@pytest.mark.parametrize("sigma_mm", [1.5, 4.0, (2.0, 6.0, 3.0)])
def test_a_blur_has_the_width_that_scipys_has(sigma_mm: float | tuple[float, ...]) -> None:
    image = noise(SPACE, 6, Draws(2))[0]
    by_scipy = ndimage.gaussian_filter(image.numpy(), np.array(sigma_mm) / SPACING_MM, mode="constant", truncate=5)
    weight = ndimage.gaussian_filter(np.ones(SHAPE), np.array(sigma_mm) / SPACING_MM, mode="constant", truncate=5)
    np.testing.assert_allclose(blurred(image, SPACE, sigma_mm).numpy(), by_scipy / weight, atol=2e-3)


def test_a_rotation_is_scipys() -> None:
    angles = [10.0, -25.0, 70.0]
    np.testing.assert_allclose(
        rotation(angles), Rotation.from_euler("xyz", angles, degrees=True).as_matrix(), atol=1e-6
    )


@pytest.mark.parametrize("width_mm", [8.0, 40.0])
def test_noise_has_unit_sd_and_varies_over_its_width(width_mm: float) -> None:
    field = noise(SPACE, width_mm, Draws(5))[0]
    assert float(field.std()) == pytest.approx(1, abs=1e-3)
    lag = round(width_mm / SPACING_MM / 4)
    near, far = (float((field[:-n] * field[n:]).mean()) for n in (lag, 8 * lag))
    assert near > 0.8 * float(field.square().mean()) > 3 * abs(far)


def test_a_contrast_curve_keeps_the_order_of_grey_values() -> None:
    grey = torch.linspace(-0.1, 1.5, 400)
    for seed in range(8):
        assert (through(grey, contrast_curve(1.4, 0.5, Draws(seed))).diff() > 0).all()
    torch.testing.assert_close(through(grey, contrast_curve(1.4, 0.0, Draws(0))), grey)


def test_slices_keep_what_does_not_vary_along_them_and_blur_what_does() -> None:
    image = torch.ones(SHAPE) + SPACE.places_mm[..., 0] / 100
    sharp = noise(SPACE, 2, Draws(6))[0]
    across = [thick_slices(sharp, SPACE, 0.0, Draws(seed)) for seed in range(6)]
    assert all(float(made.std()) < 0.95 for made in across)
    axes = {int(np.argmin([float(made.diff(dim=axis).square().mean()) for axis in range(3)])) for made in across}
    assert 2 in axes
    for seed in range(6):
        made = thick_slices(image, SPACE, 0.0, Draws(seed))
        torch.testing.assert_close(made[4:-4], image[4:-4], atol=0.04, rtol=0)


def test_a_bias_field_without_strength_is_one_and_with_it_varies_slowly(healthy: Healthy) -> None:
    assert torch.equal(bias_field(healthy.brain, SPACE, 0.0, Draws(0)), torch.ones(SHAPE))
    field = bias_field(healthy.brain, SPACE, 1.0, Draws(1))
    assert 0.4 < float(field.min()) < float(field.max()) < 2.5
    assert float(field[healthy.brain].std()) < 0.3 and float(field.diff(dim=1).abs().max()) < 0.15


def test_another_stripping_moves_the_surface_by_millimetres(healthy: Healthy) -> None:
    before = ndimage.distance_transform_edt(healthy.brain.numpy(), sampling=SPACING_MM)
    beyond = ndimage.distance_transform_edt(~healthy.brain.numpy(), sampling=SPACING_MM)
    for seed in range(5):
        _, after = restripped(healthy.image, healthy.brain, SPACE, 1.0, Draws(seed))
        assert before[~after.numpy()].max() <= 14
        assert beyond[after.numpy()].max() <= 7


def test_an_outline_encloses_the_ball_of_its_radius_at_its_place() -> None:
    inside = outline(SPACE, CENTRE_MM, 16.0, Draws(7), ragged=False) > 0
    assert inside.sum() * SPACING_MM**3 == pytest.approx(4 / 3 * math.pi * 16**3, rel=0.03)
    torch.testing.assert_close(SPACE.places_mm[inside].mean(dim=0), CENTRE_MM, atol=0.5, rtol=0)
    volumes = [float((outline(SPACE, CENTRE_MM, 16.0, Draws(seed)) > 0).sum()) * 8 / 17157 for seed in range(8)]
    assert 0.6 < np.mean(volumes) < 1.6 and np.std(volumes) > 0.05


TISSUES = {"T1w": (0.25, 0.7, 1.0), "T2w": (2.0, 1.3, 1.0), "FLAIR": (0.3, 1.0, 0.8)}
"""Fluid, grey and white matter, of which a brain has about a tenth, half and two fifths."""


def levels(modality: str) -> Levels:
    fluid, grey, white = TISSUES[modality]
    return levels_of(
        torch.cat([torch.full((n,), level) for n, level in ((10, fluid), (50, grey), (40, white))]), modality
    )


T1W, T2W, FLAIR = (levels(modality) for modality in TISSUES)


def test_levels_follow_the_contrast() -> None:
    assert T1W.fluid < T1W.oedema < T1W.grey < T1W.white
    assert T2W.white < T2W.grey < T2W.oedema < T2W.fluid
    assert FLAIR.fluid < FLAIR.white < FLAIR.grey < FLAIR.oedema


@pytest.mark.parametrize(("shown", "sign"), [(T1W, -1), (T2W, 1), (FLAIR, 1)])
@pytest.mark.parametrize("make", [small_lesion, infarct])
def test_lesions_are_dark_in_t1_and_bright_in_t2_and_flair(make, shown: Levels, sign: int) -> None:
    changes, far = [], ~ball(SPACE, CENTRE_MM, 34)
    for seed in range(5):
        image = torch.full(SHAPE, shown.white)
        lesion = make(Tissue(SPACE, image, torch.ones(SHAPE, dtype=torch.bool), shown), CENTRE_MM, 9.0, Draws(seed))
        changes.append(float(image[lesion].mean()) - shown.white)
        assert float((image[far] - shown.white).abs().max()) < 1e-3
    if shown is not FLAIR:  # where holes and old infarcts are as dark as fluid
        assert all(sign * change > 0 for change in changes)
    assert sign * float(np.median(changes)) > 0


def test_a_glioma_spares_what_is_outside_the_brain_and_labels_what_it_changed() -> None:
    brain = ball(SPACE, torch.tensor([0.0, -10, 8]), 40)
    for seed in range(4):
        image = torch.where(brain, T1W.white, 0.0)
        before = image.clone()
        lesion = glioma(Tissue(SPACE, image, brain, T1W), CENTRE_MM, 14.0, Draws(seed))
        changed = (image - before).abs() > 0.02
        assert lesion.any() and not (lesion & ~brain).any() and not (changed & ~brain).any()
        assert (changed & lesion).sum() > 0.5 * lesion.sum()


def test_the_kinds_share_the_lesioned_scans() -> None:
    assert sum(form.share for form in KINDS.values()) == pytest.approx(1)


def simulation(**changes) -> Simulation:
    return Simulation(SPACE, LANDMARKS, "T1w")._replace(**changes)


def test_equal_draws_give_equal_samples_and_others_give_others(healthy: Healthy) -> None:
    first, again, other = (simulation().sample(healthy, Draws(1, epoch), 1.0) for epoch in (0, 0, 1))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first.image, other.image)


def test_other_sums_of_the_process_keep_their_smallest_numbers(healthy: Healthy) -> None:
    simulation().sample(healthy, Draws(0), 1.0)
    assert float(np.float32(1e-38) * np.float32(1)) > 0  # below 1.2e-38 a float32 has no full precision


def test_a_sample_without_lesion_and_randomness_is_the_scan_or_its_mirror_image(healthy: Healthy) -> None:
    for seed in range(4):
        made = simulation(lesioned=0.0).sample(healthy, Draws(seed), 0.0)
        assert not made.lesion.any()
        off = min(float((made.image - scan.image).abs().mean()) for scan in (healthy, healthy.mirrored()))
        assert off < 0.05


def test_samples_are_standardized_over_their_own_brain(healthy: Healthy) -> None:
    for seed in range(3):
        made = simulation().sample(healthy, Draws(seed), 1.0)
        values = made.image[made.brain]
        assert float(values.mean()) == pytest.approx(0, abs=0.05) and float(values.std()) == pytest.approx(1, abs=0.1)
        assert not (made.lesion & ~made.brain).any()


def test_a_lesion_of_one_voxel_stays_in_its_sample(healthy: Healthy, monkeypatch: pytest.MonkeyPatch) -> None:
    def one_voxel(tissue: Tissue, centre_mm: Tensor, *_) -> Tensor:
        return tissue.space.distance_mm(centre_mm) == tissue.space.distance_mm(centre_mm).min()

    monkeypatch.setitem(KINDS, "glioma", Form(one_voxel, 1.0, 1, (4, 14), 0.0))
    for seed in range(3):
        assert simulation(lesioned=1.0).sample(healthy, Draws(seed), 0.0).lesion.sum() == 1


def test_a_lesioned_sample_differs_where_its_lesion_lies(healthy: Healthy) -> None:
    contrasts = []
    for seed in range(6):
        made = simulation(lesioned=1.0).sample(healthy, Draws(seed), 0.0)
        if made.lesion.any():
            clean = [abs(made.image - scan.image) for scan in (healthy, healthy.mirrored())]
            change = min(clean, key=lambda difference: float(difference[~made.lesion].mean()))
            contrasts.append(float(change[made.lesion].mean() / change[~made.lesion & made.brain].mean()))
    assert len(contrasts) > 4 and np.median(contrasts) > 3


def test_landmarks_are_applied_as_numpy_interpolates_between_them() -> None:
    image = torch.linspace(0.05, 0.95, 64).reshape(4, 4, 4)
    percentiles, landmarks = torch.tensor(PERCENTILES)[KNOTS] / 100, LANDMARKS[KNOTS]
    by_numpy = np.interp(image.numpy(), percentiles.numpy(), landmarks.numpy())
    np.testing.assert_allclose(on_landmarks(image, percentiles, landmarks).numpy(), by_numpy, rtol=1e-5)


def test_the_mirror_image_of_a_place_is_the_place_at_minus_x() -> None:
    x, y, z = mirrored(SPACE.places_mm.permute(3, 0, 1, 2))[:, 1:]
    torch.testing.assert_close(x, -SPACE.places_mm[1:, ..., 0])
    torch.testing.assert_close(torch.stack([y, z]), SPACE.places_mm[1:, ..., 1:].permute(3, 0, 1, 2))


def test_unseen_acquisitions_are_functions_of_their_draws_and_leave_torchs_generator_alone(healthy: Healthy) -> None:
    state = torch.random.get_rng_state()
    image = (healthy.image - healthy.image.min()) / 3
    first, again, other = (unseen_acquisition(image, healthy.brain, SPACE, 1.0, Draws(s))[0] for s in (0, 0, 1))
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert torch.equal(torch.random.get_rng_state(), state)

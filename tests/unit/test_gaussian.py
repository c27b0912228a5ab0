from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from stfpm3d.learning.resnet import AcsResNet
from stfpm3d.maps.gaussian import QUIETEST, SHRINKAGE, FeatureGaussian, fit_gaussian, load_gaussian, save_gaussian
from stfpm3d.maps.network import BlockMaps, fit_features
from stfpm3d.runtime.errors import InputError

SCANS = 6


@pytest.fixture
def features() -> Tensor:
    """Features (scans, channels, X, Y, Z) of one block; the last channel never fires."""
    values = torch.from_numpy(np.random.default_rng(0).normal(3, 2, (SCANS, 4, 3, 4, 5)))
    values[:, -1] = 0
    return values


def distances(gaussian: FeatureGaussian, x: Tensor) -> Tensor:
    """The mean squared deviation over channels, (1, X, Y, Z)."""
    return gaussian.deviations([x])[0].square().mean(dim=1)


def distance(x: Tensor, others: Tensor) -> Tensor:
    """The mean squared z-score over channels by numpy's variance."""
    variance = torch.from_numpy(np.var(others.numpy(), axis=0, ddof=1))
    typical = variance.mean(dim=(1, 2, 3), keepdim=True)
    typical = typical.clamp(min=float(typical.mean()) * QUIETEST)
    return ((x - others.mean(dim=0)) ** 2 / ((1 - SHRINKAGE) * variance + SHRINKAGE * typical)).mean(dim=0)


def test_the_distance_is_the_squared_z_score_with_numpys_variance(features):
    gaussian = fit_gaussian([scan[None]] for scan in features[1:])
    found = distances(gaussian, features[:1])
    torch.testing.assert_close(found[0], distance(features[0], features[1:]))


def test_a_scan_that_was_fitted_is_measured_against_the_others_alone(features):
    gaussian = fit_gaussian([scan[None]] for scan in features)
    for index in range(SCANS):
        found = distances(gaussian.without([features[index : index + 1]]), features[index : index + 1])
        others = features[[other for other in range(SCANS) if other != index]]
        torch.testing.assert_close(found[0], distance(features[index], others))


def test_a_channel_that_is_silent_in_healthy_scans_does_not_make_the_map_infinite(features):
    gaussian = fit_gaussian([scan[None]] for scan in features[1:])
    scan = features[:1].clone()
    scan[0, -1] = 1
    found = distances(gaussian, scan)
    assert found.isfinite().all()
    assert (found > distances(gaussian, features[:1])).all()


def test_a_gaussian_of_one_scan_is_refused(features):
    gaussian = fit_gaussian([[features[:1]], [features[1:2]]])
    with pytest.raises(InputError, match="at least 2 other healthy scans"):
        gaussian.without([features[:1]]).deviations([features[:1]])


def test_padim_finds_a_spot_that_healthy_scans_do_not_have(tmp_path):
    rng = np.random.default_rng(0)
    anatomy = rng.normal(size=(32, 32, 32))
    healthy = []
    for index in range(SCANS):
        healthy.append(tmp_path / f"{index}.npy")
        np.save(healthy[-1], (anatomy + rng.normal(0, 0.1, anatomy.shape)).astype(np.float16))
    teacher = AcsResNet("resnet18", seed=0).eval()
    gaussian = fit_features(BlockMaps(teacher), healthy)
    save_gaussian(tmp_path / "gaussian.safetensors", gaussian)
    padim = BlockMaps(teacher, gaussian=load_gaussian(tmp_path / "gaussian.safetensors", torch.device("cpu")))
    patient = np.load(healthy[0])
    patient[20:24, 8:12, 8:12] += 3
    whole = np.ones(patient.shape, dtype=bool)
    difference = padim(patient, whole)[0] - padim(np.load(healthy[0]), whole)[0]
    assert np.unravel_index(int(difference.argmax()), difference.shape)[1:] in {
        (x, y, z) for x in (5, 6) for y in (2, 3) for z in (2, 3)
    }

"""A bundle's slim files make the maps that the run's make, to a thousandth of their range."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from stfpm3d.imaging.grid import NetworkGrid, write_grid
from stfpm3d.imaging.volumes import Volume, load_volume, save_volume
from stfpm3d.learning.resnet import AcsResNet, load_checkpoint, save_network
from stfpm3d.learning.unet import LesionUNet, save_segmenter
from stfpm3d.maps.form import Scan
from stfpm3d.maps.gaussian import save_gaussian
from stfpm3d.maps.network import fit_features, load_block_maps
from stfpm3d.methods.registry import declaration, map_maker
from stfpm3d.prediction.slimming import slimmed

IMAGENET = Path(__file__).resolve().parents[2] / "models/imagenet/resnet18-pyramid.safetensors"
AFFINE = np.array([[4.0, 0, 0, -64], [0, 4, 0, -64], [0, 0, 4, -64], [0, 0, 0, 1]])
SHAPE = (32, 32, 32)
HERE = {"accelerator": "cpu", "threads": 1, "precision": "32-true"}
PLAIN = {"pooling_mm": 0, "in_medians": False, "smoothing_mm": 0, "mirror_share": 0, "asymmetry_weight": 0}
REGIONAL = {"pooling_mm": 20, "in_medians": True, "smoothing_mm": 20, "mirror_share": 0.5, "asymmetry_weight": 2}
SETTINGS: dict[str, dict[str, Any]] = {
    "padim-regional": {"normalised": True, "agreement": False, "combine": "sum", "blocks": [2], **REGIONAL},
    "stfpm": {"normalised": False, "agreement": False, "combine": "product", "blocks": [1, 2, 3], **PLAIN},
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What a run makes, on five healthy scans, and a sixth one with a spot."""
    folder = tmp_path_factory.mktemp("run")
    rng = np.random.default_rng(0)
    brain = np.linalg.norm(np.indices(SHAPE) - 15.5, axis=0) < 14
    anatomy = gaussian_filter(rng.normal(size=SHAPE), 2) * 20
    for number in range(5):
        healthy = anatomy + gaussian_filter(rng.normal(size=SHAPE), 1) * 2
        np.save(folder / f"{number}.npy", np.where(brain, healthy, -3).astype(np.float16))
    scan = anatomy + gaussian_filter(rng.normal(size=SHAPE), 1) * 2
    scan[8:14, 8:14, 8:14] -= 3
    save_volume(folder / "scan.nii.gz", Volume(np.where(brain, scan, -3), AFFINE))
    save_volume(folder / "brain_mask.nii.gz", Volume(brain, AFFINE), np.uint8)
    save_volume(folder / "head.nii.gz", Volume(np.abs(anatomy), AFFINE))
    np.savez(folder / "statistics.npz", mean=anatomy, sd=np.ones(SHAPE), n=np.full(SHAPE, 5))
    write_grid(folder / "grid.json", NetworkGrid(SHAPE, AFFINE), 0.0)
    teacher = AcsResNet("resnet18", embedding_dim=128, seed=0)
    load_checkpoint(teacher, IMAGENET, pyramid_only=True)
    save_network(folder / "teacher.safetensors", teacher)
    save_network(folder / "student.safetensors", AcsResNet("resnet18", embedding_dim=128, seed=1))
    features = load_block_maps({"teacher": folder / "teacher.safetensors"}, normalised=True, agreement=False, **HERE)
    gaussian = fit_features(features, [folder / f"{number}.npy" for number in range(5)])
    save_gaussian(folder / "gaussian.safetensors", gaussian)
    mean, sd = torch.from_numpy(anatomy).float(), torch.full(SHAPE, 0.3)
    save_segmenter(folder / "model.safetensors", LesionUNet(mean, sd, width=16, seed=0))
    return {path.name.partition(".")[0]: str(path) for path in folder.iterdir()}


@pytest.mark.parametrize(
    ("name", "method", "roles", "most_mb"),
    [
        ("padim-regional", "padim", ("teacher", "gaussian"), 2),  # 45 MB of the run
        ("stfpm", "stfpm", ("teacher", "student"), 17),  # 90 MB
        ("lesion-odds", "segmenter", ("model",), 0.8),
    ],
)
def test_a_slim_bundle_makes_the_same_maps(
    run: dict[str, str], tmp_path: Path, name: str, method: str, roles: tuple[str, ...], most_mb: float
) -> None:
    own = {**SETTINGS[name], "lesion_sign": -1} if name in SETTINGS else {}
    files = {role: run[role] for role in ("brain_mask", "grid", "head", "statistics", *roles)}
    slim = slimmed(files, {"method": method, "maker": own}, tmp_path)
    assert set(slim) == {"head", "statistics", *roles}
    assert sum(slim[role].stat().st_size for role in roles) < most_mb * 1e6
    scan = Scan("sub-1", run["scan"], run["brain_mask"])
    whole, found = (
        map_maker(declaration(method).maker, {**own, **HERE}, paths)(scan).map.data
        for paths in (files, {**files, **slim})
    )
    assert np.ptp(whole) > 0
    assert np.abs(found - whole).max() < 1e-3 * np.ptp(whole)


def test_the_template_and_the_healthy_mean_are_those_of_the_run(run: dict[str, str], tmp_path: Path) -> None:
    files = {role: run[role] for role in ("head", "statistics")}
    slim = slimmed(files, {"method": "padim", "maker": {"blocks": [2]}}, tmp_path)
    head, whole = load_volume(slim["head"]), load_volume(run["head"])
    np.testing.assert_allclose(head.data, whole.data, atol=whole.data.max() / 60_000)
    np.testing.assert_array_equal(head.affine, whole.affine)
    with np.load(slim["statistics"]) as arrays, np.load(run["statistics"]) as given:
        np.testing.assert_allclose(arrays["mean"], given["mean"], atol=0.01)
        assert {*arrays} == {"mean", "n"}
    assert "statistics" not in slimmed(files, {"method": "zscore", "maker": {}}, tmp_path)

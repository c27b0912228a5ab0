"""One object a method makes the maps of scans and of copies, whatever file these come from."""

from __future__ import annotations

import runpy
import subprocess
import sys
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from stfpm3d.imaging.grid import NetworkGrid, to_network_grid, write_grid
from stfpm3d.imaging.volumes import Volume, load_volume, resample_like, save_volume
from stfpm3d.learning.fanogan_networks import FAnoGan, save_fanogan
from stfpm3d.learning.resnet import AcsResNet, save_network
from stfpm3d.maps.form import Scan
from stfpm3d.methods.registry import declaration, map_maker
from stfpm3d.runtime import logs

SCRIPTS = Path(__file__).resolve().parents[2] / "workflow/scripts"
SHAPE = (20, 22, 20)
AFFINE = np.diag([4.0, 4, 4, 1])
STFPM = declaration("stfpm").maker
GRID = NetworkGrid((16, 16, 16), np.diag([5.0, 5, 5, 1]))
CPU = {"accelerator": "cpu", "threads": 1, "precision": "32-true"}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A scan on both grids, its support, a smaller brain mask, and untrained networks."""
    folder = tmp_path_factory.mktemp("makers")
    rng = np.random.default_rng(0)
    support, brain = np.zeros((2, *SHAPE), dtype=bool)
    support[2:-2, 2:-2, 2:-2] = brain[5:-5, 5:-5, 5:-5] = True
    for name, data in (("image", rng.normal(size=SHAPE)), ("support", support), ("brain_mask", brain)):
        save_volume(folder / f"{name}.nii.gz", Volume(data, AFFINE))
    np.save(folder / "image.npy", to_network_grid(load_volume(folder / "image.nii.gz"), GRID))
    write_grid(folder / "grid.json", GRID, 0.0)
    for seed, name in enumerate(("teacher", "student")):
        save_network(folder / f"{name}.safetensors", AcsResNet("resnet18", seed=seed))
    save_fanogan(folder / "model.safetensors", FAnoGan(16, 2, 4, seed=0))
    return {path.name if path.suffix == ".npy" else path.name.partition(".")[0]: path for path in folder.iterdir()}


PLAIN = {
    "normalised": False,
    "agreement": False,
    "pooling_mm": 0.0,
    "in_medians": False,
    "smoothing_mm": 0.0,
    "mirror_share": 0.0,
}
PLAIN |= {"asymmetry_weight": 0.0, "lesion_sign": -1}
NETWORKS = {"combine": "product", "blocks": [1, 2], **PLAIN, **CPU}


REGIONAL = {**NETWORKS, "in_medians": True, "smoothing_mm": 8.0, "mirror_share": 0.5, "asymmetry_weight": 2.0}


@pytest.mark.parametrize(
    ("method", "settings"), [("stfpm", NETWORKS), ("stfpm", REGIONAL), ("fanogan", {"kappa": 1.0, **CPU})]
)
def test_a_scan_that_was_resampled_once_has_the_map_of_the_scan(files, method, settings) -> None:
    make = map_maker(declaration(method).maker, settings, files)
    resampled, image = (make(Scan("sub-01", files[name], files["support"])) for name in ("image.npy", "image"))
    assert np.array_equal(resampled.map.data, image.map.data) and resampled.score == image.score
    assert resampled.map.shape == SHAPE
    assert np.ptp(resampled.map.data) > 0


def test_networks_score_by_the_maximum_in_the_brain_and_show_their_blocks(files) -> None:
    made = map_maker(STFPM, NETWORKS, files)(Scan("sub-01", files["image.npy"], files["support"]))
    brain = load_volume(files["brain_mask"]).data > 0
    assert made.score == made.map.data[brain].max() < made.map.data.max()
    assert {name: array.shape for name, array in made.blocks.items() if name != "strides"} == {
        "block1": (4, 4, 4),
        "block2": (2, 2, 2),
    }
    assert made.blocks["strides"].tolist() == [4, 8, 16]


def test_a_smoothed_map_is_interpolated_once_from_the_networks_grid(files) -> None:
    plain, smooth = (
        map_maker(STFPM, NETWORKS | {"smoothing_mm": fwhm_mm}, files)(
            Scan("sub-01", files["image.npy"], files["support"])
        )
        for fwhm_mm in (0.0, 20.0)
    )
    assert plain.source and smooth.source and smooth.source.shape == (16, 16, 16)
    support = load_volume(files["support"]).data > 0
    on_mni = resample_like(smooth.source, smooth.map).data
    np.testing.assert_allclose(smooth.map.data[support], on_mni[support], rtol=1e-6)
    assert smooth.map.data[support].std() < 0.9 * plain.map.data[support].std()


def test_the_papers_figures_show_the_map_of_the_experiment(files, tmp_path, monkeypatch) -> None:
    grid, files = NetworkGrid((32, 40, 24), np.diag([2.5, 2.5, 2.5, 1])), {**files, "grid": tmp_path / "grid.json"}
    write_grid(files["grid"], grid, 0.0)
    np.save(tmp_path / "seen.npy", np.ones(grid.shape, dtype=bool))
    np.save(tmp_path / "array.npy", to_network_grid(load_volume(files["image"]), grid))
    given = {name: str(path) for name, path in files.items()}
    snakemake = {
        "input": {**given, "array": str(tmp_path / "array.npy"), "seen": str(tmp_path / "seen.npy")},
        "output": {"embeddings": str(tmp_path / "embeddings.npz")},
        "params": {"fitted": False, "settings": REGIONAL},
        "wildcards": {"sub": "sub-01"},
        "log": [str(tmp_path / "rule.log")],
    }
    monkeypatch.setattr(logs, "rule_log", lambda path: nullcontext())  # the script's log is not the tests'
    runpy.run_path(str(SCRIPTS / "embeddings.py"), {"snakemake": SimpleNamespace(**snakemake)})
    made = map_maker(STFPM, REGIONAL, files)(Scan("sub-01", tmp_path / "array.npy", files["support"]))
    assert made.source
    with np.load(tmp_path / "embeddings.npz") as shown:
        np.testing.assert_allclose(shown["map"], made.source.data, rtol=1e-5)
        assert {"rgb", "sum3", "block2", "strides"} <= set(shown)


LIGHT = [
    ("intensity", {"lesion_sign": 1, "smoothing_mm": 8.0, "mirror_share": 1.0}),
    ("segmentation", {"top_fraction": 0.1}),
]


def test_what_needs_no_network_imports_no_torch(files) -> None:
    code = (
        "import sys; from stfpm3d.maps.form import Scan; from stfpm3d.methods.registry import map_maker\n"
        f"for maker, settings in {[(declaration(method).maker, settings) for method, settings in LIGHT]!r}:\n"
        f"    make = map_maker(maker, settings, {{'brain_mask': {str(files['brain_mask'])!r}}})\n"
        f"    make(Scan('sub-01', {str(files['image'])!r}, {str(files['support'])!r}))\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], cwd=SCRIPTS, check=True)

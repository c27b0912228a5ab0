"""A whole bundle of the smallest size, its networks untrained: what every field and file of one looks like."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from stfpm3d.imaging.grid import NetworkGrid, write_grid
from stfpm3d.imaging.standardize import PERCENTILES
from stfpm3d.imaging.volumes import Volume, save_volume
from stfpm3d.learning.resnet import AcsResNet, save_network, save_pyramid
from stfpm3d.maps.gaussian import FeatureGaussian, save_gaussian
from stfpm3d.prediction.bundle import DESCRIPTION as BUNDLE_JSON
from stfpm3d.prediction.bundle import content_digest

SHAPE = (20, 22, 20)
AFFINE = np.diag([4.0, 4, 4, 1])
GRID = NetworkGrid((32, 16, 16), np.diag([5.0, 5, 5, 1]))
DESCRIPTION: dict[str, Any] = {
    "experiment": "stfpm-gaussian",
    "method": "stfpm",
    "maker": {
        "combine": "product",
        "blocks": [1, 2, 3],
        "pooling_mm": 0.0,
        "in_medians": False,
        "smoothing_mm": 4.0,
        "mirror_share": 0.5,
        "asymmetry_weight": 1.0,
        "lesion_sign": 1,
        "normalised": False,
        "agreement": False,
        "precision": "32-true",
    },
    "modality": "T2w",
    "space": "MNI152NLin2009cAsym",
    "bias_correction": "none",
    "registration": {"transform": "AffineFast", "seed": 0},
    "min_lesion_ml": 0.05,
    "healthy_quantile": 0.99,
    "threshold": 1.25,
    "validation": {"scores": [0.5, 0.75, 1.5], "least_likeness": 0.97},
    "record": {
        "n_healthy": 20,
        "n_patient": 12,
        "voxel_auprc": 0.5,
        "prevalence": 0.05,
        "dice": 0.4,
        "lesion_recall": 0.75,
        "healthy_fp_ml": 15.0,
        "patient_fp_ml": None,
        "image_score": "warning",
    },
    "made_by": {"version": "0.3.0.dev1", "code": 16 * "a", "packages": ["numpy==2.2.6", "torch==2.14.1"]},
}


def write_parts(folder: Path) -> dict[str, Path]:
    """The files of the bundle, by what they are."""
    rng = np.random.default_rng(0)
    brain = np.zeros(SHAPE, dtype=bool)
    brain[5:-5, 5:-5, 5:-5] = True
    head = rng.uniform(1, 2, size=SHAPE)
    for name, data in (("head", head), ("brain_mask", brain), ("regions", 3 * brain)):
        save_volume(folder / f"{name}.nii.gz", Volume(data, AFFINE))
    np.savez(folder / "statistics.npz", mean=head, n=np.full(SHAPE, 5))
    np.save(folder / "atlas.npy", rng.uniform(size=GRID.shape).astype(np.float32))
    write_grid(folder / "grid.json", GRID, 0.0)
    landmarks = "".join(f"{percentile}\t{value}.5\n" for value, percentile in enumerate(PERCENTILES))
    texts = {
        "landmarks.tsv": "percentile\tlandmark\n" + landmarks,
        "region_names.csv": "index,name\n0,Unknown\n3,left-putamen\n",
        "MODEL_CARD.md": "# Model card\n",
        "config.yaml": "cohort: {participants: demo}\n",
    }
    for name, text in texts.items():
        (folder / name).write_text(text)
    for seed, name in enumerate(("teacher", "student")):
        save_network(folder / "whole.safetensors", AcsResNet("resnet18", 2, seed=seed))
        save_pyramid(folder / f"{name}.safetensors", folder / "whole.safetensors")
    (folder / "whole.safetensors").unlink()
    sizes = [(1, 64, 8, 4, 4), (1, 128, 4, 2, 2), (1, 256, 2, 1, 1)]  # strides of 4, 8 and 16
    blocks = [torch.ones(size) for size in sizes]
    save_gaussian(folder / "gaussian.safetensors", FeatureGaussian(5, blocks, [block.clone() for block in blocks]))
    return {path.name.partition(".")[0]: path for path in folder.iterdir()}


def edit(bundle: Path, change: Callable[[dict[str, Any]], None], *, forged: bool) -> None:
    """Change what `bundle.json` says; a forger computes its digest anew."""
    path = bundle / BUNDLE_JSON
    content = json.loads(path.read_text(encoding="utf-8"))
    change(content)
    if forged:
        content["sha256"] = content_digest(content)
    path.write_text(json.dumps(content), encoding="utf-8")

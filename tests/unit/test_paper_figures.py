from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import Image

from stfpm3d.imaging.grid import NetworkGrid
from stfpm3d.imaging.volumes import Volume
from stfpm3d.learning.resnet import AcsResNet
from stfpm3d.maps.embeddings import channel_sums, pseudo_rgb
from stfpm3d.reporting.paper_figures import paper_figures

SIZE = 48


@pytest.fixture(scope="module")
def features() -> list[torch.Tensor]:
    """Features of a scan whose left half is smooth and whose right half is checkered."""
    scan = torch.zeros(1, 1, SIZE, SIZE, SIZE)
    scan[0, 0, SIZE // 2 :, ::2, ::2] = 4
    with torch.no_grad():
        return list(AcsResNet("resnet18", seed=0).eval().pyramid(scan))


def test_the_sum_is_of_vectors_of_length_one():
    block = torch.tensor([3.0, 4.0]).view(1, 2, 1, 1, 1)
    assert channel_sums([block])[0].item() == pytest.approx(0.6 + 0.8)


def test_like_tissue_has_like_colour_and_unlike_tissue_another(features):
    colours = pseudo_rgb(features, np.ones((SIZE, SIZE, SIZE), dtype=bool)).astype(float)
    inner = slice(SIZE // 2 - 8, SIZE // 2 + 8)
    smooth, checkered = colours[8, inner, inner].reshape(-1, 3), colours[SIZE - 8, inner, inner].reshape(-1, 3)
    between = np.linalg.norm(smooth.mean(axis=0) - checkered.mean(axis=0))
    within = max(np.linalg.norm(part - part.mean(axis=0), axis=1).mean() for part in (smooth, checkered))
    assert between > 2 * within


def test_the_figures_have_the_papers_columns_and_rows(features):
    grid = NetworkGrid((SIZE, SIZE, SIZE), np.diag([2.0, 2.0, 2.0, 1.0]))
    brain = np.zeros((SIZE, SIZE, SIZE), dtype=bool)
    brain[8:40, 8:40, 8:40] = True
    embeddings = {f"sum{i}": sums for i, sums in enumerate(channel_sums(features), start=1)}
    embeddings |= {f"block{i}": sums**2 for i, sums in enumerate(channel_sums(features), start=1)}
    embeddings |= {"rgb": pseudo_rgb(features, brain), "strides": np.array([4, 8, 16])}
    embeddings["map"] = np.random.default_rng(0).random((SIZE, SIZE, SIZE), dtype=np.float32)
    image = Volume(embeddings["map"], grid.affine)
    mask = Volume(brain, grid.affine)
    figures = paper_figures(image, mask, None, embeddings, grid)
    sizes = {name: Image.open(BytesIO(png)).size for name, png in figures.items()}
    # 5 and 7 square panels in a row, one or three rows below the titles.
    assert sizes["figure2"][0] / 5 == pytest.approx(sizes["figure3"][0] / 7, rel=0.02)
    title = sizes["figure3"][1] - sizes["figure3"][0] / 7
    assert sizes["figure4"][1] - title == pytest.approx(3 * (sizes["figure3"][1] - title), rel=0.05)

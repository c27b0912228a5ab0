"""What a bundle's files hold besides networks, read once and compared with each other before any scan is."""

from __future__ import annotations

import csv
import json
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from math import ceil
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from stfpm3d.imaging.grid import NetworkGrid, read_grid
from stfpm3d.imaging.standardize import PERCENTILES, read_landmarks
from stfpm3d.imaging.volumes import Volume, load_mask, load_volume
from stfpm3d.prediction.anomalies import Atlas, read_atlas
from stfpm3d.prediction.bundle import COPY_AGAIN, Bundle
from stfpm3d.prediction.likeness import HealthyMean, read_healthy_mean
from stfpm3d.runtime.errors import InputError

MALFORMED = (
    OSError,
    EOFError,
    ValueError,
    KeyError,
    TypeError,
    IndexError,
    OverflowError,
    AttributeError,
    MemoryError,
    RecursionError,
    SafetensorError,
    csv.Error,
    zipfile.BadZipFile,
    zlib.error,
)
"""What readers raise on files that are not of their form."""
LONGEST_EDGE = 1024
"""Most voxels along an axis of the networks' grid."""


WIDTHS = {"resnet18": 64, "resnet34": 64, "resnet50": 256}
"""Channels after the first block of each architecture."""


class Parts(NamedTuple):
    """The volumes are on one grid, the template's."""

    head: Volume
    brain: Volume
    brain_mask: Volume
    healthy: HealthyMean
    landmarks: NDArray[np.float64]
    atlas: Atlas


def read_parts(bundle: Bundle) -> Parts:
    """Read what every bundle holds, and check the form of the arrays that networks need.

    Raises
    ------
    InputError
        Names the file that cannot be read, or has another form than the others.
    """
    files = bundle.files
    with _of_its_form(files["brain_mask"]):
        brain_mask = load_mask(files["brain_mask"])
        _require(bool(brain_mask.data.any()), "it marks no voxel")
    with _of_its_form(files["head"]):
        head = load_volume(files["head"])
        _check_same_grid(head, brain_mask)
    with _of_its_form(files["statistics"]):
        names = {"mean", "n", "sd"} if bundle.description["method"] == "zscore" else {"mean", "n"}
        _check_statistics(files["statistics"], brain_mask.shape, names)
        healthy = read_healthy_mean(files["statistics"])
    with _of_its_form(files["landmarks"]):
        landmarks = read_landmarks(files["landmarks"])
        _require(landmarks.shape == (len(PERCENTILES),), f"it has {landmarks.size} rows, expected {len(PERCENTILES)}")
        _require(bool(np.isfinite(landmarks).all() and (np.diff(landmarks) > 0).all()), "they do not increase")
    with _of_its_form(files["regions"]):
        load_volume(files["regions"])
    with _of_its_form(files["region_names"]):
        atlas = read_atlas(files["regions"], files["region_names"])
        _require(bool(atlas.names) and all(atlas.names.values()), "it names no regions, or some without a name")
    if "grid" in files:
        _check_networks(bundle)
    brain = Volume(head.data * brain_mask.data, head.affine)
    return Parts(head, brain, brain_mask, healthy, landmarks, atlas)


@contextmanager
def _of_its_form(path: Path) -> Iterator[None]:
    """What goes wrong with a file is said in a sentence that names it."""
    try:
        yield
    except MALFORMED as error:
        reason = str(error).removeprefix(str(path)).partition(";")[0].strip() or type(error).__name__
        raise InputError(f"{path} does not hold what it should ({reason}); {COPY_AGAIN}.") from error


def _require(right: bool, problem: str) -> None:
    if not right:
        raise ValueError(problem)


def _check_same_grid(volume: Volume, brain_mask: Volume) -> None:
    same = volume.shape == brain_mask.shape and np.allclose(volume.affine, brain_mask.affine, atol=1e-3)
    _require(same, "its grid is not the brain mask's")


def _check_statistics(path: Path, shape: tuple[int, int, int], names: set[str]) -> None:
    with np.load(path, allow_pickle=False) as arrays:
        expected = ", ".join(sorted(names))
        _require({*arrays.files} == names, f"it holds {', '.join(arrays.files)}, expected {expected}")
        for name in arrays.files:
            _check_array(arrays[name], shape, name)


def _check_array(array: NDArray, shape: tuple[int, ...], name: str) -> None:
    _require(array.shape == shape, f"{name} has shape {array.shape}, expected {shape}")
    _require(array.dtype.kind in "fiu", f"{name} holds {array.dtype}, expected numbers")
    _require(bool(np.isfinite(array).all()), f"{name} holds NaN or infinite values")


def _check_box(grid: NetworkGrid) -> None:
    """A grid is a box of equal voxels along the axes of MNI space."""
    edges = all(type(edge) is int and 0 < edge <= LONGEST_EDGE for edge in grid.shape)
    _require(len(grid.shape) == 3 and edges, f"its shape is {grid.shape}")
    _check_array(grid.affine, (4, 4), "its affine")
    spacing_mm = grid.affine[0, 0]
    box = np.diag([spacing_mm] * 3 + [1.0])
    box[:3, 3] = grid.affine[:3, 3]
    _require(spacing_mm > 0 and np.array_equal(box, grid.affine), "its affine is no box along the axes")


def _check_networks(bundle: Bundle) -> None:
    """Networks take what the grid and the atlas give, and the Gaussian is of their features; no weight is read."""
    files, maker = bundle.files, bundle.description["maker"]
    with _of_its_form(files["grid"]):
        grid = read_grid(files["grid"])
        _check_box(grid)
    if "atlas" in files:
        with _of_its_form(files["atlas"]):
            _check_array(np.load(files["atlas"], allow_pickle=False), grid.shape, "the atlas")
    if "model" in files:
        with _of_its_form(files["model"]):
            taken = _voxels_taken(files["model"])
            _require(grid.shape == taken, f"it takes {taken} voxels, the grid has {grid.shape}")
    architectures = []
    for role in ("teacher", "student"):
        if role in files:
            with _of_its_form(files[role]):
                form, channels = _metadata(files[role], "network"), 1 + ("atlas" in files)
                _require(form["in_channels"] == channels, f"it takes {form['in_channels']} channels, not {channels}")
                architectures.append(form["architecture"])
                _require(architectures[-1] in WIDTHS, "it is no ResNet of ours")
                _require(architectures[0] == architectures[-1], f"it is a {architectures[-1]}, its teacher is not")
                last = f"layer{max(maker['blocks'])}.0.conv1.weight"
                _require(last in _tensors(files[role]), f"it lacks {last}")
    if "gaussian" in files:
        with _of_its_form(files["gaussian"]):
            width = WIDTHS[architectures[0]] * (2 if maker["agreement"] else 1)
            _check_gaussian(files["gaussian"], grid.shape, width, maker["blocks"])


def _voxels_taken(path: Path) -> tuple[int, ...]:
    """The shape of the scans that an f-AnoGAN or a segmenter takes."""
    form = _metadata(path, "network")
    if "size" in form:
        return (form["size"],) * 3
    with safe_open(path, framework="numpy") as file:
        return tuple(file.get_slice("mean").get_shape())


def _check_gaussian(path: Path, shape: tuple[int, ...], width: int, blocks: Sequence[int]) -> None:
    """A Gaussian has the sizes of a pyramid on a grid of `shape`, whose first block has `width` channels."""
    n = _metadata(path, "gaussian")["n"]
    _require(type(n) is int and n >= 2, f"it is of {n} scans, expected 2 or more")
    with safe_open(path, framework="numpy") as file:
        for block in blocks:
            expected = [1, width * 2 ** (block - 1), *(ceil(edge / 2 ** (block + 1)) for edge in shape)]
            for name in (f"mean{block}", f"root{block}"):
                found = list(file.get_slice(name).get_shape())
                _require(found == expected, f"{name} has shape {found}, expected {expected}")


def _tensors(path: Path) -> list[str]:
    with safe_open(path, framework="numpy") as file:
        return [*file.keys()]


def _metadata(path: Path, name: str) -> dict[str, Any]:
    with safe_open(path, framework="numpy") as file:
        return json.loads(file.metadata()[name])

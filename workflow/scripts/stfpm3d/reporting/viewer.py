"""What the report's viewer shows: scans, truth and maps as whole numbers of eight bits, one script a scan.

A page that is opened from a file may load scripts, and nothing else. So each scan's volumes are a script that hands
them to the page, gzipped and as text; the page reads one when it is asked for.
"""

from __future__ import annotations

import gzip
import json
import math
from base64 import b64encode
from collections.abc import Hashable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib as mpl
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from stfpm3d.evaluation.lesionwise import least_voxels
from stfpm3d.imaging.grid import NetworkGrid
from stfpm3d.imaging.volumes import Volume, load_mask, load_volume
from stfpm3d.reporting.figures import brain_box, percentile_window
from stfpm3d.runtime.digits import significant
from stfpm3d.runtime.files import replacing

EDGE_MM = 2.0
"""Voxels of a finer grid are left out until theirs are as large."""
GREYS = 63
"""The scan's steps from dark to bright; more only keep its noise."""
LEVELS = np.geomspace(0.25, 1e-6, 240)
"""Shares of the brain voxels of all pictured scans that lie above a map's steps: finest where anomalies are."""
GZIP_LEVEL = 6
"""The best, 9, takes six times as long and saves 2 %."""


class View(NamedTuple):
    """The part of the MNI grid that the viewer holds: every `step`-th voxel of the box of the brain."""

    box: tuple[slice, slice, slice]
    step: int
    brain: NDArray[np.bool_]
    affine: NDArray[np.float64]

    def of(self, volume: Volume) -> NDArray:
        """A volume's values in the view (X, Y, Z)."""
        return volume.data[self.box]

    @property
    def voxel_ml(self) -> float:
        """Volume of one of its voxels in ml."""
        return Volume(self.brain, self.affine).voxel_ml


def view_of(brain_mask: Volume) -> View:
    """Choose the view of a template's brain."""
    step = max(1, math.floor(EDGE_MM / float(brain_mask.spacing_mm.max()) + 1e-6))
    x, y, z = (slice(part.start, part.stop, step) for part in brain_box(brain_mask))
    affine = brain_mask.affine @ np.diag([step, step, step, 1.0])
    affine[:3, 3] = (brain_mask.affine @ [x.start, y.start, z.start, 1])[:3]
    return View((x, y, z), step, brain_mask.data[x, y, z], affine)


def map_levels(values: NDArray, threshold: float) -> NDArray[np.float64]:
    """The rising values (n,) at which a map's steps begin; the threshold is one of them, if there is one."""
    edges = np.quantile(values, 1 - LEVELS).astype(np.float64)
    return np.unique(edges if np.isnan(threshold) else np.append(edges, threshold))


def quantized(values: NDArray, levels: NDArray[np.float64]) -> NDArray[np.uint8]:
    """The number of levels that each value reaches: value `levels[k]` or more if and only if the result exceeds k."""
    return np.searchsorted(levels, values, side="right").astype(np.uint8)


def write_volumes(
    folder: Path | str,
    scans: pd.DataFrame,
    maps: Mapping[str, Mapping[Hashable, Path | str]],
    thresholds: Mapping[str, float],
    brain_mask: Volume,
    grid: NetworkGrid,
    min_lesion_ml: float,
) -> dict[str, Any]:
    """Write one script a scan into a folder, and give what the page must know of all of them.

    Parameters
    ----------
    folder
        Where `{name}.js` are written.
    scans
        `scan_id`, `name` (what the page calls it), `image` and `lesion_mask` (paths on the MNI grid, or missing).
    maps
        Each experiment's maps by `scan_id`, on the MNI grid.
    thresholds
        The headline threshold of each experiment; NaN for none.
    brain_mask
        The template's brain mask on the MNI grid.
    grid
        The crop that the networks see.
    min_lesion_ml
        Lesions and components below it do not count.
    """
    view = view_of(brain_mask)
    experiments = {}
    texts: dict[str, dict[str, str]] = {scan_id: {} for scan_id in scans["scan_id"]}
    for name, paths in maps.items():
        values = [view.of(load_volume(paths[scan_id]))[view.brain] for scan_id in texts]
        levels = map_levels(np.concatenate(values), thresholds[name])
        at = None if np.isnan(thresholds[name]) else int(np.searchsorted(levels, thresholds[name])) + 1
        experiments[name] = {"levels": [significant(level, 4) for level in levels], "threshold": at}
        for scan_id, inside in zip(texts, values, strict=True):
            texts[scan_id][name] = _packed(_in_brain(quantized(inside, levels), view.brain))
    for row in scans.to_dict("records"):
        image, grey = load_volume(str(row["image"])), np.zeros(view.brain.shape, np.uint8)
        low, high = percentile_window(image.data[brain_mask.data], 0.5, 99.7)
        grey[:] = np.rint(np.clip((view.of(image) - low) / (high - low), 0, 1) * GREYS)
        lesion = None
        if isinstance(row["lesion_mask"], str | Path):
            lesion = _packed(view.of(load_mask(str(row["lesion_mask"]))).astype(np.uint8))
        content = {"scan": _packed(grey), "window": [low, high], "lesion": lesion, "maps": texts[row["scan_id"]]}
        with replacing(Path(folder) / f"{row['name']}.js") as temporary:
            text = f"viewer.receive({json.dumps(row['name'])}, {json.dumps(content)});\n"
            temporary.write_text(text, encoding="utf-8")
    return {
        "shape": view.brain.shape,
        "affine": view.affine.tolist(),
        "step": view.step,
        "voxel_ml": view.voxel_ml,
        "min_voxels": least_voxels(min_lesion_ml, view.voxel_ml),
        "greys": GREYS,
        "brain": _packed(view.brain.astype(np.uint8)),
        "crop": _crop_in(view, grid),
        "experiments": experiments,
        "colours": [
            [round(255 * part) for part in mpl.colormaps["inferno"](x)[:3]] for x in np.linspace(0.4, 0.95, 32)
        ],
    }


def _in_brain(values: NDArray[np.uint8], brain: NDArray[np.bool_]) -> NDArray[np.uint8]:
    volume = np.zeros(brain.shape, np.uint8)
    volume[brain] = values
    return volume


def _packed(volume: NDArray[np.uint8]) -> str:
    """A volume (X, Y, Z), z running fastest, as gzipped text; the same bytes for the same volume."""
    return b64encode(gzip.compress(np.ascontiguousarray(volume).tobytes(), GZIP_LEVEL, mtime=0)).decode()


def _crop_in(view: View, grid: NetworkGrid) -> list[list[float]]:
    """The lower and upper faces of the network's crop, three numbers each, in voxels of the view."""
    inverse = np.linalg.inv(view.affine)
    ends = (np.full(3, -0.5), np.array(grid.shape) - 0.5)
    corners = [inverse @ grid.affine @ [*index, 1] for index in ends]
    return [[round(float(number), 2) for number in corner[:3]] for corner in corners]


def pictured(scans: Sequence[str], first: Sequence[str], most: int) -> Iterator[str]:
    """The scans to picture, at most `most`: those to look at first, then the others in order."""
    yield from list(dict.fromkeys([*first, *scans]))[:most]

"""Anomaly maps on the MNI grid: what makes them, their form outside the brain, and their score."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from stfpm3d.imaging.grid import NetworkGrid, to_network_grid
from stfpm3d.imaging.volumes import Volume, load_mask, load_volume, resample_like, save_volume
from stfpm3d.maps.separable import gaussian
from stfpm3d.maps.tables import map_row, withdraw_tables
from stfpm3d.runtime.files import replacing, write_table
from stfpm3d.runtime.logs import progress

FWHM_PER_SIGMA = float(np.sqrt(8 * np.log(2)))
LEAST_WEIGHT = 0.01
"""Share of a Gaussian that must lie in the support."""

log = logging.getLogger(__name__)


def outside_minimum(values: NDArray, support: Volume) -> Volume:
    """A map (X, Y, Z) with its minimum over the support everywhere else: what was not seen counts as healthy."""
    data = np.where(support.data, values, values[support.data].min())
    return Volume(data.astype(np.float32), support.affine)


def smoothed(anomaly_map: Volume, support: Volume, fwhm_mm: float) -> Volume:
    """A map after a Gaussian of `fwhm_mm` over the support, both on one grid; 0 returns it as it is.

    The Gaussian is normalised by the smoothed support, or the brain's rim would look healthy. The values go on a little
    beyond the rim, so that the map can still be interpolated there; farther out stands the support's minimum.
    """
    if fwhm_mm == 0:
        return anomaly_map
    sigma = fwhm_mm / FWHM_PER_SIGMA / anomaly_map.spacing_mm
    inside = support.data
    weight = gaussian(inside, sigma)
    sums = gaussian(np.where(inside, anomaly_map.data, 0), sigma)
    values = np.divide(sums, weight, out=np.full_like(sums, np.inf), where=weight > LEAST_WEIGHT)
    return Volume(np.where(np.isinf(values), values.min(), values), anomaly_map.affine)


def less_mirrored(anomaly_map: Volume, support: Volume, share: float) -> Volume:
    """A map minus a share of its mirror image across the midline, x = 0 in MNI space; 0 returns it as it is.

    Map and support are on one grid along the axes of MNI space. Where the mirror image leaves the support a voxel is
    its own partner.
    """
    if share == 0:
        return anomaly_map
    values, voxels = anomaly_map.data, np.arange(len(anomaly_map.data))
    places = -2 * anomaly_map.affine[0, 3] / anomaly_map.affine[0, 0] - voxels  # of the partners, along the first axis
    nearest, linear = np.floor(places + 0.5), np.clip(places, 0, voxels[-1])
    covered = np.isin(nearest, voxels)[:, None, None] & support.data[np.clip(nearest, 0, voxels[-1]).astype(int)]
    weights = np.maximum(1 - abs(linear[:, None] - voxels), 0).astype(np.float32)
    partner = np.where(covered, np.tensordot(weights, values, axes=1), values)
    return Volume(values - share * partner, anomaly_map.affine)


def image_score(anomaly_map: Volume, brain_mask: Volume) -> float:
    """A scan's score: the maximum of its map (paper, section 3.2), over the template's brain."""
    return float(anomaly_map.data[brain_mask.data].max())


class Scan(NamedTuple):
    """What a map is made from."""

    scan_id: str
    image: Path | str
    """The standardized scan, NIfTI on the MNI grid, or .npy on the grid of a method's networks, which is the same
    resampled once; of a method that works on another experiment's maps, that map."""
    support: Path | str
    """Mask on the MNI grid of the voxels that the scan holds."""
    fitted: bool = False
    """Whether the method's Gaussian has seen the scan, which is then taken out of it."""
    beside: Sequence[Path | str] = ()
    """Further files of the scan, where a method asks for such (`methods.row.MethodRow.beside`)."""

    def volumes(self) -> tuple[Volume, Volume]:
        """Image and support, both on the MNI grid."""
        return load_volume(self.image, self.scan_id), load_mask(self.support, self.scan_id)


def array_of(scan: Scan, grid: NetworkGrid) -> NDArray[np.float16]:
    """A scan (X, Y, Z) on the network grid, read or resampled."""
    if Path(scan.image).suffix == ".npy":
        return np.load(scan.image)
    return to_network_grid(load_volume(scan.image, scan.scan_id), grid)


class ScoredMap(NamedTuple):
    """A map on the MNI grid and the scan's score, NaN for none."""

    map: Volume
    score: float
    blocks: Mapping[str, Any] = {}
    """For the eye, arrays: `block1` and so on, what each ResNet block of the map finds (network grid), and all
    `strides`."""
    source: Volume | None = None
    """The map on the network grid, where it was computed there and only resampled since."""


class MapMaker(Protocol):
    """A method, ready to make maps; `registry.map_maker` gives one."""

    def __call__(self, scan: Scan, /) -> ScoredMap:
        """The scan's map on the MNI grid, and its score."""
        ...


def scored(anomaly_map: Volume, brain_mask: Volume) -> ScoredMap:
    """A map with its `image_score`, that of every method without one of its own."""
    return ScoredMap(anomaly_map, image_score(anomaly_map, brain_mask))


def map_on_mni(map_grid: Volume, support_mni: Volume) -> Volume:
    """Bring a map from the network grid to the grid of `support_mni`, linearly.

    Outside the network grid (the crop) and outside the support the map is its minimum: a lesion cut off counts as
    missed.
    """
    resampled = resample_like(map_grid, support_mni, fill=float(map_grid.data.min()))
    return outside_minimum(resampled.data, support_mni)


def blocks_file(anomaly_map: Path, scan_id: str) -> Path:
    """Where the blocks of a scan stand, beside its map."""
    return anomaly_map.with_name(f"{scan_id}_blocks.npz")


def write_maps(table: Path | str, scans: Mapping[str, Scan], make: MapMaker) -> None:
    """Write the maps of some scans into the folder of a table, then the table, which vouches for them.

    Tables and earlier maps of the same scans are removed first, so that no table ever vouches for another run's map.

    Parameters
    ----------
    table
        The path to write, a `batch-*.tsv`; `tables.map_row` has its columns.
    scans
        By the names of the files to write.
    make
        Makes a scan's map.
    """
    table = Path(table)
    withdraw_tables(table, {scan.scan_id for scan in scans.values()})
    paths = {table.with_name(name): scan for name, scan in scans.items()}
    for path, scan in paths.items():
        path.unlink(missing_ok=True)
        blocks_file(path, scan.scan_id).unlink(missing_ok=True)
    rows = []
    for path, scan in progress(paths.items(), "maps", len(paths)):
        made = make(scan)
        save_volume(path, made.map)
        blocks = blocks_file(path, scan.scan_id) if made.blocks else None
        if blocks:
            with replacing(blocks) as temporary:
                np.savez_compressed(temporary, **made.blocks)
        rows.append(map_row(scan.scan_id, made.score, path, blocks))
        log.info("%s: score %.4g (%d of %d)", scan.scan_id, made.score, len(rows), len(paths))
    write_table(table, pd.DataFrame(rows))

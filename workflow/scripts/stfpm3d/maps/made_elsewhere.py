"""Maps that were made elsewhere, brought to the MNI grid in one interpolation."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from stfpm3d.imaging.headers import check_same_grid, read_header, spatial_shape
from stfpm3d.imaging.registration import read_transform
from stfpm3d.imaging.volumes import Volume, load_mask, read_volume, resample_like
from stfpm3d.maps.form import MapMaker, Scan, ScoredMap, outside_minimum, scored
from stfpm3d.runtime.errors import InputError

LEAST_COVERED = 0.9
"""Share of a scan's brain that its map must hold, or it is misplaced."""


def given_maps(files: Mapping[str, Path | str], *, binary: bool) -> MapMaker:
    """Takes maps as they are, or masks (`binary`), which get no score; `files` holds the `brain_mask`.

    Beside a map stand its native scan and, of a map on that scan's grid, the files of the transform. A map in MNI space
    has the native scan alone, or nothing where scans are not registered.
    """
    brain_mask = load_mask(files["brain_mask"], "template")

    def make(scan: Scan) -> ScoredMap:
        who, support = f"{scan.scan_id}: {scan.image}", load_mask(scan.support, scan.scan_id)
        found, transform = read_volume(scan.image, scan.scan_id), None
        if scan.beside:
            native, *transform_files = scan.beside
            header = read_header(native, scan.scan_id)
            native_grid = spatial_shape(header), np.asarray(header.affine, dtype=np.float64)
            if transform_files:
                check_same_grid(found.shape, found.affine, *native_grid, who)
                transform = read_transform(transform_files)
            elif found.shape == native_grid[0] and np.allclose(found.affine, native_grid[1], atol=1e-3):
                raise InputError(f"{who} lies on the grid of the scan, not in MNI space; say `space: scan` in its row.")
        whole = Volume(np.ones(found.shape, dtype=bool), found.affine)
        held = resample_like(whole, support, nearest=True, transform=transform).data & support.data
        if (covered := held.sum() / support.data.sum()) < LEAST_COVERED:
            raise InputError(
                f"{who}: it covers {100 * covered:.0f} % of the brain, expected at least {100 * LEAST_COVERED:.0f} %,"
                " so it does not lie where `space` of its row says; correct its header, or `space`."
            )
        mni = resample_like(found, support, nearest=binary, fill=float(found.data.min()), transform=transform)
        if binary:
            return ScoredMap(Volume(np.asarray(mni.data * support.data > 0, dtype=np.float32), mni.affine), math.nan)
        if len(np.unique(found.data)) == 2:
            raise InputError(f"{who} holds two values alone, as a mask does; say `binary: true` in its row.")
        return scored(outside_minimum(mni.data, support), brain_mask)

    return make

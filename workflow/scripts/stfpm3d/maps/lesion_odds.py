"""Anomaly maps of a segmenter: how likely each voxel belongs to a lesion."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from stfpm3d.imaging.grid import read_grid
from stfpm3d.imaging.volumes import Volume, load_mask
from stfpm3d.learning.compute import Precision, one_device
from stfpm3d.learning.unet import load_segmenter
from stfpm3d.maps.form import MapMaker, Scan, ScoredMap, array_of, map_on_mni, scored


def segmenter_maps(
    files: Mapping[str, Path | str], *, accelerator: str, threads: int, precision: Precision
) -> MapMaker:
    """Makes maps of log odds: at 0 a voxel is as likely lesion as not.

    `files` holds the `brain_mask`, and of the segmenter the weights, `model`, and the `grid`.
    """
    place = one_device(accelerator, threads, precision)
    network = load_segmenter(Path(files["model"])).to(place.device)
    grid, brain_mask = read_grid(files["grid"]), load_mask(files["brain_mask"], "template")

    @torch.inference_mode()
    def make(scan: Scan) -> ScoredMap:
        array = torch.from_numpy(array_of(scan, grid).astype(np.float32)).to(place.device)
        with place.autocast():
            log_odds = network.log_odds(array)
        source = Volume(log_odds.cpu().numpy(), grid.affine)
        on_mni = map_on_mni(source, load_mask(scan.support, scan.scan_id))
        return scored(on_mni, brain_mask)._replace(source=source)

    return make

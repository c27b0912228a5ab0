"""Anomaly maps and scores from a trained f-AnoGAN."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from stfpm3d.imaging.grid import NetworkGrid
from stfpm3d.imaging.volumes import Volume, load_mask
from stfpm3d.learning.compute import Precision, one_device
from stfpm3d.learning.fanogan_networks import RANGE_SD, FAnoGan, load_fanogan, to_range
from stfpm3d.maps.form import ScoredMap
from stfpm3d.maps.network import map_on_mni


@torch.inference_mode()
def residual_map(network: FAnoGan, scan: NDArray, kappa: float) -> tuple[NDArray[np.float32], float]:
    """Return the residual |x - G(E(x))| of a scan x (size, size, size), in SD, and the scan's score.

    The score is the mean squared residual, in the generator's units, and `kappa` times that of the critic's features
    (izi_f; anomaly_detection.py of Schlegl's published code). The network is in evaluation mode.
    """
    volume = torch.from_numpy(scan.astype(np.float32))[None, None].to(next(network.parameters()).device)
    given = to_range(volume)
    reconstruction = network(given)
    residual = (given - reconstruction.scans).abs()[0, 0] * RANGE_SD
    return residual.cpu().numpy(), float(reconstruction.distance(kappa))


class FanoganMaps:
    """The anomaly maps of an f-AnoGAN; call it with a row of `write_maps`' table.

    Parameters
    ----------
    model
        Weights that `save_fanogan` wrote.
    grid
        The grid of its scans in MNI space.
    kappa
        Weight of the critic's features in the score.
    accelerator, threads
        Lightning's name of where to compute, and the number of CPU threads.
    precision
        Lightning's name of the networks' precision.
    """

    def __init__(
        self,
        model: Path,
        grid: NetworkGrid,
        *,
        kappa: float,
        accelerator: str,
        threads: int,
        precision: Precision = "32-true",
    ) -> None:
        self.fabric = one_device(accelerator, threads, precision)
        self.network = load_fanogan(model).to(self.fabric.device)
        self.grid = grid
        self.kappa = kappa

    def __call__(self, scan: Mapping[Hashable, Any]) -> ScoredMap:
        """Return the map on the MNI grid and the score.

        The row has `scan_id`, `array` (scan on the network grid, .npy) and `support` (mask on the MNI grid).
        """
        return self.of_array(np.load(scan["array"]), load_mask(scan["support"], scan["scan_id"]))

    def of_array(self, array: NDArray, support: Volume) -> ScoredMap:
        """Return the same of a scan on the network grid and its mask on the MNI grid."""
        with self.fabric.autocast():
            residual, score = residual_map(self.network, array, self.kappa)
        return ScoredMap(map_on_mni(Volume(residual, self.grid.affine), support), score)

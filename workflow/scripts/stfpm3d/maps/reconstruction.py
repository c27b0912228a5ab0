"""Anomaly maps and scores from a trained f-AnoGAN."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from stfpm3d.imaging.grid import NetworkGrid, read_grid
from stfpm3d.imaging.volumes import Volume, load_mask
from stfpm3d.learning.compute import Precision, one_device
from stfpm3d.learning.fanogan_networks import RANGE_SD, FAnoGan, load_fanogan, to_range
from stfpm3d.maps.form import Scan, ScoredMap, array_of, map_on_mni


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
    """Makes maps by an f-AnoGAN.

    Parameters
    ----------
    network
        In evaluation mode.
    grid
        The grid of its scans in MNI space.
    kappa
        Weight of the critic's features in the score.
    autocast
        The context of the network's precision.
    """

    def __init__(
        self,
        network: FAnoGan,
        grid: NetworkGrid,
        *,
        kappa: float,
        autocast: Callable[[], AbstractContextManager] = nullcontext,
    ) -> None:
        self.network, self.grid, self.kappa, self.autocast = network, grid, kappa, autocast

    def __call__(self, scan: Scan) -> ScoredMap:
        """The residual on the MNI grid, and a score of its own (see `residual_map`)."""
        with self.autocast():
            residual, score = residual_map(self.network, array_of(scan, self.grid), self.kappa)
        source = Volume(residual, self.grid.affine)
        return ScoredMap(map_on_mni(source, load_mask(scan.support, scan.scan_id)), score, source=source)


def fanogan_maps(
    files: Mapping[str, Path | str], *, kappa: float, accelerator: str, threads: int, precision: Precision
) -> FanoganMaps:
    """Makes maps by the f-AnoGAN in some files, its weights `model` and `grid`, on one device (see `one_device`)."""
    place = one_device(accelerator, threads, precision)
    network = load_fanogan(Path(files["model"])).to(place.device)
    return FanoganMaps(network, read_grid(files["grid"]), kappa=kappa, autocast=place.autocast)

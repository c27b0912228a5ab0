"""The input channels of the networks: the scan and, if the teacher has one, an atlas."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray


def load_atlas(path: Path | None) -> NDArray[np.float32] | None:
    """The atlas on the network grid, (X, Y, Z) in [0, 1]; None for networks that have none."""
    return None if path is None else np.load(path)


def stack_channels(scan: NDArray, atlas: NDArray | None) -> NDArray[np.float32]:
    """A scan (X, Y, Z), and the atlas of the same place beside it, as the networks take them: float32 (C, X, Y, Z)."""
    return np.stack([scan] if atlas is None else [scan, atlas]).astype(np.float32)

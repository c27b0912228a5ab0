"""Lesions by size: thirds of those at hand, so that none is empty."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

SIZES = ("small", "medium", "large")


def thirds(volumes: ArrayLike) -> dict[str, NDArray[np.intp]]:
    """The places of the small, the medium and the large lesions among `volumes` (n,), by rising volume; none below
    three lesions.
    """
    order = np.argsort(volumes, kind="stable")
    if order.size < len(SIZES):
        return {}
    return dict(zip(SIZES, np.array_split(order, len(SIZES)), strict=True))

"""How well a scan's intensities tell the template's, in any contrast: everywhere at once, or block by block."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

BINS = 32


def correlation_ratio(scan: NDArray, template: NDArray) -> float:
    """Correlation of the template's intensities with their mean in each of 32 bins of the scan's intensities.

    It needs no linear relation, so that a T2w scan is compared with a T1w template (Roche et al., MICCAI 1998).
    """
    told = _told(scan, template)
    return float(told.std() / template.std(dtype=np.float64)) if told.any() else 0.0


def local_similarity(scan: NDArray, template: NDArray, inside: NDArray[np.bool_], edge: int) -> float:
    """Median, over blocks of `edge` voxels, of the correlation of the template with what the scan tells of it.

    What the scan tells is the template's mean intensity in each of 32 bins of the scan's intensities. A lesion lowers
    the correlation of the blocks that hold it, and so hardly the median, as long as it spares half of them.

    Parameters
    ----------
    scan, template, inside
        (X, Y, Z). What is not `inside` does not count, nor a block with less than half of its voxels inside.
    """
    told = np.zeros(scan.shape)
    told[inside] = _told(scan[inside], template[inside])
    first, second, weight = (_blocks(data, edge) for data in (told, template, inside))
    sizes = weight.sum(axis=1, keepdims=True)
    kept = sizes[:, 0] >= weight.shape[1] / 2
    if not kept.any():
        return 0.0
    first, second, weight, sizes = first[kept], second[kept], weight[kept], sizes[kept]
    first, second = ((data - (data * weight).sum(axis=1, keepdims=True) / sizes) * weight for data in (first, second))
    lengths = np.sqrt((first**2).sum(axis=1) * (second**2).sum(axis=1))
    products = (first * second).sum(axis=1)
    return float(np.median(np.divide(products, lengths, out=np.zeros_like(products), where=lengths > 1e-9)))


def _told(scan: NDArray, template: NDArray) -> NDArray[np.float64]:
    """The template's mean in the bin of each voxel's intensity (N,); 0 where one of the two is constant.

    The bins have equal widths between the scan's 1st and 99th percentile.
    """
    low, high = np.percentile(scan, [1, 99]) if len(scan) else (0.0, 0.0)
    if not high > low or template.min() == template.max():
        return np.zeros(len(scan))
    bins = np.clip((scan - low) / (high - low) * BINS, 0, BINS - 1).astype(int)
    counts = np.bincount(bins, minlength=BINS)
    return (np.bincount(bins, template, minlength=BINS) / np.maximum(counts, 1))[bins]


def _blocks(data: NDArray, edge: int) -> NDArray[np.float64]:
    """A volume (X, Y, Z) as blocks (number, edge³), filled up with 0 where its size is no multiple of `edge`."""
    padded = np.pad(np.asarray(data, dtype=np.float64), [(0, -size % edge) for size in data.shape])
    x, y, z = (size // edge for size in padded.shape)
    return padded.reshape(x, edge, y, edge, z, edge).transpose(0, 2, 4, 1, 3, 5).reshape(x * y * z, edge**3)

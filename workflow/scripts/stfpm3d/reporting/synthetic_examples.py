"""A picture of what a segmenter learns from: synthetic scans, each cut through its lesion."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure

from stfpm3d.reporting.figures import small_png
from stfpm3d.simulation.scan import Sample

COLUMNS = 6
GREY_SD = (-3.0, 2.5)
"""Grey values from black to white, SDs of the brain."""


def examples_png(samples: Sequence[Sample]) -> bytes:
    """Axial slices of samples, the lesions outlined; a sample without one is cut through its middle."""
    rows = -(-len(samples) // COLUMNS)
    figure = Figure(figsize=(1.6 * COLUMNS, 1.9 * rows), facecolor="black")
    for number, sample in enumerate(samples, start=1):
        axes = figure.add_subplot(rows, COLUMNS, number)
        areas = sample.lesion.sum(dim=(0, 1))
        height = int(areas.argmax()) if areas.any() else sample.image.shape[2] // 2
        axes.imshow(sample.image[:, :, height].T, origin="lower", cmap="gray", vmin=GREY_SD[0], vmax=GREY_SD[1])
        if areas.any():
            axes.contour(sample.lesion[:, :, height].T.float(), [0.5], colors="#ff5a4f", linewidths=0.9)
        axes.axis("off")
    figure.subplots_adjust(0, 0, 1, 1, wspace=0.02, hspace=0.02)
    return small_png(figure)

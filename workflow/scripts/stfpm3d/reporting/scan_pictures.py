"""Pictures of the page of predictions: a new scan with what its map marks, by a colour scale of the whole bundle."""

from __future__ import annotations

from collections.abc import Sequence
from math import log
from typing import NamedTuple

import nibabel as nib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from stfpm3d.imaging.volumes import Volume
from stfpm3d.reporting.figures import (
    AXIS,
    INK,
    ORIENTATIONS,
    PAPER,
    QUALITY_INCH,
    ScanPanels,
    Window,
    brain_box,
    cut_slices,
    display_slice,
    focus,
    heat_colours,
    label_edges,
    overlay_colours,
    percentile_window,
    small_png,
    three_planes,
)

BAR_INCH = 0.55
UNMARKED = 0.15
"""Of the bar's colours as much again stands below the threshold, unmarked."""
SURE_ODDS = 99
"""To one: the log odds that are shown brightest."""


class ColourScale(NamedTuple):
    """The colours of all maps of a bundle, from the threshold on; what lies below is not marked."""

    threshold: float
    top: float
    """From here on the colour is the brightest."""
    highest_healthy: float
    """The highest value in the healthy validation scans."""
    n_healthy: int

    @property
    def window(self) -> Window:
        """The values shown darkest and brightest."""
        return self.threshold, self.top


def colour_scale(threshold: float, healthy_scores: Sequence[float], *, log_odds: bool = False) -> ColourScale:
    """The one colour scale of a bundle.

    The highest value in healthy scans has the colour in the middle, so that the brighter half is beyond all of them.
    Log odds have a scale of their own: from even odds to 99 to 1, whatever healthy scans have.

    Parameters
    ----------
    threshold
        From where on voxels are marked.
    healthy_scores
        The highest value of the map in each healthy validation scan.
    log_odds
        Whether the map's values are log odds, whose threshold no healthy scan sets.
    """
    highest = max(healthy_scores)
    reach = log(SURE_ODDS) if log_odds else 2 * (highest - threshold)
    if reach <= 0:  # of maps whose highest values are all one
        reach = abs(threshold) or 1.0
    return ColourScale(threshold, threshold + reach, highest, len(healthy_scores))


def finding_png(
    image: Volume,
    anomaly_map: Volume,
    support: Volume,
    *,
    scale: ColourScale,
    centre_mm: tuple[float, float, float] | None = None,
) -> bytes:
    """A scan in three planes through a place, below it the same with what its map marks, and the colours' bar.

    Marked is what lies at or above the threshold. All lies on the MNI grid; without a place the slices go through the
    hottest one.
    """
    panels = ScanPanels(image, {}, anomaly_map, None)
    if centre_mm is None:
        centre = focus(panels, support.data)
    else:
        x, y, z = (np.linalg.inv(anomaly_map.affine) @ [*centre_mm, 1])[:3].round().astype(int)
        centre = int(x), int(y), int(z)
    box = brain_box(support)
    edges_mm = np.array([part.stop - part.start for part in box]) * support.spacing_mm
    widths, heights = edges_mm[[0, 0, 1]], edges_mm[[1, 2, 2]]
    rows_inch = 6 * QUALITY_INCH * heights.max() / widths.sum()
    whole_inch = rows_inch + BAR_INCH
    figure = Figure(figsize=(3 * QUALITY_INCH, whole_inch))
    grid = figure.add_gridspec(2, 3, width_ratios=widths, wspace=0.01, hspace=0.01)
    grid.update(left=0, right=1, bottom=BAR_INCH / whole_inch, top=1)
    for column, orientation in enumerate(ORIENTATIONS):
        slices = cut_slices(panels, support, box, orientation, centre)
        cells = [figure.add_subplot(grid[row, column]) for row in range(2)]
        for cell in cells:
            cell.set_axis_off()
            darkest, brightest = slices.image_window
            cell.imshow(slices.image, "gray", vmin=darkest, vmax=brightest, aspect=slices.aspect)
        label_edges(cells[0], orientation)
        colours = overlay_colours(slices, scale.window, scale.threshold)
        cells[1].imshow(colours, aspect=slices.aspect, interpolation="nearest")
    _draw_scale(figure.add_axes((0.2, 0.55 * BAR_INCH / whole_inch, 0.6, 0.2 * BAR_INCH / whole_inch)), scale)
    return small_png(figure)


def _draw_scale(axes: Axes, scale: ColourScale) -> None:
    """The bar: unmarked below the threshold, the colours above, and where the highest healthy value lies."""
    low, high = scale.window
    start = low - UNMARKED * (high - low)
    axes.imshow(heat_colours(np.linspace(0, 1, 256))[None], aspect="auto", extent=(low, high, 0, 1))
    axes.set(xlim=(start, high), ylim=(0, 1), yticks=[], facecolor=PAPER)
    axes.set_xticks([low, high], [f"threshold {low:.3g}", f"{high:.3g} or more"])
    axes.tick_params(colors=INK, labelsize=7, length=4, pad=2)
    axes.spines[:].set_color(INK)
    axes.axvline(low, color=INK, linewidth=2)
    axes.text(-0.01, 0.5, "not marked", transform=axes.transAxes, color=INK, fontsize=7, ha="right", va="center")
    if low < scale.highest_healthy < high:
        axes.axvline(scale.highest_healthy, color=INK, linewidth=1, linestyle=":")
        told = f"highest of {scale.n_healthy} healthy scans {scale.highest_healthy:.3g}"
        axes.text(scale.highest_healthy, 1.15, told, color=INK, fontsize=7, ha="center", va="bottom")


def whole_png(scan: Volume) -> bytes:
    """Three planes through the middle of a scan as it came, in whatever orientation it is stored."""
    canonical = nib.as_closest_canonical(nib.Nifti1Image(np.asarray(scan.data, np.float32), scan.affine))
    image = Volume(np.asarray(canonical.dataobj), np.asarray(canonical.affine))
    seen = image.data[image.data != 0]
    low, high = percentile_window(seen if seen.size else image.data, 0.5, 99.7)
    figure, cells = three_planes(image)
    for orientation, (cell, aspect) in cells.items():
        shown = display_slice(image.data, orientation, image.shape[AXIS[orientation]] // 2)
        cell.imshow(shown, "gray", vmin=low, vmax=high, aspect=aspect, interpolation="bilinear")
        label_edges(cell, orientation)
    return small_png(figure)

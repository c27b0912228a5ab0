"""Pictures for the pages: slices of a scan as PNG."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from io import BytesIO
from typing import Literal, NamedTuple

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage

from stfpm3d.imaging.volumes import Volume, resample_like

Orientation = Literal["axial", "coronal", "sagittal"]
ORIENTATIONS: tuple[Orientation, ...] = ("axial", "coronal", "sagittal")
AXIS: Mapping[Orientation, int] = {"axial": 2, "coronal": 1, "sagittal": 0}
# Radiological display: the patient's left is on the right of the picture, and the nose of a sagittal slice points left.
EDGE_LABELS: Mapping[Orientation, tuple[str, str]] = {
    "axial": ("R", "L"),
    "coronal": ("R", "L"),
    "sagittal": ("A", "P"),
}
PAPER = "#000004"  # the darkest colour of inferno
INK = "#d8dde6"
LESION = "#37e0c2"
BRAIN_MASK = "#f0503c"
TEMPLATE = "#3fb6e8"
MARGIN_MM = 6
PANEL_INCH = 1.32
TITLE_INCH = 0.24
BAR_INCH = 0.34
QUALITY_INCH = 2.4
BESIDE_MIDLINE_MM = 10  # in the midline the outline of the brain mask hides between the hemispheres

Window = tuple[float, float]


class ScanPanels(NamedTuple):
    """What is shown of one scan; every volume lies on the MNI grid."""

    image: Volume
    blocks: Mapping[str, Volume]
    """The maps of the ResNet blocks that the anomaly map is made of, by their titles; empty for other methods."""
    anomaly_map: Volume
    lesion_mask: Volume | None
    crop: NDArray[np.bool_] | None = None
    """The voxels (X, Y, Z) that the network saw; the others are hatched. None for all."""


def block_on_grid(
    block: NDArray[np.float32], stride: int, network_affine: NDArray[np.float64], reference: Volume
) -> Volume:
    """A block's map (n, n, n), whose position i lies at network voxel `stride` * i, on the grid of `reference`."""
    affine = network_affine @ np.diag([stride, stride, stride, 1.0])
    return resample_like(Volume(block, affine), reference, fill=float(block.min()))


def focus(panels: ScanPanels, brain: NDArray[np.bool_]) -> tuple[int, int, int]:
    """The voxel whose slices are shown: where each axis cuts most of the lesion, else the map's hottest place."""
    lesion = panels.lesion_mask
    if lesion is not None and lesion.data.any():
        return busiest(lesion.data)
    smoothed = ndimage.gaussian_filter(panels.anomaly_map.data, 3 / panels.anomaly_map.spacing_mm)
    x, y, z = np.unravel_index(np.where(brain, smoothed, -np.inf).argmax(), brain.shape)
    return int(x), int(y), int(z)


def busiest(mask: NDArray[np.bool_]) -> tuple[int, int, int]:
    """The voxel whose slices cut most of a mask (X, Y, Z), each axis by itself."""
    x, y, z = (int(mask.sum(axis=tuple({0, 1, 2} - {axis})).argmax()) for axis in range(3))
    return x, y, z


def display_slice(data: NDArray, orientation: Orientation, index: int) -> NDArray:
    """One slice of RAS data in radiological display, rows from top to bottom."""
    plane = np.moveaxis(data, AXIS[orientation], 0)[index]  # `np.take` would copy the whole volume first
    return plane[::-1, ::-1].T


def percentile_window(values: NDArray, low: float, high: float) -> Window:
    """The values shown darkest and brightest."""
    lowest, highest = np.percentile(values, [low, high])
    return float(lowest), float(highest)


def scan_png(
    panels: ScanPanels,
    brain_mask: Volume,
    *,
    windows: Sequence[Window],
    highest: float,
    threshold: float,
    orientations: Sequence[Orientation] = ORIENTATIONS,
) -> bytes:
    """Slices through the lesion (or the hottest place) of input, blocks, anomaly map, overlay and truth.

    The overlay shows the voxels at or above `threshold`, which Dice scores; the lesion's outline is drawn over it.
    Below stand the map's colours with the threshold, and in each row where it lies.

    Parameters
    ----------
    windows
        One for each block and a last one for the anomaly map, shared by an experiment's scans so that colours compare.
    highest
        The highest value of these scans' maps, where the bar of the map's colours ends.
    orientations
        One row each.
    """
    box = brain_box(brain_mask)
    centre = focus(panels, brain_mask.data)
    titles = ["Input", *panels.blocks, "Anomaly map", "Overlay", "Truth"]
    edges_mm = np.array([part.stop - part.start for part in box]) * brain_mask.spacing_mm
    heights = [float(edges_mm[1 if orientation == "axial" else 2]) for orientation in orientations]
    height_inch = sum(heights) * PANEL_INCH / float(edges_mm[:2].max())
    whole_inch = height_inch + TITLE_INCH + BAR_INCH
    figure = Figure(figsize=(PANEL_INCH * len(titles), whole_inch))
    grid = figure.add_gridspec(len(orientations), len(titles), height_ratios=heights, wspace=0.02, hspace=0.02)
    grid.update(left=0, right=1, bottom=BAR_INCH / whole_inch, top=1 - TITLE_INCH / whole_inch)
    for row, orientation in enumerate(orientations):
        cells = [figure.add_subplot(grid[row, column]) for column in range(len(titles))]
        _draw_row(cells, cut_slices(panels, brain_mask, box, orientation, centre), windows, threshold)
        label_edges(cells[0], orientation)
        place = f"{'xyz'[AXIS[orientation]]} {_position_mm(brain_mask, orientation, centre):.0f} mm"
        cells[0].text(0.03, 0.02, place, transform=cells[0].transAxes, va="bottom", color=INK, fontsize=7)
    for cell, title in zip(figure.axes, titles, strict=False):
        cell.set_title(title, color=INK, fontsize=8, pad=3)
    share = 1 / len(titles)
    bar = figure.add_axes((1 - 2.9 * share, 0.7 * BAR_INCH / whole_inch, 0.8 * share, 0.2 * BAR_INCH / whole_inch))
    _draw_bar(bar, windows[-1], highest, threshold)
    return small_png(figure)


def _draw_bar(axes: Axes, window: Window, highest: float, threshold: float) -> None:
    """The colours of the map up to the highest value of all scans, and where the threshold lies among them.

    From the window's end on the colour is the brightest.
    """
    low, brightest = window
    high = max(highest, brightest)
    values = np.linspace(low, high, 256)[None]
    axes.imshow(values, "inferno", vmin=low, vmax=brightest, aspect="auto", extent=(low, high, 0, 1))
    axes.set(xlim=(low, high), yticks=[])
    axes.set_xticks([low, high], [f"{low:.2g}", f"{high:.3g}"])
    axes.tick_params(colors=INK, labelsize=6, length=2, pad=1)
    axes.spines[:].set_visible(False)
    if not np.isnan(threshold):
        axes.axvline(float(np.clip(threshold, low, high)), color=INK, linewidth=1.5)
        text = f"threshold {threshold:.2g}" + (" (beyond)" if not low <= threshold <= high else "")
        axes.text(1.12, 0.5, text, transform=axes.transAxes, va="center", color=INK, fontsize=6)


def _position_mm(reference: Volume, orientation: Orientation, centre: tuple[int, int, int]) -> float:
    """Where the slice of an orientation through a voxel lies along the axis it is cut at."""
    return float((reference.affine @ [*centre, 1])[AXIS[orientation]])


def overlay_png(
    panels: ScanPanels, brain_mask: Volume, *, window: Window, threshold: float, centre: tuple[int, int, int]
) -> bytes:
    """An axial slice through a voxel with what the map marks, and the lesion's outline."""
    box = brain_box(brain_mask)
    slices = cut_slices(panels, brain_mask, box, "axial", centre)
    rows, columns = slices.image.shape
    figure = Figure(figsize=(1.7, 1.7 * rows * slices.aspect / columns))
    cell = figure.add_axes((0, 0, 1, 1))
    cell.set_axis_off()
    low, high = slices.image_window
    cell.imshow(slices.image, "gray", vmin=low, vmax=high, aspect=slices.aspect, interpolation="bilinear")
    cell.imshow(overlay_colours(slices, window, threshold), aspect=slices.aspect, interpolation="nearest")
    if slices.lesion.any():
        cell.contour(slices.lesion, levels=[0.5], colors=LESION, linewidths=1.2)
    _hatch(cell, slices)
    label_edges(cell, "axial")
    return small_png(figure)


def contour_png(image: Volume, template: Volume, brain_mask: Volume) -> bytes:
    """The outlines of the template's tissue and of its brain mask over a registered scan, all on the MNI grid.

    Three planes through the middle of the brain, the sagittal one `BESIDE_MIDLINE_MM` beside it.
    """
    corners = np.argwhere(brain_mask.data)
    centre = (corners.min(axis=0) + corners.max(axis=0)) // 2
    centre[0] += round(BESIDE_MIDLINE_MM / brain_mask.spacing_mm[0])
    low, high = percentile_window(image.data[brain_mask.data], 0.5, 99.7)
    tissue = 0.5 * float(np.median(template.data[brain_mask.data]))  # between brain or scalp, and CSF or air
    figure, cells = three_planes(image)
    for orientation, (cell, aspect) in cells.items():
        scan, tissues, brain = (
            display_slice(volume.data, orientation, int(centre[AXIS[orientation]]))
            for volume in (image, template, brain_mask)
        )
        cell.imshow(scan, "gray", vmin=low, vmax=high, aspect=aspect, interpolation="bilinear")
        for values, level, colour in ((tissues, tissue, TEMPLATE), (brain, 0.5, BRAIN_MASK)):
            cell.contour(values, levels=[level], colors=colour, linewidths=0.7)
        label_edges(cell, orientation)
    return small_png(figure)


def three_planes(image: Volume) -> tuple[Figure, dict[Orientation, tuple[Axes, float]]]:
    """A figure with one cell for each orientation of a whole volume, side by side, and the aspect of their pixels."""
    edges_mm = np.array(image.shape) * image.spacing_mm
    widths, heights = edges_mm[[0, 0, 1]], edges_mm[[1, 2, 2]]
    figure = Figure(figsize=(3 * QUALITY_INCH, 3 * QUALITY_INCH * heights.max() / widths.sum()))
    grid = figure.add_gridspec(1, 3, width_ratios=widths, wspace=0.01, left=0, right=1, bottom=0, top=1)
    cells: dict[Orientation, tuple[Axes, float]] = {}
    for column, orientation in enumerate(ORIENTATIONS):
        cell = figure.add_subplot(grid[column])
        cell.set_axis_off()
        across, along = np.delete(image.spacing_mm, AXIS[orientation])
        cells[orientation] = cell, float(along / across)
    return figure, cells


class Slices(NamedTuple):
    """One orientation, cropped to the box of the brain; `aspect` is the height of a pixel by its width."""

    image: NDArray
    image_window: Window
    brain: NDArray[np.bool_]
    maps: list[NDArray]
    lesion: NDArray[np.bool_]
    outside: NDArray[np.bool_]
    """What the network did not see."""
    aspect: float


def cut_slices(
    panels: ScanPanels,
    brain_mask: Volume,
    box: tuple[slice, slice, slice],
    orientation: Orientation,
    centre: tuple[int, int, int],
) -> Slices:
    """One orientation through a voxel."""
    axis = AXIS[orientation]

    def cut(volume: Volume) -> NDArray:
        return display_slice(volume.data[box], orientation, centre[axis] - box[axis].start)

    across, along = np.delete(brain_mask.spacing_mm, axis)
    brain = cut(brain_mask)
    return Slices(
        image=cut(panels.image),
        image_window=percentile_window(panels.image.data[brain_mask.data], 0.5, 99.7),
        brain=brain,
        maps=[cut(volume) for volume in (*panels.blocks.values(), panels.anomaly_map)],
        lesion=np.zeros_like(brain) if panels.lesion_mask is None else cut(panels.lesion_mask),
        outside=np.zeros_like(brain) if panels.crop is None else ~cut(brain_mask._replace(data=panels.crop)),
        aspect=float(along / across),
    )


def _draw_row(cells: Sequence[Axes], slices: Slices, windows: Sequence[Window], threshold: float) -> None:
    """Input, maps, overlay and truth of one orientation."""
    scan_cell, *map_cells, overlay_cell, truth_cell = cells
    for cell in cells:
        cell.set_axis_off()
    low, high = slices.image_window
    for cell in (scan_cell, overlay_cell, truth_cell):
        cell.imshow(slices.image, "gray", vmin=low, vmax=high, aspect=slices.aspect, interpolation="bilinear")
    for cell, values, (low, high) in zip(map_cells, slices.maps, windows, strict=True):
        inside = np.where(slices.brain, values, low)
        cell.imshow(inside, "inferno", vmin=low, vmax=high, aspect=slices.aspect, interpolation="bilinear")
        if slices.brain.any():
            cell.contour(slices.brain, levels=[0.5], colors=INK, linewidths=0.4, alpha=0.5)

    overlay_cell.imshow(overlay_colours(slices, windows[-1], threshold), aspect=slices.aspect, interpolation="nearest")
    for cell in cells:
        _hatch(cell, slices)
    if slices.lesion.any():
        for cell in (overlay_cell, truth_cell):
            cell.contour(slices.lesion, levels=[0.5], colors=LESION, linewidths=0.9)
        truth_cell.contourf(slices.lesion, levels=[0.5, 1.5], colors=LESION, alpha=0.45)


def _hatch(axes: Axes, slices: Slices) -> None:
    if slices.outside.any():
        with mpl.rc_context({"hatch.color": INK, "hatch.linewidth": 0.4}):
            axes.contourf(slices.outside, levels=[0.5, 1.5], colors="none", hatches=["////"])
    if slices.outside.any() and not slices.outside.all():
        axes.contour(slices.outside, levels=[0.5], colors=INK, linewidths=0.5, linestyles="dashed")


def overlay_colours(slices: Slices, window: Window, threshold: float) -> NDArray:
    """The colours (RGBA) of the last map where it reaches the threshold, nothing elsewhere."""
    low, high = window
    warmth = np.clip((slices.maps[-1] - low) / ((high - low) or 1), 0, 1)
    colours = heat_colours(warmth)
    colours[..., 3] = 0.85 * (slices.brain & (slices.maps[-1] >= threshold))
    return colours


def heat_colours(warmth: NDArray) -> NDArray:
    """The colours (RGBA) of what is marked, from 0 to 1; none is as dark as the background."""
    return mpl.colormaps["inferno"](0.4 + 0.55 * warmth)


def label_edges(axes: Axes, orientation: Orientation) -> None:
    """Write the sides of the patient at the edges of a slice."""
    for x, label in zip((0.03, 0.97), EDGE_LABELS[orientation], strict=True):
        axes.text(x, 0.5, label, transform=axes.transAxes, ha="center", va="center", color=INK, fontsize=7)


def brain_box(brain_mask: Volume) -> tuple[slice, slice, slice]:
    """The box (X, Y, Z) of the template's brain with `MARGIN_MM` around it, within the grid."""
    voxels = np.argwhere(brain_mask.data)
    margin = np.ceil(MARGIN_MM / brain_mask.spacing_mm).astype(int)
    low = np.maximum(voxels.min(axis=0) - margin, 0)
    high = np.minimum(voxels.max(axis=0) + 1 + margin, brain_mask.shape)
    x, y, z = (slice(int(start), int(stop)) for start, stop in zip(low, high, strict=True))
    return x, y, z


def picture_size(png: bytes) -> tuple[int, int]:
    """Width and height in pixels, from the header of a PNG."""
    width, height = struct.unpack(">II", png[16:24])
    return width, height


def small_png(figure: Figure) -> bytes:
    """The figure in 256 colours: a quarter of the bytes, and no difference to the eye in grey and inferno."""
    figure.set(dpi=110, facecolor=PAPER)
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    drawn = Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3])
    picture = BytesIO()
    drawn.quantize(256, dither=Image.Dither.NONE).save(picture, format="png", optimize=True)
    return picture.getvalue()

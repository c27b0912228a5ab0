"""Figures 2, 3 and 4 of the paper (Schwarz et al., 2024) for a scan at hand."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from stfpm3d.imaging.grid import NetworkGrid
from stfpm3d.imaging.volumes import Volume, resample_like
from stfpm3d.reporting.figures import (
    AXIS,
    INK,
    PANEL_INCH,
    TITLE_INCH,
    Orientation,
    ScanPanels,
    block_on_grid,
    brain_box,
    display_slice,
    focus,
    percentile_window,
    scan_png,
    small_png,
)

ROWS: tuple[Orientation, ...] = ("sagittal", "coronal", "axial")  # the order of figure 4
OVERLAY_QUANTILE = 0.99
"""The paper lays the whole map over the scan; here the hottest 1 % of the brain, or the scan could not be seen."""


def paper_figures(
    image: Volume,
    brain_mask: Volume,
    lesion_mask: Volume | None,
    embeddings: Mapping[str, NDArray],
    grid: NetworkGrid,
) -> dict[str, bytes]:
    """PNGs `figure2` (embeddings), `figure3` (sagittal), `figure4` (three planes), through the lesion if there is one.

    Parameters
    ----------
    image, brain_mask, lesion_mask
        The standardized scan, the template's brain and the truth, on the MNI grid.
    embeddings
        On the network grid: `rgb` (X, Y, Z, 3), `map` (X, Y, Z) and, at their own size, `sum1` to `sum3` and those of
        `block1` to `block3` that the map is made of, position i of block n at voxel `strides[n - 1]` * i.
    grid
        The network's grid in MNI space.
    """

    def on_mni(name: str, block: int) -> Volume:
        stride = int(embeddings["strides"][block - 1])
        return block_on_grid(embeddings[f"{name}{block}"], stride, grid.affine, brain_mask)

    anomaly = resample_like(Volume(embeddings["map"], grid.affine), brain_mask, fill=float(embeddings["map"].min()))
    blocks = {f"Block {block}": on_mni("block", block) for block in (1, 2, 3) if f"block{block}" in embeddings}
    panels = ScanPanels(image, blocks, anomaly, lesion_mask)
    brain = brain_mask.data
    windows = [percentile_window(volume.data[brain], 1, 99.5) for volume in (*panels.blocks.values(), anomaly)]
    highest = float(anomaly.data[brain].max())
    threshold = float(np.quantile(anomaly.data[brain], OVERLAY_QUANTILE))
    colours = [Volume(embeddings["rgb"][..., channel].astype(np.float32), grid.affine) for channel in range(3)]
    rgb = np.stack([resample_like(colour, brain_mask).data for colour in colours], axis=-1) / 255
    return {
        "figure2": _embeddings_png(panels, rgb, [on_mni("sum", block) for block in (1, 2, 3)], brain_mask),
        **{
            name: scan_png(panels, brain_mask, windows=windows, highest=highest, threshold=threshold, orientations=rows)
            for name, rows in (("figure3", ROWS[:1]), ("figure4", ROWS))
        },
    }


def _embeddings_png(panels: ScanPanels, rgb: NDArray, sums: list[Volume], brain_mask: Volume) -> bytes:
    """Input, pseudo-RGB and the blocks' summed features, a row a plane."""
    box, centre, brain = brain_box(brain_mask), focus(panels, brain_mask.data), brain_mask.data
    titles = ("Input", "Pseudo-RGB", "Emb. large", "Emb. medium", "Emb. small")
    greys = [panels.image, *sums]
    windows = [percentile_window(volume.data[brain], 0.5, 99.5) for volume in greys]
    edges_mm = np.array([part.stop - part.start for part in box]) * brain_mask.spacing_mm
    heights = [float(edges_mm[1 if orientation == "axial" else 2]) for orientation in ROWS]
    height_inch = sum(heights) * PANEL_INCH / float(edges_mm[:2].max())
    figure = Figure(figsize=(PANEL_INCH * len(titles), height_inch + TITLE_INCH))
    cells = figure.subplots(
        len(ROWS),
        len(titles),
        squeeze=False,
        gridspec_kw={
            "height_ratios": heights, "wspace": 0.02, "hspace": 0.02, "left": 0, "right": 1, "bottom": 0,
            "top": height_inch / (height_inch + TITLE_INCH),
        },
    )  # fmt: skip
    for row, orientation in zip(cells, ROWS, strict=True):
        axis = AXIS[orientation]
        across, along = np.delete(brain_mask.spacing_mm, axis)
        index = centre[axis] - box[axis].start
        channels = [display_slice(rgb[(*box, channel)], orientation, index) for channel in range(3)]
        slices = [display_slice(volume.data[box], orientation, index) for volume in greys]
        row[1].imshow(np.stack(channels, axis=-1), aspect=float(along / across), interpolation="bilinear")
        for cell, values, (low, high) in zip(np.delete(row, 1), slices, windows, strict=True):
            cell.imshow(values, "gray", vmin=low, vmax=high, aspect=float(along / across), interpolation="bilinear")
        for cell in row:
            cell.set_axis_off()
    for cell, title in zip(cells[0], titles, strict=True):
        cell.set_title(title, color=INK, fontsize=8, pad=3)
    return small_png(figure)

"""The report's pictures: slices of the test scans, those to look at first as cards, and the volumes of the viewer."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from stfpm3d.evaluation.lesionwise import least_voxels
from stfpm3d.evaluation.marks import Marks, marks
from stfpm3d.imaging.grid import NetworkGrid, crop_rim, inside_crop
from stfpm3d.imaging.volumes import Volume, load_mask, load_volume
from stfpm3d.reporting.cases import Case, cases
from stfpm3d.reporting.figures import (
    ScanPanels,
    Window,
    block_on_grid,
    busiest,
    focus,
    overlay_png,
    percentile_window,
    picture_size,
    scan_png,
)
from stfpm3d.reporting.findings import Findings
from stfpm3d.reporting.notes import RIM_MM
from stfpm3d.reporting.results import Results
from stfpm3d.reporting.viewer import pictured, write_volumes
from stfpm3d.runtime.logs import progress


class Pictures(NamedTuple):
    """What the page shows of the test scans."""

    marked: Mapping[str, Marks]
    """What the experiment shown marks in each test scan, pictured or not; empty without a threshold."""
    scans: Sequence[str]
    """Those that are pictured."""
    cases: Sequence[Mapping[str, Any]]
    """Those to look at first: the fields of `Case`, and those of the picture."""
    figures: Sequence[Mapping[str, Any]]
    """Each pictured scan's `scan_id`, `group`, `remark`, `figures` (its row of the patients' table), `marks`, and
    the fields of the picture."""
    viewer: Mapping[str, Any]
    """What the viewer must know of all volumes (`write_volumes`)."""


def picture_scans(
    results: Results,
    volumes: Path | str,
    *,
    shown: str,
    blocks: Sequence[int],
    most: int,
    brain_mask: Volume,
    grid: NetworkGrid,
    min_lesion_ml: float,
) -> Pictures:
    """Draw the test scans with one experiment's maps, and write the volumes of the viewer.

    Parameters
    ----------
    results
        With a `scan_id` in each table.
    volumes
        The folder beside the page for the viewer's scripts.
    shown
        The experiment whose maps are drawn.
    blocks
        The ResNet blocks that its maps are made of.
    most
        Most scans that are pictured: those to look at first, then the others in order.
    brain_mask
        The template's brain mask on the MNI grid.
    grid
        The network's grid, on which the blocks lie.
    min_lesion_ml
        Lesions and components below it do not count.
    """
    findings = Findings(results.metrics)
    thresholds = {name: findings.value(name, "threshold", "val") for name in results.maps}
    threshold = thresholds[shown]
    scans = results.scans.join(results.maps[shown][["map", "blocks"]], on="scan_id")
    patients, lesions = (table[table["experiment"] == shown] for table in (results.patients, results.lesions))
    marked = _marks(scans, threshold, brain_mask, crop_rim(brain_mask, grid, RIM_MM), min_lesion_ml)
    first = cases(patients, lesions, marked)
    names = list(pictured(scans["scan_id"].tolist(), [case.scan_id for case in first], most))
    pictures = scans.set_index("scan_id", drop=False).loc[names]
    panels = _Panels(brain_mask, grid, inside_crop(brain_mask, grid), blocks)
    scales = shared_scales((panels.load(row) for row in pictures.to_dict("records")), brain_mask, threshold)
    return Pictures(
        marked=marked,
        scans=names,
        cases=[
            _card(case, panels.load(pictures.loc[case.scan_id].to_dict()), panels, scales.windows[-1], threshold)
            for case in first
            if case.scan_id in names
        ],
        figures=list(_scan_figures(pictures, patients, marked, panels, scales, threshold)),
        viewer=write_volumes(
            volumes,
            pictures.assign(name=pictures["scan_id"]),
            {name: maps["map"].to_dict() for name, maps in results.maps.items()},
            thresholds,
            brain_mask,
            grid,
            min_lesion_ml,
        ),
    )


class _Panels(NamedTuple):
    """Reads what is shown of a scan."""

    brain_mask: Volume
    grid: NetworkGrid
    crop: NDArray[np.bool_]
    """What of the MNI grid the networks see."""
    numbers: Sequence[int]
    """The ResNet blocks that the map is made of."""

    def load(self, scan: Mapping[Hashable, object]) -> ScanPanels:
        """What is shown of one row of `scans`, blocks brought to the MNI grid."""
        blocks: dict[str, Volume] = {}
        if isinstance(scan["blocks"], str | Path):
            with np.load(scan["blocks"]) as arrays:
                for block in self.numbers:
                    stride = int(arrays["strides"][block - 1])
                    volume = block_on_grid(arrays[f"block{block}"], stride, self.grid.affine, self.brain_mask)
                    blocks[f"Block {block}"] = volume
        return ScanPanels(
            image=load_volume(str(scan["image"])),
            blocks=blocks,
            anomaly_map=load_volume(str(scan["map"])),
            lesion_mask=_lesion_mask(scan),
            crop=self.crop,
        )


def _lesion_mask(scan: Mapping[Hashable, object]) -> Volume | None:
    return load_mask(str(scan["lesion_mask"])) if isinstance(scan["lesion_mask"], str | Path) else None


class Scales(NamedTuple):
    """The colours of an experiment's scans."""

    windows: Sequence[Window]
    """One for each block and a last one for the map."""
    highest: float
    """The highest value of all maps, where the map's bar ends."""


def shared_scales(panels: Iterable[ScanPanels], brain_mask: Volume, threshold: float) -> Scales:
    """One colour window per block and one for the map, for all scans.

    They begin at the median of the scans' 1st percentiles. A block's ends at the median of the 99.8th, the map's at the
    highest of them, so that no scan is bright all over, and not below the threshold.
    """
    windows, highest = [], []
    for scan in panels:
        volumes = (*scan.blocks.values(), scan.anomaly_map)
        windows.append([percentile_window(volume.data[brain_mask.data], 1, 99.8) for volume in volumes])
        highest.append(float(scan.anomaly_map.data[brain_mask.data].max()))
    shared = [(float(low), float(high)) for low, high in np.median(windows, axis=0)]
    top = float(np.max(windows, axis=0)[-1, 1])
    shared[-1] = (shared[-1][0], float(np.fmax(top, threshold)))
    return Scales(shared, max(highest))


def _marks(
    scans: pd.DataFrame, threshold: float, brain_mask: Volume, rim: np.ndarray, min_lesion_ml: float
) -> dict[str, Marks]:
    """What lies at or above a threshold in each scan; nothing without one."""
    if np.isnan(threshold):
        return {}
    found = {}
    for scan in scans.to_dict("records"):
        lesion = _lesion_mask(scan)
        found[str(scan["scan_id"])] = marks(
            (load_volume(str(scan["map"])).data >= threshold) & brain_mask.data,
            np.zeros(brain_mask.shape, bool) if lesion is None else lesion.data & brain_mask.data,
            rim,
            voxel_ml=brain_mask.voxel_ml,
            min_voxels=least_voxels(min_lesion_ml, brain_mask.voxel_ml),
        )
    return found


def _embedded(png: bytes) -> dict[str, Any]:
    """A picture as the attributes of `<img>`; its size keeps the page from jumping when it is loaded."""
    width, height = picture_size(png)
    return {"source": f"data:image/png;base64,{b64encode(png).decode()}", "width": width, "height": height}


def _card(case: Case, panels: ScanPanels, reader: _Panels, window: Window, threshold: float) -> dict[str, Any]:
    """A case with an axial slice through what it is about."""
    brain = reader.brain_mask.data
    centre = focus(panels, brain)
    if case.at_false:
        false = (panels.anomaly_map.data >= threshold) & brain
        if panels.lesion_mask is not None:
            false &= ~panels.lesion_mask.data
        centre = busiest(false) if false.any() else centre
    png = overlay_png(panels, reader.brain_mask, window=window, threshold=threshold, centre=centre)
    return {**case._asdict(), **_embedded(png)}


def _scan_figures(
    scans: pd.DataFrame,
    patients: pd.DataFrame,
    marked: Mapping[str, Marks],
    panels: _Panels,
    scales: Scales,
    threshold: float,
) -> Iterator[dict[str, Any]]:
    """Each pictured scan's slices and figures; scans are read one at a time, so that memory stays flat."""
    figures = patients.set_index("scan_id").to_dict("index")
    for row in progress(scans.to_dict("records"), "report"):
        png = scan_png(panels.load(row), panels.brain_mask, threshold=threshold, **scales._asdict())
        has_mask = isinstance(row["lesion_mask"], str | Path)
        remark = "no lesion mask" if row["group"] == "patient" and not has_mask else ""
        scan_id = str(row["scan_id"])
        found = {"figures": figures.get(scan_id), "marks": marked.get(scan_id)}
        yield {"scan_id": scan_id, "group": row["group"], "remark": remark, **found, **_embedded(png)}

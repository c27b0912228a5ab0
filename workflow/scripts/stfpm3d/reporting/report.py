"""The report: a page with what was found, how far to trust it, curves, scores and slices, and a viewer of the scans."""

from __future__ import annotations

import logging
from base64 import b64encode
from collections.abc import Hashable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from markupsafe import Markup
from numpy.typing import NDArray

from stfpm3d.evaluation.comparison import MIN_PATIENTS
from stfpm3d.evaluation.lesionwise import least_voxels
from stfpm3d.evaluation.marks import Marks, marks
from stfpm3d.imaging.grid import NetworkGrid, brain_cut_share, cube_rim, cut_poles, inside_cube
from stfpm3d.imaging.volumes import Volume, load_mask, load_volume
from stfpm3d.probes.regions import MIN_SUBJECTS
from stfpm3d.probes.separation import ALPHA, FIRES_FROM, fires
from stfpm3d.reporting.cases import Case, cases
from stfpm3d.reporting.curves import lesion_counts, plots, styles, training_svg
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
from stfpm3d.reporting.findings import (
    Findings,
    hundredths,
    interval,
    number,
    p_value,
    percent,
    score,
    signed,
    volume,
)
from stfpm3d.reporting.networks import Network
from stfpm3d.reporting.notes import RELIABLE_PATIENTS, RIM_MM, notes
from stfpm3d.reporting.pages import write_page
from stfpm3d.reporting.provenance import Stage
from stfpm3d.reporting.pseudonyms import by_number, pseudonyms, renamed
from stfpm3d.reporting.summary import summarize
from stfpm3d.reporting.trust import verdict
from stfpm3d.reporting.viewer import pictured, write_volumes
from stfpm3d.runtime.logs import progress
from stfpm3d.study.cohort import scan_ids

FORMS = (number, percent, hundredths, score, signed, p_value, volume)

log = logging.getLogger(__name__)


class Run(NamedTuple):
    """What the page tells of the run besides its results."""

    config: str
    """The config as YAML, without folders."""
    seeds: Mapping[str, int]
    """By what they are of."""
    stages: Sequence[Stage]
    settings: Mapping[str, Any]
    """What the paragraph on methods names (`Plan.method_settings`)."""
    is_demo: bool
    quality_page: str | None
    """The page of quality control, relative to this one; None for no link."""


def write_report(
    output: Path | str,
    *,
    template: Path | str,
    volumes: Path | str,
    metrics: pd.DataFrame,
    scores: pd.DataFrame,
    curves: pd.DataFrame,
    patients: pd.DataFrame,
    lesions: pd.DataFrame,
    comparisons: pd.DataFrame,
    scans: pd.DataFrame,
    maps: Mapping[str, Mapping[str, Path | str]],
    most_pictures: int,
    sites: Mapping[str, str],
    brain_mask: Volume,
    grid: NetworkGrid,
    modality: str,
    experiments: Mapping[str, Mapping[str, Any]],
    networks: Sequence[tuple[str, Network]],
    trainings: Mapping[str, pd.DataFrame],
    shown: str,
    initial: Mapping[str, str],
    healthy_quantile: float,
    min_lesion_ml: float,
    excluded: Sequence[str] = (),
    registration: pd.DataFrame,
    run: Run,
    anonymous: bool = False,
) -> None:
    """Write the page, and beside it the volumes of its viewer; it refers to no other file but to quality control.

    Parameters
    ----------
    template
        The page's Jinja2 template.
    volumes
        The folder `volumes` beside the page, for the viewer's scripts.
    metrics, scores, curves, patients, lesions
        Tables of all experiments and scans (`evaluation.experiment`), in the order in which they are listed.
    comparisons
        Each experiment against the reference (`evaluation.comparison`).
    scans
        The test scans: `participant_id` (and `session_id`), `group`, and paths on the MNI grid of `image`, `map` (of
        the experiment `shown`), `lesion_mask` (or missing) and `blocks` (.npz with block1 to block3, or missing).
    maps
        The maps of the test scans (paths on the MNI grid), by experiment and scan.
    most_pictures
        Most scans that are pictured: those to look at first, then the others in order.
    sites
        The site of each test scan, by its id.
    brain_mask
        The template's brain mask on the MNI grid.
    grid
        The network's grid, on which the blocks lie.
    modality
        T1w, T2w or FLAIR.
    experiments
        How each experiment's maps come about: `method`; its `kind` (as published, our variant or baseline);
        `architecture`, `weights` (random, imagenet or file) and `patch_learning` of the teacher, the `blocks` that
        the map is made of, the student's `residual` (distance or gaussian) and whether it is `untrained` (None and
        False where there is none); `segmented_by` (kmeans or top_fraction) of segmentations, or None.
    networks
        The name and the form of each teacher and f-AnoGAN.
    trainings
        The epochs of each network that was trained.
    shown
        The experiment whose maps are shown and which stands first in the summary.
    initial
        Each trained experiment's counterpart with the student's initial weights.
    healthy_quantile
        The quantile of healthy validation voxels that is the threshold of Dice and IoU.
    min_lesion_ml
        Lesions and components below it did not count.
    excluded
        The reason of each scan that the cohort's table excludes.
    registration
        The table of `quality.write_quality`.
    run
        What is told of the run.
    anonymous
        Whether scans have pseudonyms on the page; the log tells which.
    """
    if anonymous:
        names = pseudonyms(scan_ids(scans).tolist(), scans["group"].tolist())
        for scan_id, name in names.items():
            log.info("%s is %s on the page", scan_id, name)
        scores, patients, lesions, scans = (renamed(table, names) for table in (scores, patients, lesions, scans))
        scans = by_number(scans)
        maps = {experiment: {names[key]: path for key, path in of.items()} for experiment, of in maps.items()}
        sites = {names[scan_id]: site for scan_id, site in sites.items() if scan_id in names}
    scans, scores, patients, lesions = (
        table.assign(scan_id=scan_ids(table)) for table in (scans, scores, patients, lesions)
    )
    findings = Findings(metrics)
    looks = styles(experiments)
    threshold = findings.value(shown, "threshold", "val")
    own_scores = scores[(scores["split"] == "test") & (scores["experiment"] == shown)]
    drawn = plots(
        curves[curves["split"] == "test"],
        lesions,
        own_scores.assign(site=own_scores["scan_id"].map(sites)),
        looks,
        shown=shown,
        prevalence=findings.value(shown, "prevalence"),
        healthy_quantile=healthy_quantile,
    )
    summary = summarize(findings, patients, comparisons, shown=shown, experiments=experiments)
    rim = cube_rim(brain_mask, grid, RIM_MM) & brain_mask.data
    marked = _marks(scans, threshold, brain_mask, rim, min_lesion_ml)
    own, own_lesions = (table[table["experiment"] == shown] for table in (patients, lesions))
    first = cases(own, own_lesions, marked)
    names = list(pictured(scans["scan_id"].tolist(), [case.scan_id for case in first], most_pictures))
    first = [case for case in first if case.scan_id in names]
    pictures = scans.set_index("scan_id", drop=False).loc[names]
    panels = _Panels(brain_mask, grid, inside_cube(brain_mask, grid), experiments[shown]["blocks"])
    windows = shared_windows((panels.load(row) for row in pictures.to_dict("records")), brain_mask)
    viewer = write_volumes(
        volumes,
        pictures.assign(name=pictures["scan_id"]),
        maps,
        {name: findings.value(name, "threshold", "val") for name in maps},
        brain_mask,
        grid,
        min_lesion_ml,
    )
    write_page(
        output,
        template,
        FORMS,
        findings=findings,
        paper=Findings(metrics, "paper"),
        probes=Findings(metrics, "probes"),
        fires=fires,
        fires_from=FIRES_FROM,
        alpha=ALPHA,
        min_subjects=MIN_SUBJECTS,
        interval=interval,
        experiments=experiments,
        networks=networks,
        versions=resnet_versions(experiments),
        unscored=[name for name, row in experiments.items() if row["segmented_by"] or row["method"] == "mask"],
        shown=shown,
        modality=modality,
        healthy_quantile=healthy_quantile,
        min_lesion_ml=min_lesion_ml,
        summary=summary,
        trust=verdict(metrics, shown),
        reliable_patients=RELIABLE_PATIENTS,
        min_tested=MIN_PATIENTS,
        patients=_patient_rows(patients, shown),
        counts=lesion_counts(patients, lesions),
        looks=looks,
        notes=notes(
            metrics,
            shown,
            initial,
            healthy_quantile,
            brain_cut_share(brain_mask, grid),
            excluded,
            registration,
            poles=cut_poles(brain_mask, grid),
            rows=summary.rows,
            marked=list(marked.values()),
            rim_share=float(rim.sum() / brain_mask.data.sum()),
        ),
        plots=[plot._replace(svg=Markup(plot.svg)) for plot in drawn],
        trainings={
            name: Markup(training_svg(epochs, f"training{place}"))
            for place, (name, epochs) in enumerate(trainings.items())
            if len(epochs)
        },
        scores=_score_rows(scores, shown),
        pictured=set(names),
        cases=[
            _card(case, panels.load(pictures.loc[case.scan_id].to_dict()), panels, windows[-1], threshold)
            for case in first
        ],
        figures=_scan_figures(pictures, own, marked, panels, windows, threshold),
        viewer=viewer,
        run=run,
    )
    size_mb = Path(output).stat().st_size / 1e6
    beside_mb = sum(path.stat().st_size for path in Path(volumes).iterdir()) / 1e6
    log.info("report of %d experiments with %d pictures, %.1f MB", len(looks), len(names), size_mb)
    log.info("volumes beside it: %.1f MB", beside_mb)


def resnet_versions(experiments: Mapping[str, Mapping[str, Any]]) -> list[tuple[int, str]]:
    """The experiments that compare versions of the ResNet as the paper's Table 2 does.

    They take distances to a student, with given weights and patch learning, without k-means. Each is its version and
    name, deepest first; none of a single version.
    """
    versions = [
        (int(row["architecture"].removeprefix("resnet")), name)
        for name, row in experiments.items()
        if row["residual"] == "distance" and not row["untrained"] and not row["segmented_by"]
        if row["patch_learning"] and row["weights"] != "random"
    ]
    return sorted(versions, key=lambda pair: -pair[0]) if len({version for version, _ in versions}) > 1 else []


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


def shared_windows(panels: Iterator[ScanPanels], brain_mask: Volume) -> list[Window]:
    """One colour window per block and one for the map: medians of the scans' 1st and 99.8th percentiles."""
    windows = [
        [
            percentile_window(volume.data[brain_mask.data], 1, 99.8)
            for volume in (*scan.blocks.values(), scan.anomaly_map)
        ]
        for scan in panels
    ]
    return [(float(low), float(high)) for low, high in np.median(windows, axis=0)]


def _marks(
    scans: pd.DataFrame, threshold: float, brain_mask: Volume, rim: np.ndarray, min_lesion_ml: float
) -> dict[str, Marks]:
    """What the experiment shown marks in each test scan; nothing without a threshold."""
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
    windows: Sequence[Window],
    threshold: float,
) -> Iterator[dict[str, Any]]:
    """Each pictured scan's slices and figures; scans are read one at a time, so that memory stays flat."""
    figures = patients.set_index("scan_id").to_dict("index")
    for row in progress(scans.to_dict("records"), "report"):
        png = scan_png(panels.load(row), panels.brain_mask, windows=windows, threshold=threshold)
        has_mask = isinstance(row["lesion_mask"], str | Path)
        remark = "no lesion mask" if row["group"] == "patient" and not has_mask else ""
        scan_id = str(row["scan_id"])
        found = {"figures": figures.get(scan_id), "marks": marked.get(scan_id)}
        yield {"scan_id": scan_id, "group": row["group"], "remark": remark, **found, **_embedded(png)}


def _patient_rows(patients: pd.DataFrame, shown: str) -> list[dict[Hashable, Any]]:
    """Test patients by falling lesion volume: the values of the experiment shown, and `ap` of every experiment."""
    precisions = patients.pivot(index="scan_id", columns="experiment", values="patient_ap").to_dict("index")
    rows = patients[patients["experiment"] == shown].sort_values("lesion_ml", ascending=False).to_dict("records")
    return [{**row, "ap": precisions[row["scan_id"]]} for row in rows]


def _score_rows(scores: pd.DataFrame, shown: str) -> list[dict[str, object]]:
    """Test scans by falling score of the experiment shown; `bar` is its place from the lowest to the highest, in %."""
    test = scores[scores["split"] == "test"]
    table = test.pivot(index=["scan_id", "group"], columns="experiment", values="score")
    table = table.sort_values(shown, ascending=False)
    low, high = table[shown].min(), table[shown].max()
    return [
        {"scan_id": name, "group": group, "values": row, "bar": 100 * (row[shown] - low) / ((high - low) or 1)}
        for (name, group), row in zip(table.index, table.to_dict("records"), strict=True)
    ]

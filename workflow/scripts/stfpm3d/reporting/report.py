"""The report: one self-contained HTML page with what was found, how far to trust it, curves, scores and slices."""

from __future__ import annotations

import logging
from base64 import b64encode
from collections.abc import Hashable, Iterator, Mapping, Sequence
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from markupsafe import Markup

from stfpm3d.evaluation.comparison import MIN_PATIENTS
from stfpm3d.imaging.grid import NetworkGrid, brain_cut_share
from stfpm3d.imaging.volumes import Volume, load_mask, load_volume
from stfpm3d.probes.regions import MIN_SUBJECTS
from stfpm3d.probes.separation import ALPHA, FIRES_FROM, fires
from stfpm3d.reporting.curves import plots
from stfpm3d.reporting.figures import ScanPanels, Window, block_on_grid, percentile_window, scan_png
from stfpm3d.reporting.findings import (
    Findings,
    factor,
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
from stfpm3d.reporting.notes import RELIABLE_PATIENTS, notes
from stfpm3d.reporting.pages import write_page
from stfpm3d.reporting.summary import summarize
from stfpm3d.reporting.trust import verdict
from stfpm3d.runtime.logs import progress
from stfpm3d.study.cohort import scan_ids

FORMS = (number, percent, hundredths, score, factor, signed, p_value, volume)
BLOCKS = ("block1", "block2", "block3")
# Mid-tones that read on a light and on a dark page.
PALETTE = ("#3b82f6", "#f59e0b", "#10b981", "#ec4899", "#8b5cf6", "#06b6d4", "#84cc16", "#94a3b8")

log = logging.getLogger(__name__)


def write_report(
    output: Path | str,
    *,
    template: Path | str,
    metrics: pd.DataFrame,
    scores: pd.DataFrame,
    curves: pd.DataFrame,
    patients: pd.DataFrame,
    lesions: pd.DataFrame,
    comparisons: pd.DataFrame,
    scans: pd.DataFrame,
    sites: Mapping[str, str],
    brain_mask: Volume,
    grid: NetworkGrid,
    modality: str,
    experiments: Mapping[str, Mapping[str, Any]],
    networks: Sequence[tuple[str, Network]],
    shown: str,
    initial: Mapping[str, str],
    healthy_quantile: float,
    min_lesion_ml: float,
    excluded: Sequence[str] = (),
    registration: pd.DataFrame,
) -> None:
    """Write the page; nothing in it refers to another file.

    Parameters
    ----------
    template
        The page's Jinja2 template.
    metrics, scores, curves, patients, lesions
        Tables of all experiments and scans (`evaluation.experiment`), in the order in which they are listed.
    comparisons
        Each experiment against the reference (`evaluation.comparison`).
    scans
        The test scans that are pictured: `participant_id` (and `session_id`), `group`, and paths on the MNI grid of
        `image`, `map` (of the experiment `shown`), `lesion_mask` (or missing) and `blocks` (.npz with block1 to block3,
        or missing).
    sites
        The site of each test scan, by its id.
    brain_mask
        The template's brain mask on the MNI grid.
    grid
        The network's grid, on which the blocks lie.
    modality
        T1w, T2w or FLAIR.
    experiments
        How each experiment's maps come about: `method`; `architecture`, `weights` (random, imagenet or file) and
        `patch_learning` of the teacher, the student's `residual` (distance or gaussian) and whether it is `untrained`
        (None and False where there is none); `segmented_by` (kmeans or top_fraction) of segmentations, or None.
    networks
        The name and the form of each teacher and f-AnoGAN.
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
    """
    findings = Findings(metrics)
    colours = dict(zip(experiments, cycle(PALETTE), strict=False))
    threshold = findings.value(shown, "threshold", "val")
    own_scores = scores[(scores["split"] == "test") & (scores["experiment"] == shown)]
    drawn = plots(
        curves[curves["split"] == "test"],
        lesions,
        own_scores.assign(site=scan_ids(own_scores).map(sites)),
        colours,
        shown=shown,
        prevalence=findings.value(shown, "prevalence"),
        healthy_quantile=healthy_quantile,
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
        initial=initial,
        modality=modality,
        healthy_quantile=healthy_quantile,
        min_lesion_ml=min_lesion_ml,
        summary=summarize(
            findings, patients, comparisons, shown=shown, experiments=experiments, untrained=initial.get(shown)
        ),
        trust=verdict(metrics, shown),
        reliable_patients=RELIABLE_PATIENTS,
        min_tested=MIN_PATIENTS,
        patients=_patient_rows(patients, shown),
        comparisons=comparisons.to_dict("records"),
        colours=colours,
        notes=notes(
            metrics, shown, initial, healthy_quantile, brain_cut_share(brain_mask, grid), excluded, registration
        ),
        plots=[plot._replace(svg=Markup(plot.svg)) for plot in drawn],
        scores=_score_rows(scores, shown),
        pictured=set(scan_ids(scans)),
        figures=_scan_figures(scans, brain_mask, grid, threshold),
    )
    size_mb = Path(output).stat().st_size / 1e6
    log.info("report of %d experiments with %d pictures, %.1f MB", len(colours), len(scans), size_mb)


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


def load_panels(scan: Mapping[Hashable, object], brain_mask: Volume, grid: NetworkGrid) -> ScanPanels:
    """Read what is shown of one row of `scans`, blocks brought to the MNI grid."""
    blocks: list[Volume] = []
    if isinstance(scan["blocks"], str | Path):
        with np.load(scan["blocks"]) as arrays:
            placed = zip(BLOCKS, arrays["strides"].tolist(), strict=True)
            blocks = [block_on_grid(arrays[name], stride, grid.affine, brain_mask) for name, stride in placed]
    has_mask = isinstance(scan["lesion_mask"], str | Path)
    return ScanPanels(
        image=load_volume(str(scan["image"])),
        blocks=blocks,
        anomaly_map=load_volume(str(scan["map"])),
        lesion_mask=load_mask(str(scan["lesion_mask"])) if has_mask else None,
    )


def shared_windows(panels: Iterator[ScanPanels], brain_mask: Volume) -> list[Window]:
    """One colour window per block and one for the map: medians of the scans' 1st and 99.8th percentiles."""
    windows = [
        [percentile_window(volume.data[brain_mask.data], 1, 99.8) for volume in (*scan.blocks, scan.anomaly_map)]
        for scan in panels
    ]
    return [(float(low), float(high)) for low, high in np.median(windows, axis=0)]


def _scan_figures(
    scans: pd.DataFrame, brain_mask: Volume, grid: NetworkGrid, threshold: float
) -> Iterator[dict[str, str]]:
    """Each pictured scan's slices; scans are read one at a time, twice, so that memory stays flat."""
    rows = scans.assign(scan_id=scan_ids(scans)).to_dict("records")
    windows = shared_windows((load_panels(row, brain_mask, grid) for row in rows), brain_mask)
    for row in progress(rows, "report"):
        png = scan_png(load_panels(row, brain_mask, grid), brain_mask, windows=windows, threshold=threshold)
        source = f"data:image/png;base64,{b64encode(png).decode()}"
        has_mask = isinstance(row["lesion_mask"], str | Path)
        remark = "no lesion mask" if row["group"] == "patient" and not has_mask else ""
        yield {"scan_id": row["scan_id"], "group": row["group"], "remark": remark, "source": source}


def _patient_rows(patients: pd.DataFrame, shown: str) -> list[dict[Hashable, Any]]:
    """Test patients by falling lesion volume: the values of the experiment shown, and `ap` of every experiment."""
    table = patients.assign(scan_id=scan_ids(patients))
    precisions = table.pivot(index="scan_id", columns="experiment", values="patient_ap").to_dict("index")
    rows = table[table["experiment"] == shown].sort_values("lesion_ml", ascending=False).to_dict("records")
    return [{**row, "ap": precisions[row["scan_id"]]} for row in rows]


def _score_rows(scores: pd.DataFrame, shown: str) -> list[dict[str, object]]:
    """Test scans by falling score of the experiment shown; `bar` is its place from the lowest to the highest, in %."""
    test = scores[scores["split"] == "test"]
    table = test.assign(scan_id=scan_ids(test)).pivot(index=["scan_id", "group"], columns="experiment", values="score")
    table = table.sort_values(shown, ascending=False)
    low, high = table[shown].min(), table[shown].max()
    return [
        {"scan_id": name, "group": group, "values": row, "bar": 100 * (row[shown] - low) / ((high - low) or 1)}
        for (name, group), row in zip(table.index, table.to_dict("records"), strict=True)
    ]

"""The report: a page with what was found, how far to trust it, curves, scores and slices, and a viewer of the scans."""

from __future__ import annotations

import logging
from collections.abc import Hashable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
from markupsafe import Markup

from stfpm3d.imaging.grid import NetworkGrid, brain_cut_share, crop_rim, cut_poles
from stfpm3d.imaging.volumes import Volume
from stfpm3d.probes.regions import MIN_SUBJECTS
from stfpm3d.probes.separation import ALPHA, FIRES_FROM, fires
from stfpm3d.reporting.curves import lesion_counts, plots, styles, training_svg
from stfpm3d.reporting.findings import (
    Findings,
    counted,
    hundredths,
    interval,
    number,
    p_value,
    percent,
    score,
    signed,
    volume,
)
from stfpm3d.reporting.methods import methods
from stfpm3d.reporting.networks import Network
from stfpm3d.reporting.notes import RELIABLE_PATIENTS, RIM_MM, notes
from stfpm3d.reporting.pages import write_page
from stfpm3d.reporting.pictures import Pictures
from stfpm3d.reporting.provenance import Stage
from stfpm3d.reporting.results import Results
from stfpm3d.reporting.summary import SHOWN_BELOW, summarize
from stfpm3d.reporting.trust import verdict

FORMS = (counted, number, percent, hundredths, score, signed, p_value, volume)

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
    template: Path | str,
    results: Results,
    pictures: Pictures,
    *,
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
    run: Run,
) -> None:
    """Write the page; it refers to no other file but to its viewer's volumes and to quality control.

    Parameters
    ----------
    template
        The page's Jinja2 template.
    results, pictures
        With a `scan_id` in each table (`Results.identified`), and what `picture_scans` made of them.
    brain_mask
        The template's brain mask on the MNI grid.
    grid
        The network's grid, whose faces cut the brain.
    modality
        T1w, T2w or FLAIR.
    experiments
        How each experiment's maps come about: `method`; its `kind` (as published, our variant or baseline);
        `architecture`, `weights` (random, imagenet or file) and `patch_learning` of the teacher, the `blocks` that
        the map is made of, the student's `residual` (distance, gaussian or agreement) and whether it is `untrained`
        (None and False where there is none); `segmented_by` (kmeans or top_fraction) of segmentations, or None.
    networks
        The name and the form of each teacher and f-AnoGAN.
    trainings
        The epochs of each network that was trained.
    shown
        The experiment whose maps are pictured and which stands first in the summary.
    initial
        Each trained experiment's counterpart with the student's initial weights.
    healthy_quantile
        The quantile of healthy validation voxels that is the threshold of Dice and IoU.
    min_lesion_ml
        Lesions and components below it did not count.
    excluded
        The reason of each scan that the cohort's table excludes.
    run
        What is told of the run.
    """
    metrics, scores = results.metrics, results.scores
    findings = Findings(metrics)
    looks = styles(experiments)
    own_scores = scores[(scores["split"] == "test") & (scores["experiment"] == shown)]
    drawn = plots(
        results.curves[results.curves["split"] == "test"],
        results.lesions,
        own_scores.assign(site=own_scores["scan_id"].map(results.sites)),
        looks,
        shown=shown,
        prevalence=findings.value(shown, "prevalence"),
        healthy_quantile=healthy_quantile,
    )
    summary = summarize(findings, results.patients, results.comparisons, shown=shown, experiments=experiments)
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
        unscored=[name for name, row in experiments.items() if not row["is_graded"]],
        shown=shown,
        modality=modality,
        healthy_quantile=healthy_quantile,
        min_lesion_ml=min_lesion_ml,
        summary=summary,
        trust=verdict(metrics, shown),
        reliable_patients=RELIABLE_PATIENTS,
        shown_below=SHOWN_BELOW,
        patients=_patient_rows(results.patients, shown),
        counts=lesion_counts(results.patients, results.lesions),
        looks=looks,
        notes=notes(
            metrics,
            shown,
            initial,
            healthy_quantile,
            brain_cut_share(brain_mask, grid),
            excluded,
            results.registration,
            poles=cut_poles(brain_mask, grid),
            rows=summary.rows if summary.reference == shown else (),
            marked=list(pictures.marked.values()),
            rim_share=float(crop_rim(brain_mask, grid, RIM_MM)[brain_mask.data].mean()),
        ),
        plots=[plot._replace(svg=Markup(plot.svg)) for plot in drawn],
        trainings={
            name: Markup(training_svg(epochs, f"training{place}"))
            for place, (name, epochs) in enumerate(trainings.items())
            if len(epochs)
        },
        scores=_score_rows(scores, shown),
        pictured=set(pictures.scans),
        cases=pictures.cases,
        figures=pictures.figures,
        viewer=pictures.viewer,
        run=run,
        methods=methods(
            run.settings,
            experiments,
            findings,
            summary,
            modality=modality,
            healthy_quantile=healthy_quantile,
            is_demo=run.is_demo,
        ),
    )
    size_mb = Path(output).stat().st_size / 1e6
    log.info("report of %d experiments with %d pictures, %.1f MB", len(looks), len(pictures.scans), size_mb)


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

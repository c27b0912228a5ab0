"""Plots for the page: SVG in its own colours, of text and of the groups, so that they fit a light and a dark page."""

from __future__ import annotations

from collections.abc import Mapping
from io import StringIO
from typing import Literal, NamedTuple

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.stats import binomtest

from stfpm3d.evaluation.lesionwise import thirds

PAGE_INK = "#010203"
GROUP_INK = {"patient": "#010204", "healthy": "#010205"}  # from top to bottom
# What stands for a colour of the page becomes its name in style.css.
PAGE_COLOURS = {PAGE_INK: "currentColor"} | {ink: f"var(--{group})" for group, ink in GROUP_INK.items()}

CurveName = Literal["pr", "roc", "dice", "froc", "image_roc"]
FROC_RANGE = (0.1, 10)  # false positives per scan
DICE_RANGE = (1e-4, 1)  # share of healthy voxels
DECADES = 100  # scores that span more are shown on a logarithmic axis
GOLDEN = 0.618034  # multiples of it, modulo 1, lie evenly: scatter that is the same each time
PLOT_INCH, WIDE_INCH = (3.6, 3.2), 7.6
DASHED = {"color": PAGE_INK, "alpha": 0.45, "linewidth": 1, "linestyle": (0, (3, 3))}
RECALL_NOTE = (
    "Thirds of the lesions by volume. Bars: 95 % Wilson intervals, which take a patient's lesions as independent."
)
SCORES_NOTE = "A dot a scan, a tick at the median. Where sites of one group differ, the score sees the site."
RECALL_COLUMNS = ["experiment", "size", "n", "recall", "ci_low", "ci_high", "low_ml", "high_ml"]


class Plot(NamedTuple):
    """One figure of the page."""

    title: str
    svg: str
    wide: bool = False
    note: str = ""


CURVES: Mapping[CurveName, tuple[str, str, str]] = {
    "pr": ("Voxels: precision and recall", "Recall", "Precision"),
    "roc": ("Voxels: ROC", "False positive rate", "True positive rate"),
    "dice": ("Voxels: Dice against threshold", "Healthy voxels at or above the threshold", "Mean Dice"),
    "froc": ("Lesions: FROC", "False positives per scan", "Lesions found"),
    "image_roc": ("Scans: ROC", "False positive rate", "True positive rate"),
}
"""Title and labels of the axes."""


def plots(
    curves: pd.DataFrame,
    lesions: pd.DataFrame,
    scores: pd.DataFrame,
    colours: Mapping[str, str],
    *,
    shown: str,
    prevalence: float,
    healthy_quantile: float,
) -> list[Plot]:
    """All plots that the test scans allow, voxels first, then lesions, then scans.

    Parameters
    ----------
    curves
        `experiment`, `curve`, `x` and `y` of the test split.
    lesions
        `experiment`, `volume_ml` and `detected` of the test lesions.
    scores
        `group`, `site` and `score` of the test scans by the experiment `shown`.
    colours
        The colour of each experiment.
    prevalence
        Share of lesion voxels, what chance reaches in `pr`.
    healthy_quantile
        The quantile of healthy validation voxels that is the headline threshold.
    """
    marks = {"pr": prevalence, "dice": 1 - healthy_quantile}
    remarks = {"dice": f"Dashed: the headline threshold, healthy p{100 * healthy_quantile:.3g}."}
    drawn = {
        curve: Plot(title, curve_svg(curves, curve, colours, marks.get(curve)), note=remarks.get(curve, ""))
        for curve, (title, *_) in CURVES.items()
        if (curves["curve"] == curve).any()
    }
    recalls = recall_by_size(lesions)
    if not recalls.empty:
        drawn["recall"] = Plot("Lesions: recall by size", recall_svg(recalls, colours), True, RECALL_NOTE)
    known = scores.dropna(subset="score")
    if not known.empty:
        parts = "group and site" if known["site"].nunique() > 1 else "group"
        drawn["scores"] = Plot(f"Scans: scores of {shown} by {parts}", score_svg(known), True, SCORES_NOTE)
    return [drawn[name] for name in ("pr", "roc", "dice", "froc", "recall", "image_roc", "scores") if name in drawn]


def curve_svg(curves: pd.DataFrame, curve: CurveName, colours: Mapping[str, str], mark: float | None) -> str:
    """One kind of curve for all experiments, in the colours given.

    `curves` has the columns `experiment`, `curve`, `x` and `y`, of one split. `mark` is a dashed line: in `pr` the
    precision of chance, in `dice` the share of healthy voxels above the headline threshold.
    """
    figure = Figure(figsize=PLOT_INCH, layout="constrained")
    axes = figure.add_subplot()
    style = {"linewidth": 1.8, "solid_capstyle": "round", "drawstyle": "steps-post" if curve == "froc" else "default"}
    for experiment, points in curves[curves["curve"] == curve].groupby("experiment", sort=False):
        axes.plot(points["x"], points["y"], color=colours[str(experiment)], **style)
    _, xlabel, ylabel = CURVES[curve]
    axes.set(xlabel=xlabel, ylabel=ylabel, xlim=(-0.01, 1.01), ylim=(-0.01, 1.02))
    if curve in ("roc", "image_roc"):
        axes.plot([0, 1], [0, 1], **DASHED)
    elif curve == "pr" and mark is not None:
        axes.axhline(mark, **DASHED)
    elif curve == "froc":
        axes.set(xscale="log", xlim=FROC_RANGE)
        axes.xaxis.set_major_formatter("{x:g}")
    elif curve == "dice":
        axes.set(xscale="log", xlim=DICE_RANGE)
        axes.autoscale(axis="y")
        axes.set_ylim(bottom=0)
        axes.xaxis.set_major_formatter("{x:g}")
        if mark is not None:
            axes.axvline(mark, **DASHED)
    _plain_axes(axes)
    return _svg(figure, name=curve)


def score_svg(scores: pd.DataFrame) -> str:
    """A row of dots for each group and site, with a tick at the median; `scores` has `group`, `site` and `score`.

    Dots are scattered across their row so that they do not hide each other. The axis is logarithmic where scores are
    positive and span more than two decades.
    """
    rows = [
        (group, site, of_group.loc[of_group["site"] == site, "score"].to_numpy())
        for group, of_group in ((group, scores[scores["group"] == group]) for group in GROUP_INK)
        for site in sorted(of_group["site"].unique())
    ]
    figure = Figure(figsize=(WIDE_INCH, max(PLOT_INCH[1], 0.9 + 0.34 * len(rows))), layout="constrained")
    axes = figure.add_subplot()
    for place, (group, _, values) in enumerate(rows):
        across = place + 0.56 * ((np.arange(len(values)) * GOLDEN) % 1 - 0.5)
        axes.scatter(values, across, s=22, color=GROUP_INK[group], alpha=0.6, linewidths=0)
        axes.vlines(np.median(values), place - 0.36, place + 0.36, color=GROUP_INK[group], linewidth=2)
    several = scores["site"].nunique() > 1
    labels = [f"{group}, {site} ({len(of)})" if several else f"{group} ({len(of)})" for group, site, of in rows]
    axes.set_yticks(range(len(rows)), labels, parse_math=False)
    axes.set(ylim=(len(rows) - 0.4, -0.6), xlabel="Score")
    low, high = scores["score"].min(), scores["score"].max()
    if low > 0 and high / low > DECADES:
        axes.set(xscale="log", xlabel="Score (logarithmic)")
        axes.xaxis.set_major_formatter("{x:g}")
    _plain_axes(axes)
    axes.grid(visible=False, axis="y")
    return _svg(figure, name="scores")


def recall_by_size(lesions: pd.DataFrame) -> pd.DataFrame:
    """Lesions found, by thirds of their volume, as the metrics `lesion_recall_small`, `_medium` and `_large` have it.

    Returns
    -------
    Columns `RECALL_COLUMNS`, a row for each experiment and size: the number of lesions, their recall with its Wilson
    interval (95 %; it takes the lesions of a patient as independent), and the volumes of the smallest and the largest.
    Empty below three lesions.
    """
    rows = []
    for experiment, found in lesions.groupby("experiment", sort=False):
        for size, places in thirds(found["volume_ml"]).items():
            detected, volumes = (found[name].to_numpy()[places] for name in ("detected", "volume_ml"))
            ends = binomtest(int(detected.sum()), len(places)).proportion_ci(method="wilson")
            rows.append((experiment, size, len(places), detected.mean(), *ends, volumes[0], volumes[-1]))
    return pd.DataFrame(rows, columns=RECALL_COLUMNS)


def recall_svg(recalls: pd.DataFrame, colours: Mapping[str, str]) -> str:
    """The recalls of `recall_by_size` as dots with their intervals, the experiments beside each other in each size."""
    figure = Figure(figsize=(WIDE_INCH, PLOT_INCH[1]), layout="constrained")
    axes = figure.add_subplot()
    experiments = list(recalls["experiment"].unique())
    step = min(0.8 / len(experiments), 0.12)
    for place, experiment in enumerate(experiments):
        rows = recalls[recalls["experiment"] == experiment]
        x = np.arange(len(rows)) + step * (place - (len(experiments) - 1) / 2)
        axes.vlines(x, rows["ci_low"], rows["ci_high"], color=colours[experiment], linewidth=2, alpha=0.5)
        axes.plot(x, rows["recall"], "o", color=colours[experiment], markersize=5, clip_on=False)
    labels = [
        f"{row.size}: {row.low_ml:.2g} to {row.high_ml:.2g} ml\n{row.n} lesions"
        for row in recalls[recalls["experiment"] == experiments[0]].itertuples()
    ]
    axes.set_xticks(range(len(labels)), labels)
    axes.set(ylim=(-0.01, 1.02), ylabel="Lesions found")
    _plain_axes(axes)
    axes.grid(visible=False, axis="x")
    return _svg(figure, name="recall")


def _plain_axes(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set(color=PAGE_INK, alpha=0.5)
    axes.tick_params(colors=PAGE_INK, labelsize=9, length=3)
    axes.grid(color=PAGE_INK, alpha=0.12, linewidth=0.7)
    for label in (axes.xaxis.label, axes.yaxis.label):
        label.set(color=PAGE_INK, fontsize=10)


def _svg(figure: Figure, name: str) -> str:
    """The `<svg>` element alone; `name` keeps its inner ids apart from those of the page's other figures."""
    drawing = StringIO()
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": name}):
        figure.savefig(drawing, format="svg", transparent=True, metadata=nothing)
    text = drawing.getvalue()
    for ink, colour in PAGE_COLOURS.items():
        text = text.replace(ink, colour)
    return text[text.index("<svg") :]

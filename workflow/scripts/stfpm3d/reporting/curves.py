"""Plots for the page: SVG in its own colours, of text and of the groups, so that they fit a light and a dark page."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
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
SERIES_INK = [f"#01021{number}" for number in range(8)]
# What stands for a colour of the page becomes its name in style.css.
PAGE_COLOURS = {PAGE_INK: "currentColor"} | {ink: f"var(--{group})" for group, ink in GROUP_INK.items()}
PAGE_COLOURS |= {ink: f"var(--series-{number})" for number, ink in enumerate(SERIES_INK, start=1)}
DASHES = ((), (5, 2), (1, 1.5), (6, 2, 1, 2), (9, 2))
"""Lengths of strokes and gaps, in widths of a line, by which experiments differ besides their colours."""

CurveName = Literal["pr", "roc", "dice", "froc", "image_roc"]
FROC_RANGE = (0.1, 10)  # false positives per scan
DICE_RANGE = (1e-4, 1)  # share of healthy voxels
DECADES = 100  # scores that span more are shown on a logarithmic axis
GOLDEN = 0.618034  # multiples of it, modulo 1, lie evenly: scatter that is the same each time
PLOT_INCH, WIDE_INCH = (4.6, 3.2), 8.4
LABEL_POINTS = 10  # from one name to the next
MARKS = "osD^vPX*"
DASHED = {"color": PAGE_INK, "alpha": 0.45, "linewidth": 1, "linestyle": (0, (3, 3))}
RECALL_NOTE = (
    "Thirds of the lesions by volume. Bars: 95 % Wilson intervals, which take a patient's lesions as independent."
)
SCORES_NOTE = "A dot a scan, a tick at the median. Where sites of one group differ, the score sees the site."
RECALL_COLUMNS = ["experiment", "size", "n", "recall", "ci_low", "ci_high", "low_ml", "high_ml"]


class Style(NamedTuple):
    """How an experiment is drawn wherever it appears: `ink` stands for a colour of the page."""

    ink: str
    dashes: tuple[float, ...]

    @property
    def colour(self) -> str:
        """The colour's name in style.css."""
        return PAGE_COLOURS[self.ink]


def styles(experiments: Iterable[str]) -> dict[str, Style]:
    """A colour of Okabe and Ito (2008) and a style of line for each experiment, no two alike among forty."""
    return {
        name: Style(SERIES_INK[place % len(SERIES_INK)], DASHES[place % len(DASHES)])
        for place, name in enumerate(experiments)
    }


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
    looks: Mapping[str, Style],
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
    looks
        The style of each experiment.
    prevalence
        Share of lesion voxels, what chance reaches in `pr`.
    healthy_quantile
        The quantile of healthy validation voxels that is the headline threshold.
    """
    marks = {"pr": prevalence, "dice": 1 - healthy_quantile}
    binned = "Of binned map values, and thinned to some 500 points."
    remarks = {"pr": f"{binned} Dashed: the prevalence, what chance reaches.", "roc": binned}
    remarks["dice"] = f"{binned} Dashed: the headline threshold, healthy p{100 * healthy_quantile:.3g}."
    drawn = {
        curve: Plot(title, curve_svg(curves, curve, looks, marks.get(curve)), note=remarks.get(curve, ""))
        for curve, (title, *_) in CURVES.items()
        if (curves["curve"] == curve).any()
    }
    recalls = recall_by_size(lesions)
    if not recalls.empty:
        drawn["recall"] = Plot("Lesions: recall by size", recall_svg(recalls, looks), True, RECALL_NOTE)
    known = scores.dropna(subset="score")
    if not known.empty:
        parts = "group and site" if known["site"].nunique() > 1 else "group"
        drawn["scores"] = Plot(f"Scans: scores of {shown} by {parts}", score_svg(known), True, SCORES_NOTE)
    return [drawn[name] for name in ("pr", "roc", "dice", "froc", "recall", "image_roc", "scores") if name in drawn]


def curve_svg(curves: pd.DataFrame, curve: CurveName, looks: Mapping[str, Style], mark: float | None) -> str:
    """One kind of curve for all experiments, each in its style and with its name at its end.

    `curves` has the columns `experiment`, `curve`, `x` and `y`, of one split. `mark` is a dashed line: in `pr` the
    precision of chance, in `dice` the share of healthy voxels above the headline threshold.
    """
    figure = Figure(figsize=PLOT_INCH, layout="constrained")
    axes = figure.add_subplot()
    _, xlabel, ylabel = CURVES[curve]
    axes.set(xlabel=xlabel, ylabel=ylabel, xlim=(-0.01, 1.01), ylim=(-0.01, 1.02))
    if curve in ("froc", "dice"):
        axes.set(xscale="log", xlim=FROC_RANGE if curve == "froc" else DICE_RANGE)
        axes.xaxis.set_major_formatter("{x:g}")
    ends = {}
    for name, points in curves[curves["curve"] == curve].groupby("experiment", sort=False):
        _draw_line(axes, points["x"], points["y"], looks[str(name)], "steps-post" if curve == "froc" else "default")
        ends[str(name)] = points
    if curve in ("roc", "image_roc"):
        axes.plot([0, 1], [0, 1], **DASHED)
    elif curve == "pr" and mark is not None:
        axes.axhline(mark, **DASHED)
    elif curve == "dice":
        axes.autoscale(axis="y")
        axes.set_ylim(bottom=0)
        if mark is not None:
            axes.axvline(mark, **DASHED)
    _plain_axes(axes)
    _label_lines(axes, ends, looks)
    return _svg(figure, name=curve)


def training_svg(epochs: pd.DataFrame, name: str) -> str:
    """The figures of a training by epoch, and a line at the epoch whose weights were kept.

    `epochs` has `epoch`, one column a figure, and `chosen` (1 for the epoch that was kept) where one was chosen.
    """
    figures = [str(column) for column in epochs if column not in ("epoch", "chosen")]
    figure = Figure(figsize=PLOT_INCH, layout="constrained")
    axes = figure.add_subplot()
    looks = styles(figures)
    for column in figures:
        _draw_line(axes, epochs["epoch"], epochs[column], looks[column], "default")
    axes.set(xlabel="Epoch", ylabel="Loss or score")
    if "chosen" in epochs:
        for epoch in epochs.loc[epochs["chosen"] == 1, "epoch"]:
            axes.axvline(epoch, **DASHED)
    _plain_axes(axes)
    _label_lines(axes, {column: epochs.rename(columns={"epoch": "x", column: "y"}) for column in figures}, looks)
    return _svg(figure, name=name)


def _draw_line(
    axes: Axes, x: pd.Series, y: pd.Series, look: Style, drawstyle: Literal["default", "steps-post"]
) -> None:
    line = {"color": look.ink, "linewidth": 1.8, "drawstyle": drawstyle, "dash_capstyle": "butt"}
    axes.plot(x, y, linestyle=(0, look.dashes) if look.dashes else "solid", **line)


def _label_lines(axes: Axes, lines: Mapping[str, pd.DataFrame], looks: Mapping[str, Style]) -> None:
    """Write each line's name to the right of the axes, at the height of its last point that is to be seen.

    Names that would lie on each other are moved apart; a stroke in the line's style leads to each.
    """
    low, high = axes.get_xlim()
    bottom, top = axes.get_ylim()
    seen = {name: points[points["x"].between(low, high)].dropna(subset="y") for name, points in lines.items()}
    last = {name: float(points.sort_values("x")["y"].iloc[-1]) for name, points in seen.items() if len(points)}
    order = sorted(last, key=lambda name: last[name])
    step = LABEL_POINTS / (72 * PLOT_INCH[1] * 0.8)  # of the height of the axes
    places = np.array([(last[name] - bottom) / ((top - bottom) or 1) for name in order])
    wanted = np.maximum.accumulate(places - step * np.arange(len(order))) + step * np.arange(len(order))
    wanted -= max(wanted[-1] - 1.0, 0) if len(order) else 0
    for name, place, height in zip(order, places, np.maximum(wanted, step * np.arange(len(order)) - 0.05), strict=True):
        look = looks[name]
        style = (0, look.dashes) if look.dashes else "solid"
        stroke = {"color": look.ink, "linewidth": 1.5, "clip_on": False, "transform": axes.transAxes}
        axes.plot([1.01, 1.1], [place, height], linestyle=style, **stroke)
        axes.text(1.12, height, name, transform=axes.transAxes, va="center", color=PAGE_INK, fontsize=7.5)


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


def lesion_counts(patients: pd.DataFrame, lesions: pd.DataFrame) -> dict[str, dict[str, str]]:
    """What the shares of lesions count, as `2 of 3`, by experiment and metric; without those of nothing."""
    found: dict[str, dict[str, str]] = {}
    for experiment, rows in patients.groupby("experiment"):
        detected, n_lesion, n_component = (int(rows[name].sum()) for name in ("n_detected", "n_lesion", "n_component"))
        of = {"lesion_recall": n_lesion, "lesion_precision": n_component}
        found[str(experiment)] = {name: f"{detected} of {number}" for name, number in of.items() if number}
    for experiment, rows in lesions.groupby("experiment"):
        for size, places in thirds(rows["volume_ml"]).items():
            detected = int(rows["detected"].iloc[places].sum())
            found[str(experiment)][f"lesion_recall_{size}"] = f"{detected} of {len(places)}"
    return found


def recall_svg(recalls: pd.DataFrame, looks: Mapping[str, Style]) -> str:
    """The recalls of `recall_by_size` as dots with their intervals, the experiments beside each other in each size.

    Each has the mark of its place in the order, which the legend names.
    """
    figure = Figure(figsize=(WIDE_INCH, PLOT_INCH[1]), layout="constrained")
    axes = figure.add_subplot()
    experiments = list(recalls["experiment"].unique())
    step = min(0.8 / len(experiments), 0.12)
    for place, experiment in enumerate(experiments):
        rows = recalls[recalls["experiment"] == experiment]
        x = np.arange(len(rows)) + step * (place - (len(experiments) - 1) / 2)
        ink = looks[experiment].ink
        axes.vlines(x, rows["ci_low"], rows["ci_high"], color=ink, linewidth=2, alpha=0.5)
        mark = MARKS[place % len(MARKS)]
        axes.plot(x, rows["recall"], mark, color=ink, markersize=6, clip_on=False, label=experiment)
    labels = [
        f"{row.size}: {row.low_ml:.2g} to {row.high_ml:.2g} ml\n{row.n} lesions"
        for row in recalls[recalls["experiment"] == experiments[0]].itertuples()
    ]
    axes.set_xticks(range(len(labels)), labels)
    axes.set(ylim=(-0.01, 1.02), ylabel="Lesions found")
    _plain_axes(axes)
    axes.grid(visible=False, axis="x")
    place = {"loc": "center left", "bbox_to_anchor": (1, 0.5), "frameon": False}
    axes.legend(**place, fontsize=8, labelcolor=PAGE_INK, handletextpad=0.2)
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

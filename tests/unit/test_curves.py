"""The page's plots."""

import re

import numpy as np
import pandas as pd
import pytest

from stfpm3d.reporting import curves
from stfpm3d.reporting.curves import curve_svg, plots, recall_by_size, score_svg, styles, training_svg

LOOKS = styles(["trained", "untrained"])
CURVES = pd.DataFrame(
    [(name, curve, x, x / 2) for name in LOOKS for curve in ("pr", "dice", "froc") for x in (1.0, 0.1, 0.01, 0.001)],
    columns=["experiment", "curve", "x", "y"],
)
SCORES = pd.DataFrame(
    {
        "group": ["patient", "patient", "healthy", "healthy", "healthy"],
        "site": ["north", "south", "north", "north", "south"],
        "score": [9.0, 8, 2, 3, 1],
    }
)
VOLUMES = (9.0, 0.1, 0.2, 3, 0.3, 4, 5)
LESIONS = pd.DataFrame({"experiment": "trained", "volume_ml": VOLUMES, "detected": [1, 0, 1, 1, 0, 0, 1]})


def drawn(curves=CURVES, lesions=LESIONS, scores=SCORES):
    settings = {"shown": "trained", "prevalence": 0.05, "healthy_quantile": 0.99}
    return [plot.title for plot in plots(curves, lesions, scores, LOOKS, **settings)]


def test_no_two_experiments_look_alike_and_each_name_stands_at_its_line():
    assert len(set(styles(map(str, range(40))).values())) == 40
    drawing = curve_svg(CURVES, "pr", LOOKS, mark=0.05)
    assert re.findall(r">((?:un)?trained)<", drawing) == ["trained", "untrained"]


def test_a_training_is_drawn_with_the_epoch_that_was_kept():
    epochs = pd.DataFrame({"epoch": [0, 1, 2], "val_loss": [3.0, 1, 2]})
    assert training_svg(epochs.assign(chosen=[0, 1, 0]), "a") != training_svg(epochs, "a")


def test_curves_take_the_pages_ink_and_each_experiments_colour():
    for curve in ("pr", "dice", "froc"):
        drawing = curve_svg(CURVES, curve, LOOKS, mark=0.05)
        assert drawing.startswith("<svg")
        assert "currentColor" in drawing
        assert "var(--series-1)" in drawing and "var(--series-2)" in drawing
        assert curves.PAGE_INK not in drawing


def test_what_the_scans_do_not_allow_is_not_drawn():
    assert drawn() == [
        "Voxels: precision and recall",
        "Voxels: Dice against threshold",
        "Lesions: FROC",
        "Lesions: recall by size",
        "Scans: scores of trained by group and site",
    ]
    assert drawn(CURVES[:0], LESIONS[:2], SCORES.assign(site="north")) == ["Scans: scores of trained by group"]
    assert drawn(CURVES[:0], LESIONS[:0], SCORES.assign(score=np.nan)) == []


def test_recall_by_size_is_of_thirds_with_wilsons_interval():
    found = recall_by_size(LESIONS)
    assert list(found["size"]) == ["small", "medium", "large"]
    assert found["n"].tolist() == [3, 2, 2]
    assert found["recall"].tolist() == pytest.approx([1 / 3, 0.5, 1])
    assert found[["low_ml", "high_ml"]].to_numpy().tolist() == [[0.1, 0.3], [3, 4], [5, 9]]
    z, p, n = 1.959964, 1 / 3, 3
    middle, half = p + z**2 / (2 * n), z * np.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    ends = [(middle - half) / (1 + z**2 / n), (middle + half) / (1 + z**2 / n)]  # Wilson 1927
    assert list(found.loc[0, ["ci_low", "ci_high"]]) == pytest.approx(ends)


def test_each_group_and_site_has_a_row_in_the_colour_of_the_group():
    drawing = score_svg(SCORES)
    rows = re.findall(r">(\w+, \w+ \(\d\))<", drawing)
    assert rows == ["patient, north (1)", "patient, south (1)", "healthy, north (2)", "healthy, south (1)"]
    assert "var(--patient)" in drawing and "var(--healthy)" in drawing
    assert drawing == score_svg(SCORES), "the scatter is the same each time"
    assert "logarithmic" not in drawing
    assert "logarithmic" in score_svg(SCORES.assign(score=[900, 8, 2, 3, 1]))
    assert "logarithmic" not in score_svg(SCORES.assign(score=[900, 8, 2, 3, -1]))

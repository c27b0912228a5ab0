"""Cross-validation: each subject is tested on once, and numbers are averaged over the folds that have them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from stfpm3d.evaluation.folds import summarise_folds
from stfpm3d.evaluation.protocol import METRIC_COLUMNS
from stfpm3d.reporting.folds_page import write_folds_page
from stfpm3d.runtime.errors import InputError
from stfpm3d.study.config import read_config
from stfpm3d.study.split import assign_fold

TEMPLATE = Path(__file__).parents[2] / "workflow/scripts/stfpm3d/reporting/templates/folds.html.j2"


def cohort(n_healthy: int, n_patient: int) -> pd.DataFrame:
    """Subjects of two sites, every third one scanned twice."""
    names = [f"sub-{n:03d}" for n in range(n_healthy + n_patient)]
    group = ["healthy"] * n_healthy + ["patient"] * n_patient
    site = ["a" if n % 4 else "b" for n in range(len(names))]
    table = pd.DataFrame({"participant_id": names, "group": group, "site": site})
    return pd.concat([table, table[::3]], ignore_index=True)


@pytest.mark.parametrize(("folds", "n_healthy", "n_patient"), [(3, 31, 7), (5, 103, 44)])
def test_every_subject_is_tested_on_in_one_fold_and_validated_on_in_another(
    folds: int, n_healthy: int, n_patient: int
) -> None:
    table = cohort(n_healthy, n_patient)
    parts = pd.DataFrame(
        {
            fold: assign_fold(table, folds, fold, 0).groupby(level=0).agg(lambda part: "/".join(set(part)))
            for fold in range(1, folds + 1)
        }
    )
    assert (parts == "test").sum(axis=1).eq(1).all() and (parts == "val").sum(axis=1).eq(1).all()
    assert (parts == "train").sum(axis=1).eq(folds - 2).all()  # and a subject's scans are never divided
    group = table.drop_duplicates("participant_id").set_index("participant_id")["group"]
    sizes = (parts == "test").groupby(group).sum()
    assert (sizes.max(axis=1) - sizes.min(axis=1)).max() <= 1


def test_a_table_with_a_split_or_with_too_few_subjects_is_refused() -> None:
    with pytest.raises(InputError, match=r"has a split column, which split\.folds would overrule"):
        assign_fold(cohort(9, 9).assign(split="train"), 3, 1, 0)
    with pytest.raises(InputError, match=r"2 patient subject\(s\) cannot fill 3 folds; .* lower split\.folds"):
        assign_fold(cohort(9, 2), 3, 1, 0)


@pytest.mark.parametrize("split", [{"folds": 2}, {"fold": 1}, {"folds": 3, "fold": 4}])
def test_impossible_folds_are_named(split: dict[str, int]) -> None:
    teacher = {"name": "t"}
    experiment = {"name": "e", "method": "padim", "teacher": "t"}
    with pytest.raises(InputError, match="split"):
        read_config({"teachers": [teacher], "experiments": [experiment], "split": split})


def metrics(*values: float, n_patient: int = 4) -> pd.DataFrame:
    rows = [
        ("stfpm", "strict", "test", metric, value, np.nan, np.nan, 2, n_patient)
        for metric, value in zip(("dice", "voxel_auprc"), values, strict=True)
    ]
    return pd.DataFrame(rows, columns=METRIC_COLUMNS)


def test_numbers_are_averaged_over_the_folds_that_have_them(tmp_path: Path) -> None:
    folds = [metrics(0.1, 0.3), metrics(0.2, np.nan, n_patient=0), metrics(0.6, 0.5)]
    summary = summarise_folds(folds).set_index("metric")
    dice, auprc = summary.loc["dice"].to_dict(), summary.loc["voxel_auprc"].to_dict()
    assert (dice["mean"], dice["sd"], dice["n_fold"]) == pytest.approx((0.3, np.sqrt(0.07), 3))
    assert (auprc["mean"], auprc["n_fold"], auprc["n_patient"]) == pytest.approx((0.4, 2, 8))
    reports = [tmp_path / str(fold) / "report/index.html" for fold in (1, 2, 3)]
    write_folds_page(tmp_path / "index.html", TEMPLATE, summary.reset_index(), reports, tmp_path / "qc/index.html")
    page = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert "0.300 <small>± 0.265</small>" in page and "2 folds" in page
    assert 'href="2/report/index.html"' in page and str(tmp_path) not in page

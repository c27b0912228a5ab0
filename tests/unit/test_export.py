"""The JSON holds what the tables hold."""

import json
from math import nan

import pandas as pd

from stfpm3d.evaluation.comparison import COMPARISON_COLUMNS
from stfpm3d.evaluation.experiment import METRIC_COLUMNS
from stfpm3d.evaluation.export import results_json

METRICS = pd.DataFrame(
    [
        ("stfpm", "strict", "test", "voxel_auprc", 0.1 + 0.2, 0.25, 0.4, 0, 12),
        ("stfpm", "strict", "test", "image_auroc", 0.875, nan, nan, 9, 12),
        ("stfpm", "strict", "val", "image_auroc", nan, nan, nan, 9, 0),
        ("stfpm", "paper", "test", "image_auroc", 1, nan, nan, 9, 12),
        ("zscore", "strict", "test", "voxel_auprc", 1e-7, nan, nan, 0, 12),
    ],
    columns=METRIC_COLUMNS,
)
COMPARISONS = pd.DataFrame([("zscore", "stfpm", -0.3, -0.4, -0.2, nan, nan, 5)], columns=COMPARISON_COLUMNS)


def no_constant(name):
    raise AssertionError(f"{name} is no JSON")


def test_the_json_is_strict_and_read_back_equals_the_tables():
    found = json.loads(results_json(METRICS, COMPARISONS), parse_constant=no_constant)
    rows = [
        {"experiment": experiment, "protocol": protocol, "split": split, "metric": metric, **numbers}
        for experiment, protocols in found["metrics"].items()
        for protocol, splits in protocols.items()
        for split, metrics in splits.items()
        for metric, numbers in metrics.items()
    ]
    pd.testing.assert_frame_equal(pd.DataFrame(rows)[METRIC_COLUMNS], METRICS, check_exact=True, check_dtype=False)
    compared = pd.DataFrame(found["comparisons"])[COMPARISON_COLUMNS]
    pd.testing.assert_frame_equal(
        compared, COMPARISONS.astype(object).where(COMPARISONS.notna(), None), check_dtype=False
    )
    assert found["metrics"]["stfpm"]["strict"]["val"]["image_auroc"]["value"] is None

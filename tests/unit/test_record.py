"""A bundle tells what its experiment reached on the test scans."""

from __future__ import annotations

import numpy as np
import pandas as pd

from stfpm3d.evaluation.intervals import Estimate
from stfpm3d.evaluation.protocol import Row, metric_table
from stfpm3d.prediction.description import Record
from stfpm3d.prediction.record import record_of


def test_a_record_is_that_of_the_experiments_test_scans_and_leaves_out_what_was_not_measured() -> None:
    values = {"voxel_auprc": 0.54, "prevalence": 0.08, "dice": 0.39, "lesion_recall": np.nan, "patient_fp_ml": 205.0}
    rows = [Row("test", name, Estimate(value), 0, 12) for name, value in values.items()]
    rows += [Row("val", "dice", Estimate(0.9), 0, 3), Row("test", "healthy_fp_ml", Estimate(15.0), 29, 0)]
    rows.append(Row("test", "image_auroc", Estimate(0.95), 29, 12))
    other = metric_table("zscore", "strict", [Row("test", "dice", Estimate(0.1), 0, 12)])
    found = record_of(pd.concat([other, metric_table("stfpm", "strict", rows)]), "stfpm")
    assert Record.model_validate(found) == Record(
        n_healthy=29,
        n_patient=12,
        voxel_auprc=0.54,
        prevalence=0.08,
        dice=0.39,
        lesion_recall=None,
        healthy_fp_ml=15.0,
        patient_fp_ml=205.0,
        image_score="unknown",
    )

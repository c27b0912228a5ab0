"""What the report says of the image score, for every outcome of the probes."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from stfpm3d.evaluation.intervals import Estimate
from stfpm3d.evaluation.protocol import Row, metric_table
from stfpm3d.probes.separation import probe_pair
from stfpm3d.reporting.trust import site_warning, verdict

SILENT = (0.55, 0.3)
FIRED = (0.98, 0.0001)
TOO_FEW = (np.nan, np.nan)
PROBES = ("histogram", "removed_6mm", "removed_30mm")


def metrics(
    histogram=SILENT, removed_6mm=SILENT, removed_30mm=SILENT, *, site_fpr=0.012, counts=(20, 15)
) -> pd.DataFrame:
    """A metrics table with the outcomes (AUROC, p) of the probes of one experiment."""
    image = pd.DataFrame([Row("test", "image_auroc", Estimate(0.9), *counts)._asdict()])
    strict = image.assign(experiment="stfpm", protocol="strict", value=0.9, ci_low=0.8, ci_high=1.0)
    rows = []
    for name, (auroc, p) in (("removed_6mm", removed_6mm), ("removed_30mm", removed_30mm)):
        rows += probe_pair(f"probe_{name}", Estimate(auroc), p, *counts)
    for name, value in (("slices", 0.81), ("slices_control", 0.62), ("mirror", 0.77)):
        rows.append(Row("test", f"probe_{name}", Estimate(value), 0, 15))
    rows.append(Row("test", "probe_site_fpr", Estimate(site_fpr), 20, 0))
    first = probe_pair("probe_histogram", Estimate(histogram[0]), histogram[1], 100, 60)
    return pd.concat([strict, metric_table("histogram", "probes", first), metric_table("stfpm", "probes", rows)])


@pytest.mark.parametrize("probe", PROBES)
@pytest.mark.parametrize("others", [SILENT, TOO_FEW])
def test_any_probe_that_fires_is_a_warning_in_words(probe: str, others: tuple[float, float]) -> None:
    found = verdict(metrics(*(FIRED if name == probe else others for name in PROBES)), "stfpm")
    assert found.level == "warning"
    assert "Image AUROC 0.90 on this cohort is not evidence of lesion detection" in found.sentences[0]
    assert "mass effect and atrophy remain possible" in found.sentences[0]
    assert found.sentences[0].count("(AUROC 0.98, p < 0.001)") == 1
    assert not any("proof" in sentence for sentence in found.sentences)
    assert {"histogram": "histograms", "removed_6mm": "6 mm", "removed_30mm": "30 mm"}[probe] in found.sentences[0]


def test_silence_says_what_was_checked_and_what_speaks_for_the_map() -> None:
    found = verdict(metrics(removed_6mm=(0.69, 0.01), removed_30mm=(0.72, 0.06)), "stfpm")
    assert found.level == "fine", "a probe fires at 0.70 and p < 0.05 alone"
    checked, evidence = found.sentences
    assert "passes the check" in checked and "not evidence" not in checked
    for figures in ("AUROC 0.55, p = 0.30", "AUROC 0.69, p = 0.01", "AUROC 0.72, p = 0.06"):
        assert figures in checked
    assert "0.81 (healthy scans in these slices 0.62)" in evidence and "mirrored place 0.77" in evidence
    assert "synthetic" not in evidence, "there are none"
    pairs = pd.DataFrame([Row("test", "synthetic_auroc_paired", Estimate(0.7), 20, 0)._asdict()])
    pairs = pairs.assign(experiment="stfpm", protocol="strict", value=0.7, ci_low=np.nan, ci_high=np.nan)
    assert "synthetic lesion against themselves 0.70" in verdict(pd.concat([metrics(), pairs]), "stfpm").sentences[1]


@pytest.mark.parametrize("histogram", [SILENT, TOO_FEW])
def test_with_too_few_subjects_there_is_no_verdict(histogram: tuple[float, float]) -> None:
    found = verdict(metrics(histogram, TOO_FEW, TOO_FEW, counts=(20, 5)), "stfpm")
    assert found.level == "unknown"
    assert "too few to tell" in found.sentences[0] and "fewer than 12" in found.sentences[0]
    assert ("20 healthy, 5 patients" in found.sentences[0]) == (histogram == SILENT)
    assert ("keeps silent: histograms" in found.sentences[0]) == (histogram == SILENT)


def test_without_the_probes_nothing_is_claimed() -> None:
    table = metrics()
    found = verdict(table[table["protocol"] == "strict"], "stfpm")
    assert found.level == "unknown" and len(found.sentences) == 1
    assert "was not measured" in found.sentences[0]
    assert site_warning(table[table["protocol"] == "strict"], "stfpm", 0.99) is None


@pytest.mark.parametrize(("rate", "warned"), [(0.049, False), (0.051, True), (np.nan, False)])
def test_a_threshold_that_fails_at_one_site_is_a_warning(rate: float, warned: bool) -> None:
    warning = site_warning(metrics(site_fpr=rate), "stfpm", 0.99)
    assert (warning is not None) == warned
    if warning:
        assert "5.1 %" in warning and "5 times the 1.0 %" in warning

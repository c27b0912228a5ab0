"""All scans on one page and in one table; a refused one makes the run fail when all is written."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from stfpm3d.prediction.anomalies import Anomaly
from stfpm3d.prediction.gathering import check_all_predicted, gather, write_predictions_page
from stfpm3d.reporting import pages
from stfpm3d.runtime.errors import InputError
from stfpm3d.runtime.files import write_table

TEMPLATE = Path(pages.__file__).parent / "templates" / "predictions.html.j2"
DESCRIPTION = {
    "experiment": "stfpm",
    "modality": "T2w",
    "space": "MNI152NLin2009cAsym",
    "healthy_quantile": 0.99,
    "min_lesion_ml": 0.05,
    "threshold": 0.5,
    "validation": {"scores": [0.1, 0.2]},
}
PREDICTED = {"status": "predicted", "score": 0.7, "percentile": 100.0, "n_finding": 1, "volume_ml": 1.25}
NOTE = "The contrast is unusual."
PREDICTED |= {"skull_stripped": False, "brain_covered": 1.0, "likeness": 0.8}


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """One scan with a finding, one without, one that was refused."""
    rows = {
        "sub-01": {**PREDICTED, "score": 0.05, "percentile": 0.0, "n_finding": 0, "volume_ml": 0},
        "sub-02": {**PREDICTED, "note": NOTE},
        "sub-03": {"status": "refused", "stage": "read", "reason": "sub-03: <b>.nii is a pipe"},
    }
    finding = Anomaly(1, 1.25, 0.7, 0.6, -20.0, 5.0, 10.0, "left", 8.0, "Left-Putamen 90%")
    for name, row in rows.items():
        (tmp_path / f"{name}.json").write_text(json.dumps({"scan_id": name, "image": f"{name}.nii", **row}))
        if row["status"] == "predicted":
            for folder in (tmp_path / name / "anat", tmp_path / "figures"):
                folder.mkdir(parents=True, exist_ok=True)
            (tmp_path / f"figures/{name}.png").write_bytes(b"PNG")
            lines = ["\t".join(Anomaly._fields), "\t".join(map(str, finding))]
            text = "\n".join(lines[: 1 + int(row["n_finding"])])
            (tmp_path / f"{name}/anat/{name}_desc-anomaly_findings.tsv").write_text(text + "\n")
    return tmp_path


def test_the_most_unusual_scan_comes_first_and_the_page_needs_nothing_else(out: Path) -> None:
    rows = gather(sorted(out.glob("sub-*.json")))
    write_predictions_page(out / "index.html", TEMPLATE, rows, out, DESCRIPTION)
    page = (out / "index.html").read_text(encoding="utf-8")
    assert page.index('id="sub-02"') < page.index('id="sub-01"')
    assert 'Findings in 1 of 2 scans; <a href="#refused">1 refused</a>' in page
    assert "Left-Putamen 90%" in page and "sub-03: &lt;b&gt;.nii is a pipe" in page
    assert 'src="data:image/png;base64,UE5H"' in page and "http" not in page.split("<main>")[1]


def test_a_note_stands_in_the_table_and_with_its_scan_on_the_page(out: Path) -> None:
    rows = gather(sorted(out.glob("sub-*.json")))
    assert rows["note"].fillna("").tolist() == ["", NOTE, ""]
    write_predictions_page(out / "index.html", TEMPLATE, rows, out, DESCRIPTION)
    page = (out / "index.html").read_text(encoding="utf-8")
    assert page.index('id="sub-02"') < page.index(NOTE) < page.index('id="sub-01"') and page.count(NOTE) == 1


def test_a_score_keeps_its_digits_however_small_it_is(out: Path) -> None:
    path = out / "sub-02.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"score": 8.12345e-6, "volume_ml": 1.23456}))
    rows = gather([path])
    assert (rows["score"].item(), rows["volume_ml"].item()) == (8.123e-6, 1.2346)


def test_a_refused_scan_makes_the_run_fail(out: Path) -> None:
    rows = gather(sorted(out.glob("sub-*.json")))
    assert math.isnan(rows["score"].iloc[2])
    write_table(out / "predictions.tsv", rows)
    with pytest.raises(InputError, match=r"1 of 2 scans were refused: sub-03 \(read\)"):
        check_all_predicted(out / "predictions.tsv", ["sub-02", "sub-03"])
    check_all_predicted(out / "predictions.tsv", ["sub-01", "sub-02"])  # the other was refused in an earlier run

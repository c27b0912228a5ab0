"""All scans on one page and in one table; a refused one makes the run fail when all is written."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest

from stfpm3d.prediction.anomalies import Anomaly
from stfpm3d.prediction.gathering import check_all_predicted, gather
from stfpm3d.prediction.page import Reference, write_predictions_page
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
    "record": {
        "n_healthy": 20,
        "n_patient": 12,
        "voxel_auprc": 0.54,
        "prevalence": 0.08,
        "dice": 0.39,
        "lesion_recall": 0.75,
        "healthy_fp_ml": 15.2,
        "patient_fp_ml": 205.4,
        "image_score": "warning",
    },
}
PREDICTED = {"status": "predicted", "score": 0.7, "percentile": 100.0, "n_as_high": 0, "n_finding": 1}
PREDICTED |= {"volume_ml": 165.25, "usual_ml": 12.4}
NOTE = "The contrast is unusual."
PREDICTED |= {"skull_stripped": False, "brain_covered": 1.0, "likeness": 0.8}


@pytest.fixture
def out(tmp_path: Path) -> Path:
    """One scan with a finding, one without, one with a higher score, one that was refused."""
    rows = {
        "sub-01": {**PREDICTED, "score": 0.05, "percentile": 0.0, "n_as_high": 2, "n_finding": 0, "volume_ml": 0},
        "sub-02": {**PREDICTED, "note": NOTE},
        "sub-03": {"status": "refused", "stage": "read", "reason": "sub-03: <b>.nii is a pipe"},
        "sub-04": {**PREDICTED, "score": 0.9},
    }
    finding = Anomaly(1, 1.25, 0.7, 0.6, -20.0, 5.0, 10.0, "both", 0.82, 8.0, "left putamen 90%")
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


@pytest.fixture
def page(out: Path) -> str:
    """The page's text, its white space single."""
    rows = gather(sorted(out.glob("sub-*.json")))
    write_predictions_page(out / "index.html", TEMPLATE, rows, out, DESCRIPTION)
    return " ".join((out / "index.html").read_text(encoding="utf-8").split())


def test_the_highest_score_comes_first_whatever_the_order_and_the_page_needs_nothing_else(page: str) -> None:
    table = page.split("<tbody>")[1].split("</tbody>")[0]
    for part in (table, page.split('id="record"')[1]):
        places = [part.index(f"sub-0{number}") for number in (3, 4, 2, 1)]
        assert places == sorted(places), "refused, then by falling score"
    assert "left putamen 90%" in page and "sub-03: &lt;b&gt;.nii is a pipe" in page
    assert 'src="data:image/png;base64,UE5H"' in page and "http" not in page.split("<main>")[1]


def test_the_heading_counts_what_lies_outside_the_healthy_range(page: str) -> None:
    heading = page.split("<h1>")[1].split("</h1>")[0]
    assert heading.endswith("2 of 3 scans score higher than at least 1 of 2 healthy scans; 1 lies inside")
    assert ">1 scan refused</a>" in heading
    of_15 = Reference(15)
    assert of_15.least_below == 14
    assert [of_15.is_outside(n_as_high) for n_as_high in (0, 1, 2, 15)] == [True, True, False, False]


def test_the_page_says_how_far_the_bundle_can_be_trusted(page: str) -> None:
    lead = page.split('class="lead">')[1].split("</p>")[0]
    found = "In 12 test patients it found 75 % of the lesions"
    wrongly = "On average it wrongly marks 205 ml outside the lesion in a patient and 15 ml in a healthy scan."
    assert f"{found}. {wrongly}" in lead
    record = page.split('id="record"')[1].split("</section>")[0]
    for figures in ("0.54 (chance 0.080, perfect 1)", "<dd>0.39 (", "75 % in 12 test patients", 'href="MODEL_CARD.md"'):
        assert figures in record
    assert "Can the score of a scan be trusted?</dt><dd>No" in record
    assert "<b>165 ml marked</b> in 1 place of 0.05 ml or more; about 12 ml are usual in a healthy scan" in page


def test_a_bundle_without_a_record_says_so(out: Path) -> None:
    rows = gather(sorted(out.glob("sub-0[12].json"))).assign(usual_ml=None)
    nothing = dict.fromkeys(DESCRIPTION["record"]) | {"n_healthy": 0, "n_patient": 0, "image_score": "unknown"}
    write_predictions_page(out / "index.html", TEMPLATE, rows, out, DESCRIPTION | {"record": nothing})
    page = (out / "index.html").read_text(encoding="utf-8")
    assert "nobody measured it" in page and "are usual in" not in page and "nan" not in page.lower().split("<main>")[1]


@pytest.mark.parametrize(("stage", "is_said"), [("read", False), ("register", True), ("compare", True)])
def test_a_refused_scan_may_have_a_large_lesion(out: Path, stage: str, is_said: bool) -> None:
    path = out / "sub-03.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"stage": stage}))
    (out / "figures/sub-03.png").write_bytes(b"HEAD")
    write_predictions_page(out / "index.html", TEMPLATE, gather([path]), out, DESCRIPTION)
    page = (out / "index.html").read_text(encoding="utf-8")
    assert ("read this scan yourself" in page) == is_said
    assert 'src="data:image/png;base64,SEVBRA=="' in page


def test_a_note_stands_in_the_table_and_with_its_scan_on_the_page(out: Path) -> None:
    rows = gather(sorted(out.glob("sub-*.json")))
    assert rows["note"].fillna("").tolist() == ["", NOTE, "", ""]
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

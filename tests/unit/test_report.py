"""The report's page and its notes, on a small synthetic cohort."""

import re
from base64 import b64decode
from io import BytesIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from stfpm3d.evaluation.comparison import compare_metrics, compare_patients
from stfpm3d.evaluation.experiment import SCORE_COLUMNS, evaluate_experiment
from stfpm3d.evaluation.intervals import Estimate
from stfpm3d.evaluation.protocol import Row, metric_table
from stfpm3d.imaging.grid import network_grid
from stfpm3d.imaging.volumes import Volume, save_volume
from stfpm3d.methods.stfpm import StfpmExperiment
from stfpm3d.probes.separation import probe_pair
from stfpm3d.probes.synthetic import detected_lesions, synthetic_metrics
from stfpm3d.reporting import notes, report
from stfpm3d.reporting.findings import hundredths, interval, number, volume
from stfpm3d.reporting.networks import Network
from stfpm3d.reporting.pictures import picture_scans
from stfpm3d.reporting.provenance import Stage
from stfpm3d.reporting.pseudonyms import by_number
from stfpm3d.reporting.report import Run
from stfpm3d.reporting.results import Results

TEMPLATE = Path(report.__file__).parent / "templates" / "report.html.j2"
SHAPE = (24, 28, 24)
AFFINE = np.array([[6.0, 0, 0, -70], [0, 6.0, 0, -80], [0, 0, 6.0, -70], [0, 0, 0, 1]])


@pytest.fixture(scope="module")
def brain_mask():
    distance = np.linalg.norm((np.indices(SHAPE).T - (np.array(SHAPE) - 1) / 2) / np.array(SHAPE), axis=-1).T
    return Volume(distance < 0.42, AFFINE)


@pytest.fixture(scope="module")
def grid(brain_mask):
    return network_grid(brain_mask, 120, 16)


@pytest.fixture(scope="module")
def cohort(tmp_path_factory, brain_mask):
    """Two experiments on two healthy scans and two patients a split; only the trained one reacts to lesions."""
    folder = tmp_path_factory.mktemp("private-folder")
    rng = np.random.default_rng(8)
    rows = []
    for split in ("val", "test"):
        for group, count in [("healthy", 1), ("healthy", 2), ("patient", 3), ("patient", 4)]:
            name = f"sub-{split}<{count}>"  # an id that must be escaped
            path = folder / f"{split}{count}"
            lesion = np.zeros(SHAPE, dtype=bool)
            lesion[8:12, 10:15, 9:13] = group == "patient"
            if group == "patient":
                save_volume(f"{path}_lesion.nii.gz", Volume(lesion, AFFINE), dtype=np.uint8)
            save_volume(f"{path}.nii.gz", Volume(rng.normal(size=SHAPE) + lesion, AFFINE))
            block1, block2, block3 = (rng.random((edge,) * 3, np.float32) for edge in (8, 4, 2))
            np.savez(f"{path}_blocks.npz", strides=[4, 8, 16], block1=block1, block2=block2, block3=block3)
            for experiment, gain in (("trained", 6), ("untrained", 0)):
                data = rng.exponential(size=SHAPE) + gain * lesion
                save_volume(f"{path}_{experiment}.nii.gz", Volume(data, AFFINE))
                files = [f"{path}{end}" for end in (".nii.gz", f"_{experiment}.nii.gz", "_blocks.npz")]
                mask = f"{path}_lesion.nii.gz" if group == "patient" else None
                rows.append((experiment, name, group, split, data[brain_mask.data].max(), *files, mask))
    columns = ["experiment", "participant_id", "group", "split", "score", "image", "map", "blocks", "lesion_mask"]
    return pd.DataFrame(rows, columns=columns)


@pytest.fixture(scope="module")
def results(cohort, brain_mask):
    return measured(cohort, brain_mask).identified()


def measured(cohort, brain_mask):
    """What the rules evaluate and compare write of a cohort."""
    found = [evaluate_experiment(str(name), rows, brain_mask) for name, rows in cohort.groupby("experiment")]
    patients = pd.concat([tables.patients for tables in found])
    test = cohort[cohort["split"] == "test"]
    maps = {str(name): rows.set_index("participant_id")[["map", "blocks"]] for name, rows in test.groupby("experiment")}
    return Results(
        metrics=compare_metrics([tables.metrics for tables in found]),
        curves=pd.concat([tables.curves for tables in found]),
        scores=cohort[SCORE_COLUMNS],
        patients=patients,
        lesions=pd.concat([tables.lesions for tables in found]),
        comparisons=compare_patients(patients, "trained"),
        registration=pd.DataFrame({"outlier": [True, False, False], "starts": [6, 1, 6]}),
        scans=test.loc[test["experiment"] == "trained", ["participant_id", "group", "image", "lesion_mask"]],
        maps=maps,
        sites=dict.fromkeys(test["participant_id"], "north"),
    )


TEACHER = {"architecture": "resnet18", "weights": "file", "patch_learning": True, "blocks": [1, 2, 3]}
STFPM = {"method": "stfpm", "residual": "distance", "segmented_by": None, **TEACHER}
STFPM |= {"is_graded": True, "maps_new_scans": True}
STFPM |= {"text": StfpmExperiment.text, "references": StfpmExperiment.references}
NO_NETWORK = ("architecture", "weights", "patch_learning", "residual", "untrained", "segmented_by")
NOTHING = {
    "blocks": [],
    "text": "",
    "references": {},
    "is_graded": True,
    "maps_new_scans": True,
    **dict.fromkeys(NO_NETWORK),
}
EXPERIMENTS = {
    "trained": {**STFPM, "untrained": False, "kind": "as published"},
    "untrained": {**STFPM, "untrained": True, "kind": "baseline"},
}
RUN = Run(
    config="cohort: {}\n",
    seeds={"teacher patches": 0},
    stages=[Stage("register", 8, 4.0, 0.6)],
    settings={
        "space": "MNI",
        "resolution_mm": 2.0,
        "size": 16,
        "crop_mm": "brain",
        "bias_correction": "none",
        "transform": "AffineFast",
        "trained": {"n_healthy": 2, "n_patient": 0},
    },
    is_demo=True,
    quality_page="../qc/index.html",
)
PSEUDONYMS = ("healthy-01", "healthy-02", "patient-01", "patient-02")
EPOCHS = pd.DataFrame({"epoch": [0, 1, 2], "train_loss": [3.0, 2, 1], "val_loss": [3.0, 1, 2], "chosen": [0, 1, 0]})


SHOWN = {"shown": "trained", "min_lesion_ml": 0.05}


def draw(results, folder, brain_mask, grid, *, most, blocks=()):
    volumes = folder / "volumes"
    return picture_scans(results, volumes, blocks=blocks, most=most, brain_mask=brain_mask, grid=grid, **SHOWN)


def write(output, results, pictures, brain_mask, grid, experiments=EXPERIMENTS, trainings=()):
    report.write_report(
        output,
        TEMPLATE,
        results,
        pictures,
        brain_mask=brain_mask,
        grid=grid,
        modality="T2w",
        experiments=experiments,
        networks=[
            ("patches", Network("resnet18", 1, 11_170_240, 22_340_480)),
            ("small", Network("f-AnoGAN", 1, 73_151_426, None)),
        ],
        trainings=dict(trainings),
        initial={"trained": "untrained"},
        healthy_quantile=0.99,
        run=RUN,
        **SHOWN,
    )
    return output.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def report_folder(tmp_path_factory):
    return tmp_path_factory.mktemp("report")


@pytest.fixture(scope="module")
def pictures(report_folder, results, brain_mask, grid):
    return draw(results, report_folder, brain_mask, grid, most=40, blocks=[2, 3])


@pytest.fixture(scope="module")
def page(report_folder, results, pictures, brain_mask, grid):
    trainings = {"student/student": EPOCHS}
    return write(report_folder / "index.html", results, pictures, brain_mask, grid, trainings=trainings)


@pytest.fixture
def page_of(tmp_path, results, pictures, brain_mask, grid):
    """Writes the page with other tables than the cohort's, and without its curves."""

    def page_of(experiments=EXPERIMENTS, **tables):
        other = results._replace(**{"curves": results.curves[:0], **tables})
        return write(tmp_path / "index.html", other, pictures, brain_mask, grid, experiments)

    return page_of


@pytest.fixture(scope="module")
def test_scores(results):
    return results.scores.query("experiment == 'trained' and split == 'test'")


def with_auprc(metrics, **values):
    """The metrics table with other test AUPRCs, one an experiment."""
    changed = metrics.copy()
    for experiment, value in values.items():
        row = (changed[["experiment", "split", "metric"]] == [experiment, "test", "voxel_auprc"]).all(axis=1)
        changed.loc[row, "value"] = value
    return changed


def test_the_page_refers_to_quality_control_alone_and_names_no_file(page):
    targets = re.findall(r"(?:src|href)=\"([^\"]+)\"", page) + re.findall(r"url\(([^)]+)\)", page)
    inside = ("#", "data:image/png;base64,")
    assert {target for target in targets if not target.startswith(inside)} == {"../qc/index.html"}
    assert "private-folder" not in page
    assert ".nii" not in page
    assert "@import" not in page


def test_each_test_scan_has_a_small_picture_and_a_score(page, test_scores):
    figures = page.split('<h2 id="scans">')[1]
    pictures = [b64decode(data) for data in re.findall(r"base64,([^\"]+)\"", figures)]
    assert len(pictures) == len(test_scores) == 4
    assert max(len(picture) for picture in pictures) < 250_000
    for png, sizes in zip(pictures, re.findall(r'width="(\d+)" height="(\d+)"', figures), strict=True):
        assert Image.open(BytesIO(png)).size == tuple(map(int, sizes)), "the page must not jump when it is loaded"
    for scan in test_scores.itertuples():
        name = str(scan.participant_id).replace("<", "&lt;").replace(">", "&gt;")
        assert f"#scan-{name}" in page
        assert f"{scan.score:.3g}" in page
    assert "sub-test<" not in page


def text_of(html):
    """What is read of it."""
    return " ".join(re.sub(r"<[^>]+>", " ", html).split())


def first_screen(page):
    return text_of(page.split("<header>")[1].split('<ul class="notes">')[0])


def test_the_first_screen_says_what_was_found_how_sure_and_whether_the_image_score_can_be_trusted(page, results):
    rows = results.metrics.query("experiment == 'trained' and protocol == 'strict' and split == 'test'")
    rows = rows.set_index("metric")
    screen = first_screen(page)
    value, low, high = rows.loc["voxel_auprc", ["value", "ci_low", "ci_high"]]
    assert f"AUPRC of trained: {number(value)} {interval(low, high)}" in screen
    assert "trained finds 2 of 2 lesions; 2 patients cannot show a difference to any other row" in screen
    false = int(results.patients.query("experiment == 'trained'")["n_component"].sum()) - 2
    assert f"it marked 2 of 2 lesions, and {false} places that fit none" in screen
    wrongly = [volume(rows.loc[f"{group}_fp_ml", "value"]) for group in ("healthy", "patient")]
    said = f"it wrongly marks {wrongly[0]} ml in a healthy brain and {wrongly[1]} ml in a patient, outside the lesion"
    lesion_ml = results.patients.query("experiment == 'trained'")["lesion_ml"].mean()
    assert f"{said} (a lesion has {volume(lesion_ml)} ml; Dice {number(rows.loc['dice', 'value'])})" in screen
    assert "overlaps it with an IoU of 0.1 or more" in screen
    assert screen.index("Look at these first") < screen.index("be trusted?") < screen.index("p after Holm")
    assert "The paper's own row is trained ( as published )" in screen
    assert "2 patients, 2 healthy scans" in text_of(screen.replace(" ,", ",")) and "unreliable" in screen
    assert "A difference between trained and untrained cannot be shown with 2 patients." in screen
    assert (
        "With so many and 1 comparison it cannot be below 0.5; a difference is shown below 0.05. So none can" in screen
    )
    assert "not shown" not in screen
    image_auroc = rows.loc["image_auroc", "value"]
    assert (
        f"Not known. Image AUROC {number(image_auroc)}: whether it is evidence of lesion detection was not measured"
        in screen
    )
    assert "synthetic cohort" in screen and "not a medical device" in screen


def test_the_paragraph_on_methods_says_what_was_done_and_cites_no_more(page, page_of, results):
    told = methods_of(page)
    assert "(affine, by SimpleITK on coarse copies and where that was doubtful by ANTs (1)), skull-stripped" in told
    assert "made by student–teacher pyramid matching (3), as" in told and "PaDiM" not in told
    assert "2 test scans of patients and 2 of healthy people" in told and "Holm S. A simple" in told
    assert "over 2 patients, corrected for 1 comparison after Holm (7); they can give no p below 0.5." in told
    tested = methods_of(page_of(comparisons=compare_patients(several(results.patients), "trained")))
    assert "over 10 patients" in tested and "no p below 0.00195" in tested  # 2 of 1024 flips
    mirror = {**NOTHING, "method": "mirror", "kind": "baseline"}
    assert "matching (3) and the method mirror (row untrained), as" in methods_of(
        page_of(EXPERIMENTS | {"untrained": mirror})
    )
    both = methods_of(page_of(dict.fromkeys(EXPERIMENTS, mirror)))
    assert "by the method mirror (row trained) and the method mirror (row untrained), as" in both
    alone = methods_of(page_of(comparisons=results.comparisons[:0]))
    assert "permutation" not in alone and "Holm" not in alone


def methods_of(page):
    return text_of(page.split('id="methods">')[1].split("</div>")[0])


def several(patients):
    """Five times as many patients as there are."""
    return pd.concat(patients.assign(participant_id=patients["participant_id"] + str(copy)) for copy in range(5))


def test_every_name_stands_beside_what_it_is(page):
    named = re.findall(r"</svg>([^<]+)</span><small class=\"kind\">([^<]+)<", page)
    assert set(named) == {("trained", "as published"), ("untrained", "baseline")}


def test_every_term_that_is_marked_is_explained(page):
    asked, explained = re.findall(r'popovertarget="([^"]+)"', page), re.findall(r'popover id="([^"]+)"', page)
    assert set(asked) <= set(explained) and len(set(asked)) > 10


def test_what_was_missed_comes_before_everything_else(page, results):
    assert page.index("Look at these first") < page.index("All rows on the test scans")
    cards = [text_of(card) for card in re.findall(r'<a class="card case".*?</a>', page, re.DOTALL)]
    assert [card.split()[0] for card in cards] == ["Worst", "Best", "Worst"]
    assert "1 of 1 found" in cards[0] and "ml marked falsely" in cards[2]


def test_the_volumes_beside_the_page_hold_what_it_pictures(page, results, report_folder):
    files = sorted(path.name for path in (report_folder / "volumes").iterdir())
    assert files == sorted(f"{name}.js" for name in results.scans["participant_id"])


@pytest.fixture(scope="module")
def anonymous_folder(tmp_path_factory):
    return tmp_path_factory.mktemp("anonymous")


@pytest.fixture(scope="module")
def anonymous_page(anonymous_folder, results, brain_mask, grid):
    """With pseudonyms and pictures of three of the four scans."""
    named = results._replace(curves=results.curves[:0]).identified(anonymous=True)
    pictures = draw(named, anonymous_folder, brain_mask, grid, most=3)
    return write(anonymous_folder / "index.html", named, pictures, brain_mask, grid)


def test_pseudonyms_take_the_place_of_ids_everywhere(anonymous_page, anonymous_folder):
    beside = list((anonymous_folder / "volumes").iterdir())
    assert len(beside) == 3 and {path.stem for path in beside} <= set(PSEUDONYMS)
    for text in (anonymous_page, *(path.read_text(encoding="utf-8") for path in beside)):
        assert "sub-" not in text
    assert all(name in anonymous_page for name in PSEUDONYMS)


def test_scans_with_pseudonyms_are_not_in_the_order_of_the_table():
    names = ["healthy-10", "patient-02", "healthy-02", "patient-01", "healthy-01"]
    found = by_number(pd.DataFrame({"participant_id": names}))["participant_id"].tolist()
    assert found == ["patient-01", "healthy-01", "patient-02", "healthy-02", "healthy-10"]


MISSING = {
    "no patients": ("group == 'healthy'", "trained: no patient to measure against", "There is none to trust"),
    "no healthy validation scan": (
        "not (group == 'healthy' and split == 'val')",
        "trained: no lesion to be counted",
        "without a healthy validation scan there is none",
    ),
}


@pytest.mark.parametrize("missing", MISSING)
def test_the_first_screen_says_what_is_missing(tmp_path, cohort, brain_mask, grid, missing):
    query, *sentences = MISSING[missing]
    some = measured(cohort.query(query), brain_mask).identified()
    pictures = draw(some, tmp_path, brain_mask, grid, most=1)
    page = write(tmp_path / "index.html", some, pictures, brain_mask, grid)
    for sentence in sentences:
        assert sentence in first_screen(page)
    assert "matched to components" not in methods_of(page)
    targets, places = (set(re.findall(rf' {kind}="#?([^"]+)"', page)) for kind in ("href", "id"))
    assert targets - {RUN.quality_page} <= places, "a link leads nowhere"
    assert not re.search(r"\bnan\b", re.sub(r"base64,[^\"]+", "", page))


def test_scans_without_a_picture_are_listed_and_the_page_says_which_have_one(page, anonymous_page, test_scores):
    assert "3 of the 4 test scans: those to look at first" in anonymous_page
    assert "those to look at first, then" not in page
    assert anonymous_page.split('<h2 id="scans">')[1].count("base64,") == 3
    linked, there = (set(re.findall(rf'{kind}"#?scan-([^"]+)"', anonymous_page)) for kind in ("href=", "id="))
    assert linked == there
    for scan in test_scores.itertuples():
        assert f"{scan.score:.3g}" in anonymous_page


def test_the_page_shows_the_numbers_of_the_metrics_table(page, results):
    test = results.metrics.query("split == 'test' and protocol == 'strict'")
    for metric in ("image_auroc", "image_ap", "voxel_auroc", "voxel_auprc", "patient_ap", "dice", "iou", "dice_oracle"):
        for value in test.loc[test["metric"] == metric, "value"]:
            assert f">{number(value)}<" in page, metric
    assert 'class="number best"' not in page, "of two patients none is the best"


def test_a_number_stands_beside_its_interval(page, results):
    row = results.metrics.query("split == 'test' and metric == 'voxel_auprc' and experiment == 'trained'").iloc[0]
    assert f">{number(row['value'])}<small>{interval(row['ci_low'], row['ci_high'])}</small></td>" in page


def test_lesions_false_alarms_and_froc_are_shown_and_few_lesions_are_counted(page, results):
    values = results.metrics.query("split == 'test' and experiment == 'trained' and protocol == 'strict'")
    values = values.set_index("metric")["value"]
    n_component = int(results.patients.query("experiment == 'trained'")["n_component"].sum())
    cells = row_of(page, '<h2 id="lesions">', "trained")
    assert cells[:3] == ["2 of 2", f"2 of {n_component}", number(values["lesion_f1"])]
    assert cells[4] == volume(values["healthy_fp_ml"]), "no column of sizes, of which two lesions have none"
    assert "Lesions: FROC" in page


def test_each_patients_values_are_shown_and_the_test_says_what_it_can(page, page_of, results):
    section = page.split('<h2 id="patients">')[1].split("</table>")[0]
    for row in results.patients.itertuples():
        assert f">{number(row.patient_ap)}</td>" in section
    cells = row_of(page, 'aria-label="What every row finds"', "untrained")
    assert cells[-1] == "cannot be shown with 2 patients"
    assert ">Shown</th>" not in page_of(comparisons=results.comparisons[:0])
    page = page_of(comparisons=compare_patients(several(results.patients), "trained"))
    assert "trained is shown to be better than untrained." in first_screen(page)
    cells = row_of(page, 'aria-label="What every row finds"', "untrained")
    assert cells[-3:] == ["0.002", "0.002", "worse"]  # 2 of 1024 flips
    assert cells[-4].startswith("−"), "a row below the reference has a difference below 0"


def test_synthetic_lesions_have_a_table_of_their_own(page, page_of, results):
    assert "Synthetic lesions" not in page
    lesions = pd.DataFrame({"participant_id": ["a", "a", "b"], "volume_ml": [1.0, 5, 1], "ap": [0.1, 0.6, 0.2]})
    lesions = lesions.assign(
        ap_control=0.01, level=[1.0, 3, 3], level_control=0.0, score=[4.0, 5, 6], score_control=4.5
    )
    rows = synthetic_metrics("trained", detected_lesions(lesions, 2.0))
    with_lesions = page_of(metrics=compare_metrics([results.metrics, rows]))
    # AP, the control's; one of two small lesions, the medium one, no large one, none by chance; 4, 5, 6 against 4.5.
    expected = ["0.30", "0.010", "0.50", "1.00", "n/a", "0.00", "0.67"]
    assert row_of(with_lesions, "Synthetic lesions in healthy test scans", "trained") == expected
    assert "copies of 2 healthy test scans" in with_lesions


@pytest.mark.parametrize(("auroc", "level"), [(0.97, "fires"), (0.55, "silent"), (np.nan, "too few")])
def test_the_probes_stand_beside_the_image_auroc_and_the_notes_say_what_they_mean(page, page_of, results, auroc, level):
    assert "Is the image score evidence" not in page and "was not measured" in page
    p = np.nan if level == "too few" else 0.0001 if level == "fires" else 0.4
    rows = [row for far in (6, 30) for row in probe_pair(f"probe_removed_{far}mm", Estimate(auroc), p, 14, 13)]
    rows += [Row("test", f"probe_{name}", Estimate(0.75), 0, 2) for name in ("slices", "slices_control", "mirror")]
    rows.append(Row("test", "probe_site_fpr", Estimate(0.08), 2, 0))
    histogram = metric_table("histogram", "probes", probe_pair("probe_histogram", Estimate(0.6), 0.2, 40, 30))
    probed = page_of(metrics=compare_metrics([results.metrics, metric_table("trained", "probes", rows), histogram]))
    image_auroc, *removed, slices, control, mirror, pairs, site = row_of(probed, "Is the image score", "trained")
    shown = "too few" if level == "too few" else number(auroc)
    assert removed == [shown, shown]
    assert (slices, control, mirror, pairs, site) == ("0.75", "0.75", "0.75", "n/a", "8.0 %")
    first = first_screen(probed)
    assert f"Image AUROC {image_auroc}" in first
    assert ("not evidence of lesion detection" in first) == (level == "fires") == (", <b>fires</b>" in probed)
    assert ("too few to tell" in first) == (level == "too few")
    assert "8 times the 1.0 %" in probed
    assert "40 healthy subjects and 30 patients" in probed


def test_numbers_that_the_scans_do_not_allow_read_not_available(tmp_path, cohort, brain_mask, grid):
    bare = measured(cohort.assign(lesion_mask=None, blocks=None), brain_mask).identified()
    page = write(tmp_path / "index.html", bare, draw(bare, tmp_path, brain_mask, grid, most=1), brain_mask, grid)
    assert ">IoU</button>" not in page, "a column without a number is left out"
    assert "cannot be told" in page
    assert "Image AUROC and AP stand on 2 test patients; below 10 they and their intervals are unreliable." in page
    assert not re.search(r"\bnan\b", re.sub(r"base64,[^\"]+", "", page))


def row_of(page, title, experiment):
    """The cells of an experiment's row in the table below a title."""
    table = page.split(title)[1].split("</table>")[0]
    (row,) = (row for row in re.findall(r"<tr.*?</tr>", table, re.DOTALL) if f"</svg>{experiment}</span>" in row)
    return re.findall(r"<td[^>]*>([^<]*)", row)


def test_the_papers_tables_are_filled_by_its_protocol_and_quoted_apart(page, results):
    rows = results.metrics.query("split == 'test' and protocol == 'paper' and experiment == 'trained'")
    values = rows.set_index("metric")["value"]
    names = ("image_auroc", "image_ap", "voxel_auroc", "iou", "dice")
    expected = [hundredths(values[name]) for name in names]
    assert row_of(page, "paper's Table 1", "trained") == ["3D STFPM", "X", "from a file", "", *expected]
    assert row_of(page, "paper's Table 1", "untrained")[0] == "3D STFPM, untrained student"
    assert "paper's Table 2" not in page, "there is one version of the ResNet"
    printed = page.split("What the paper printed")[1]
    for value in ("94.13", "28.17", "45.83", "26.92", "94.68"):
        assert f">{value}</td>" in printed
    assert all(count in page for count in ("11,170,240", "22,340,480", "11,173,376", "73,151,426", "55,029,542"))


@pytest.fixture
def six_experiments(results):
    """With the trained maps, their segmentation, the bare mask, a deeper network and a Gaussian of residuals; all
    with the trained ones' numbers."""
    metrics = results.metrics.query("experiment == 'trained'")
    image = metrics["metric"].str.startswith("image_")
    copies = {
        "clusters": metrics.assign(value=metrics["value"].mask(image)),
        "mask": metrics[metrics["protocol"] == "paper"],
        "deep": metrics,
        "gaussian": metrics,
    }
    scores = [results.scores.query("experiment == 'trained'").assign(experiment=name) for name in copies]
    scores[0]["score"] = np.nan
    patients = results.patients.query("experiment == 'trained'")
    return {
        "metrics": pd.concat([results.metrics, *(copy.assign(experiment=name) for name, copy in copies.items())]),
        "patients": pd.concat(
            [results.patients, *(patients.assign(experiment=name) for name in ("clusters", "deep", "gaussian"))]
        ),
        "scores": pd.concat([results.scores, *scores]),
    }


def test_segmentations_gaussians_and_the_bare_mask_stand_in_the_form_of_the_papers_tables(six_experiments, page_of):
    experiments = {
        **EXPERIMENTS,
        "clusters": {**EXPERIMENTS["trained"], "segmented_by": "kmeans", "is_graded": False},
        "mask": {"method": "mask", "kind": "baseline", **NOTHING, "is_graded": False},
        "deep": {**EXPERIMENTS["trained"], "architecture": "resnet50"},
        "gaussian": {**EXPERIMENTS["trained"], "architecture": "resnet34", "residual": "gaussian"},
    }
    page = page_of(experiments, **six_experiments)
    headline, _ = page.split("By the paper's own protocol")
    assert row_of(headline, "Segmentation at healthy", "clusters")[:2] == ["–", "–"]
    assert "</svg>mask</span>" not in headline
    assert row_of(page, "paper's Table 1", "clusters")[:6] == ["3D STFPM", "X", "from a file", "X", "–", "–"]
    assert row_of(page, "paper's Table 1", "mask")[:4] == ["bare brain mask", "", "", ""]
    assert row_of(page, "paper's Table 1", "gaussian")[0] == "3D STFPM, Gaussian of residuals"
    assert "The bare brain mask (mask)" in page
    versions = page.split("paper's Table 2")[1].split("</table>")[0]
    assert re.findall(r"<tr><td>(\d+)</td><th scope=\"row\">.*?</svg>(\w+)<", versions) == [
        ("50", "deep"),
        ("18", "trained"),
    ]
    assert "</svg>clusters</span>" not in page.split("Scores of test scans")[1]


@pytest.mark.parametrize(("trained", "verdict"), [(0.129, "Not learned"), (0.131, "1.31 times")])
def test_a_student_below_1_3_times_its_initial_auprc_has_not_learned(results, trained, verdict):
    metrics = with_auprc(results.metrics, trained=trained, untrained=0.1)
    note, *_ = (
        note for note in notes.notes(metrics, "trained", {"trained": "untrained"}, 0.99, 0) if "times" in note.text
    )
    assert verdict in note.text
    assert note.warning == (verdict == "Not learned")


def test_notes_warn_of_few_patients_and_state_the_share_of_brain_cut_off(results):
    found = notes.notes(results.metrics, "trained", {}, 0.99, 0.0375)
    assert any(note.warning and "2 test patients" in note.text for note in found)
    assert any("cuts off 3.8 %" in note.text for note in found)
    many = results.metrics.assign(n_patient=10)
    assert not any(note.warning for note in notes.notes(many, "trained", {}, 0.99, 0.0))


def test_the_page_counts_the_scans_that_registration_flagged(page, results):
    assert "Of 3 registered scans 1 stands out and 2 were hard to register" in page
    plain = pd.DataFrame({"outlier": [False, False], "starts": [1, 1]})
    found = notes.notes(results.metrics, "trained", {}, 0.99, 0.0, (), plain)
    assert not any("registered" in note.text for note in found)

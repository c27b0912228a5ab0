"""What runs again when something changes: exactly the stages that the change touches, written by hand.

The tiny cohort has 15 scans: healthy 4 train, 3 val, 2 test; patients 2, 2, 2. There are nine experiments: three with
the student and a fourth that segments one of them, two of PaDiM on the teacher, f-AnoGAN, which learns on a grid of its
own from 7 healthy scans, and two baselines. Each change is made, planned by a dry run, and taken back.
"""

import os
import re
import shutil
import subprocess
import sys
from contextlib import ExitStack

import nibabel as nib
import numpy as np
import pandas as pd
import pytest

from project import FITTED, SPARE, Project

PACKAGE = "workflow/scripts/stfpm3d"
TINY = "tiny.yaml"
OTHER_GROUP = {"healthy": "patient", "patient": "healthy"}


def on_maps(experiments: int) -> dict[str, int]:
    """The probes that look at the maps of some experiments."""
    return {"probe_within": experiments, "probe_sites": experiments}


MEASURED = {"evaluate": 9, "evaluate_synthetic": 8, "compare": 1, "report": 1}
PROBED = {"probe_histogram": 1, "probe_removed": 8, "probe_within": 8, "probe_sites": 8}  # the first two have no scans
SYNTHETIC_MEASURED = {"evaluate_synthetic": 8, "compare": 1, "report": 1}


def maps(networks: int = 0, baselines: int = 0, segmented: int = 0, parts: int = 2) -> dict[str, int]:
    """The maps of some experiments, a batch a part, and those of copies of test scans, which are not segmented."""
    jobs = {
        "maps_learning": parts * networks,
        "maps_imaging": parts * (baselines + segmented),
        "copies_learning": networks,
        "copies_imaging": baselines,
    }
    return {name: count for name, count in jobs.items() if count}


OF_STUDENT = maps(3, segmented=1)
OF_TEACHER = maps(5, segmented=1)  # PaDiM has no student
ALL_MAPS = maps(6, baselines=2, segmented=1)
TEST_MAPS = maps(6, baselines=2, segmented=1, parts=1)
ON_LESIONS = {"copies_learning": 6, "copies_imaging": 2}
AFTER_STUDENT = {
    "student": 1,
    "feature_gaussian": 2,
    **OF_STUDENT,
    **MEASURED,
    "evaluate": 4,
    "evaluate_synthetic": 3,
    **on_maps(3),
}
AFTER_TEACHER = {
    "teacher": 1,
    "student": 1,
    "feature_gaussian": 4,
    **OF_TEACHER,
    **MEASURED,
    "evaluate": 6,
    "evaluate_synthetic": 5,
    **on_maps(5),
}
AFTER_NETWORKS = {
    **AFTER_TEACHER,
    "fanogan": 1,
    **maps(6, segmented=1),
    "evaluate": 7,
    "evaluate_synthetic": 6,
    **on_maps(6),
}
AFTER_STANDARDIZE = {
    "grid": 22,
    "synthetic_lesions": 2,
    "zscore_statistics": 1,
    **AFTER_NETWORKS,
    **ALL_MAPS,
    **MEASURED,
    **on_maps(8),
}
AFTER_STRIP = {"landmarks": 1, "standardize": 15, **AFTER_STANDARDIZE}
AFTER_REGISTER = {"register_qc": 1, "register_lesion": 4, "strip": 15, **AFTER_STRIP}
AFTER_TEMPLATE = {"network_grid": 2, "register": 15, **AFTER_REGISTER}
ONE_PREPARED = {"register": 1, "strip": 1, "standardize": 1}
PREPARED = {**ONE_PREPARED, "register_qc": 1, "grid": 1}
ONE_TEST_SCAN = {**PREPARED, "synthetic_lesions": 1, **TEST_MAPS, **MEASURED, **on_maps(8)}
ONE_TEST_MASK = {"register_lesion": 1, **MEASURED, "probe_within": 8}

AFTER_CONTRAST = {**ALL_MAPS, **MEASURED, **on_maps(8)}  # it stands in the maps' names
AFTER_ZSCORE = {**maps(baselines=1), **MEASURED, "evaluate": 1, "evaluate_synthetic": 1, **on_maps(1)}

CONFIG = {
    "a student's setting": ("epochs: 2", "epochs: 2\n    weight_decay: 0.001", AFTER_STUDENT),
    "a teacher's setting": ("patch_size: 16", "patch_size: 16\n    margin: 2", AFTER_TEACHER),
    "a teacher's first weights": (
        "weights: data/resnet18.pth",
        "weights: imagenet",
        {"imagenet_weights": 1, **AFTER_TEACHER},
    ),
    "an atlas": ("patch_size: 16", "patch_size: 16\n    atlas: coordinates", {"atlas": 1, **AFTER_TEACHER}),
    "where it is computed": ("threads: 1", "threads: 2", AFTER_NETWORKS),
    "the size of batches": (
        "threads: 1",
        "threads: 1\n  batch_scans: 4",  # of the 4 test scans and the 5 of validation
        {"maps_learning": 12, "maps_imaging": 6, **MEASURED, "probe_sites": 8},
    ),
    "the network's crop": (
        "size: 48",
        "size: 64",
        {"network_grid": 1, "grid": 15, **AFTER_TEACHER, **MEASURED},  # the paper's protocol counts the crop
    ),
    "the template's resolution": ("resolution_mm: 4", "resolution_mm: 5", {"template": 1, **AFTER_TEMPLATE}),
    "registration": ("grid:", "registration: {seed: 1}\ngrid:", {"register": 15, **AFTER_REGISTER}),
    "no registration": ("grid:", "registration: {transform: none}\ngrid:", {"register": 15, **AFTER_REGISTER}),
    "standardization": ("grid:", "standardization: {landmarks_from: all}\ngrid:", AFTER_STRIP),
    "the threshold": (
        "grid:",
        "evaluation: {healthy_quantile: 0.98}\ngrid:",
        {**MEASURED, "evaluate": 8, "probe_sites": 8},
    ),
    "the least lesion": ("grid:", "evaluation: {min_lesion_ml: 0.1}\ngrid:", MEASURED),
    "the reference": ("grid:", "evaluation: {reference: zscore}\ngrid:", {"compare": 1, "report": 1}),
    "the probes": ("grid:", "evaluation: {probes: false}\ngrid:", {"compare": 1, "report": 1}),
    "the synthetic lesions": (
        "grid:",
        "evaluation: {synthetic: {seed: 1}}\ngrid:",
        {"synthetic_lesions": 2, **ON_LESIONS, **SYNTHETIC_MEASURED},
    ),
    "the report's pictures": ("grid:", "report: {pictures: 3}\ngrid:", {"report": 1}),
    "the contrast": (
        "participants.tsv",
        "participants.tsv\n  modality: FLAIR",
        AFTER_CONTRAST,
    ),
    "the seed of a split that the table has": (
        "grid:",
        "split: {seed: 1}\ngrid:",
        AFTER_TEACHER,
    ),  # the teacher's choice
    "the demo of another cohort": ("grid:", "demo: {seed: 1}\ngrid:", {}),
}

CODE = {
    "runtime: how files appear": (f"{PACKAGE}/runtime/files.py", "missing_ok=True", "missing_ok=False", {}),
    "runtime: what stands in tables": (
        f"{PACKAGE}/runtime/files.py",
        'na_rep="n/a"',
        'na_rep="NA"',
        {"cohort": 1, **ALL_MAPS, **MEASURED, **PROBED},
    ),
    "runtime: how logs look": (f"{PACKAGE}/runtime/logs.py", "%(levelname)s", "%(levelname)s:", {}),
    "imaging: stripping": (
        f"{PACKAGE}/imaging/skullstrip.py",
        "MIN_BRAIN_SHARE = 0.1",
        "MIN_BRAIN_SHARE = 0.2",
        {"strip": 15, **AFTER_STRIP},
    ),
    "imaging: the crop": (
        f"{PACKAGE}/imaging/grid.py",
        "np.full(3, crop_mm)",
        "np.full(3, 1 * crop_mm)",
        {"network_grid": 2, "grid": 22, **AFTER_NETWORKS, **MEASURED},
    ),
    "learning: patches": (
        f"{PACKAGE}/learning/patches.py",
        "rng.integers(len(self.anchors))",
        "rng.integers(0, len(self.anchors))",
        AFTER_TEACHER,
    ),
    "learning: the loss": (f"{PACKAGE}/learning/student.py", "feature_losses", "losses_of_features", AFTER_STUDENT),
    "evaluation: the baselines": (
        f"{PACKAGE}/maps/baselines.py",
        "sd_floor: float = 0.1",
        "sd_floor: float = 0.2",
        AFTER_ZSCORE,
    ),
    "maps: the GAN's": (
        f"{PACKAGE}/maps/reconstruction.py",
        "* RANGE_SD",
        "* 1 * RANGE_SD",
        {**maps(1), **MEASURED, "evaluate": 1, "evaluate_synthetic": 1, **on_maps(1)},
    ),
    "evaluation: the metrics": (
        f"{PACKAGE}/imaging/ranking.py",
        "def auroc",
        "def _auroc",
        {**MEASURED, "probe_histogram": 1, "probe_removed": 8, "probe_within": 8},
    ),
    "evaluation: when a probe fires": (
        f"{PACKAGE}/probes/separation.py",
        "FIRES_FROM = 0.70",
        "FIRES_FROM = 0.75",
        {"report": 1},
    ),
    "evaluation: the synthetic lesions": (
        f"{PACKAGE}/probes/synthetic.py",
        "def detected_lesions",
        "def _detected_lesions",
        SYNTHETIC_MEASURED,
    ),
    "reporting: figures": (
        f"{PACKAGE}/reporting/figures.py",
        "MARGIN_MM = 6",
        "MARGIN_MM = 7",
        {"report": 1},
    ),
    "reporting: plots": (f"{PACKAGE}/reporting/curves.py", "DECADES = 100", "DECADES = 10", {"report": 1}),
    "the quality page": (
        f"{PACKAGE}/reporting/templates/quality.html.j2",
        "<body",
        "<body ",
        {"register_qc": 1, "report": 1},
    ),
    "the report's template": (f"{PACKAGE}/reporting/templates/report.html.j2", "<body", "<body ", {"report": 1}),
    "a rule's script": (
        "workflow/scripts/compare.py",
        "read_table(path)",
        "read_table(str(path))",
        {"compare": 1, "report": 1},
    ),
    "a reworded error": (f"{PACKAGE}/imaging/skullstrip.py", "the registered scan covers", "the scan covers", {}),
    "an annotation": (f"{PACKAGE}/learning/student.py", "teacher: Sequence[Tensor]", "teacher: list[Tensor]", {}),
    "a log line": (f"{PACKAGE}/learning/teacher.py", "positions for anchors", "places for anchors", {}),
    "a comment": (f"{PACKAGE}/learning/student.py", '"""The student: it', '# why\n"""The student: it', {}),
    "a docstring": (f"{PACKAGE}/imaging/skullstrip.py", '"""The scan with everything', '"""A scan with everything', {}),
    "a script's docstring": ("workflow/scripts/student.py", '"""Train one student."""', '"""Train a student."""', {}),
    "a rule's docstring": ("workflow/rules/student.smk", "choose its epoch", "choose the epoch", {}),
    "a document": ("README.md", "#", "##", {}),
    "an environment's comment": ("envs/learning.yaml", "# Networks", "# The networks", {}),
    "a version in an environment": (
        "envs/learning.yaml",
        "torchio==",
        "torchio>=",
        {"landmarks": 1, "standardize": 15, **AFTER_STANDARDIZE},
    ),
}


def test_a_finished_run_has_nothing_to_do(finished):
    assert finished.planned() == {}


def test_a_cluster_has_nothing_to_do_either(finished):
    assert finished.planned("--workflow-profile", "profiles/slurm") == {}


@pytest.mark.parametrize("change", CONFIG)
def test_config(finished, change):
    old, new, expected = CONFIG[change]
    with finished.edited(TINY, old, new):
        assert finished.planned() == expected


@pytest.mark.parametrize("change", CODE)
def test_code_and_environments(finished, change):
    name, old, new, expected = CODE[change]
    with finished.edited(name, old, new):
        assert finished.planned() == expected


def test_files_of_ones_own_that_are_touched_and_stay_the_same(finished):
    """However large they are: none is small enough for a checksum of Snakemake's."""
    names = ("sub-demoH08_T2w.nii.gz", "sub-demoP05_label-lesion_mask.nii.gz", "resnet18.pth")
    with ExitStack() as kept:
        for name in names:
            os.utime(kept.enter_context(finished.kept(f"data/{name}")))
        assert finished.planned("--max-checksum-file-size", "0") == {}


def test_a_scan_that_changes(finished):
    with finished.kept("data/sub-demoH08_T2w.nii.gz") as path:
        scan = nib.Nifti1Image.from_filename(path)
        nib.save(nib.Nifti1Image(scan.get_fdata(dtype=np.float32) + 1, scan.affine), path)
        assert finished.planned() == ONE_TEST_SCAN


@pytest.mark.parametrize("kind", ["a scan", "a mask", "the first weights"])
def test_a_file_that_is_replaced_by_another_that_is_older(finished, kind):
    """As cp -p, rsync -a, tar and unzip leave it."""
    name, expected = {
        "a scan": ("data/sub-demoH08_T2w.nii.gz", ONE_TEST_SCAN),
        "a mask": ("data/sub-demoP05_label-lesion_mask.nii.gz", ONE_TEST_MASK),
        "the first weights": ("data/resnet18.pth", AFTER_TEACHER),
    }[kind]
    with finished.kept(name) as path:
        if path.suffix == ".pth":
            path.write_bytes(path.read_bytes() + b"\0")
        else:
            scan = nib.Nifti1Image.from_filename(path)
            data = scan.get_fdata(dtype=np.float32)
            nib.save(nib.Nifti1Image(np.where(data > 0, data + 1, 0).astype(scan.get_data_dtype()), scan.affine), path)
        os.utime(path, (1e9, 1e9))
        assert finished.planned() == expected


def test_a_subject_added(finished):
    with finished.kept("data/participants.tsv") as table:
        row = f"{SPARE}\thealthy\tnorth\t{SPARE}_T2w.nii.gz\tn/a\tfalse\ttest\n"
        table.write_text(table.read_text(encoding="utf-8") + row, encoding="utf-8")
        assert finished.planned() == {"cohort": 1, **ONE_TEST_SCAN, **PROBED}


def test_the_plan_says_what_one_more_training_scan_retrains(finished):
    with finished.kept("data/participants.tsv") as table:
        row = f"{SPARE}\thealthy\tnorth\t{SPARE}_T2w.nii.gz\tn/a\tfalse\ttrain\n"
        table.write_text(table.read_text(encoding="utf-8") + row, encoding="utf-8")
        command = [sys.executable, "workflow/plan.py", "--cores", "3", "--configfile", *finished.overrides]
        plan = subprocess.run(command, cwd=finished.folder, capture_output=True, text=True, check=True).stdout
    assert re.search(r"^register +1 +\d+ s +3 +\d\.\d MB +new$", plan, flags=re.MULTILINE), plan
    assert " on 3 cores, " in plan
    assert "Would be trained: fanogan fanogan, student student, teacher patches." in plan.replace("\n", " ")


def test_a_test_scan_that_is_added_remakes_its_batch_alone(finished, tmp_path):
    project = finished.copy(tmp_path / "batches")
    table = project.folder / "data/participants.tsv"
    measured = "results/evaluation/intensity/metrics.tsv"
    with project.edited(TINY, "threads: 1", "threads: 1\n  batch_scans: 3"):
        project.run(measured)
        kept, touched = (project.folder / f"results/maps/intensity/test/batch-{name}.tsv" for name in ("01", "00"))
        assert [len(pd.read_csv(path, sep="\t")) for path in (kept, touched)] == [3, 1]
        row = f"{SPARE}\thealthy\tnorth\t{SPARE}_T2w.nii.gz\tn/a\tfalse\ttest\n"
        table.write_text(table.read_text(encoding="utf-8") + row, encoding="utf-8")
        assert project.planned(measured) == {**ONE_PREPARED, "maps_imaging": 1, "evaluate": 1}
        time_of_kept = kept.stat().st_mtime_ns
        project.run(measured)
    assert kept.stat().st_mtime_ns == time_of_kept
    assert len(pd.read_csv(touched, sep="\t")) == 2


def test_a_batch_whose_last_scan_fails_leaves_nothing_that_passes_for_a_result(finished, tmp_path):
    project = finished.copy(tmp_path / "failure")
    table = project.folder / "results/maps/intensity/test/batch-0.tsv"
    last = project.folder / "results/standardize/sub-demoP06/image.nii.gz"
    before = {path.name: path.read_bytes() for path in table.parent.iterdir()}
    whole = last.read_bytes()
    last.write_bytes(whole[:-100])
    assert project.snakemake(table.relative_to(project.folder)).returncode != 0
    assert not table.exists()
    last.write_bytes(whole)
    project.run(table.relative_to(project.folder))
    assert {path.name: path.read_bytes() for path in table.parent.iterdir()} == before


BASELINES = ("intensity", "zscore")


def of_baselines(project: Project) -> dict[str, bytes]:
    """The maps of the baselines, and what was measured of them."""
    results = project.folder / "results"
    folders = [f"{stage}/{name}" for stage in ("maps", "copies/*", "evaluation") for name in BASELINES]
    files = (path for folder in folders for path in results.glob(f"{folder}/**/*") if path.is_file())
    return {str(path.relative_to(results)): path.read_bytes() for path in files}


def test_going_back_to_earlier_settings_and_scans_ends_with_the_bytes_of_a_fresh_run(finished, tmp_path):
    """Other settings in other batches write over the maps, while the table of the earlier batch could still stand."""
    project = finished.copy(tmp_path / "back")
    measured = [f"results/evaluation/{name}/{part}metrics.tsv" for name in BASELINES for part in ("", "synthetic_")]
    fresh = of_baselines(finished)
    with (
        project.edited(TINY, "method: intensity", "method: intensity\n    smoothing_mm: 8"),
        project.edited(TINY, "method: zscore", "method: zscore\n    smoothing_mm: 8"),
        project.edited(TINY, "threads: 1", "threads: 1\n  batch_scans: 3"),
    ):
        project.run(*measured)
        between = of_baselines(project)
        assert all(between[name] != fresh[name] for name in fresh if name.endswith(".nii.gz"))
    with project.kept("data/participants.tsv") as table:
        lines = table.read_text(encoding="utf-8").splitlines(keepends=True)
        kept = [line for line in lines if "sub-demoH09" not in line]
        row = f"{SPARE}\thealthy\tnorth\t{SPARE}_T2w.nii.gz\tn/a\tfalse\ttest\n"
        table.write_text("".join([*kept, row]), encoding="utf-8")
        anew = project.copy(tmp_path / "anew")
        for stage in ("maps", "copies", "evaluation"):
            shutil.rmtree(anew.folder / "results" / stage)
        anew.run(*measured)
        project.run(*measured)
        wanted, found = of_baselines(anew), of_baselines(project)
        assert any(SPARE in name for name in wanted) and not any("H09" in name for name in wanted)
        assert {name: found[name] for name in wanted} == wanted
    project.run(*measured)
    found = of_baselines(project)
    assert {name: found[name] for name in fresh} == fresh


@pytest.mark.parametrize("change", ["deleted", "corrupted"])
def test_a_map_that_was_changed_by_hand_is_made_again(finished, change):
    table = finished.folder / "results/maps/zscore/test/batch-0.tsv"
    name = pd.read_csv(table, sep="\t")["map"][0]
    with finished.kept(table), finished.kept(table.with_name(name)) as path:
        if change == "deleted":
            path.unlink()
        else:
            path.write_bytes(path.read_bytes()[:-1] + b"x")
        planned = finished.planned()
        once = {"copies_imaging", "probe_within", "probe_sites", *MEASURED}
        assert planned == {"maps_imaging": 1, **dict.fromkeys(once, 1)}


def test_a_test_subject_removed(finished):
    with finished.kept("data/participants.tsv") as table:
        lines = table.read_text(encoding="utf-8").splitlines(keepends=True)
        table.write_text("".join(line for line in lines if "sub-demoH09" not in line), encoding="utf-8")
        assert finished.planned() == {"cohort": 1, "register_qc": 1, **TEST_MAPS, **MEASURED, **PROBED}


def test_a_second_table_of_test_scans(finished, tmp_path):
    other = tmp_path / "other.tsv"
    image = finished.folder / f"data/{SPARE}_T2w.nii.gz"
    columns = "participant_id\tgroup\tsite\timage\tlesion_mask\tskull_stripped\n"
    other.write_text(f"{columns}{SPARE}\thealthy\telsewhere\t{image}\tn/a\tfalse\n", encoding="utf-8")
    with finished.edited(TINY, "participants.tsv", f"participants.tsv\n  test_participants: {other}"):
        assert finished.planned() == {"cohort": 1, **ONE_TEST_SCAN, **PROBED}


def test_nothing_is_fitted_on_test_scans_or_their_labels(finished):
    """Leakage would show as a job: whatever a fitted number depends on is among its rule's inputs and params."""
    with finished.kept("data/participants.tsv") as path:
        table = pd.read_csv(path, sep="\t", dtype=str, keep_default_na=False)
        tested = table["split"] == "test"
        swapped = table.assign(group=table["group"].where(~tested, table["group"].map(OTHER_GROUP)))
        swapped.loc[tested, "lesion_mask"] = "n/a"
        swapped.to_csv(path, sep="\t", index=False)
        planned = finished.planned()
        assert planned["evaluate"] == 9 and not FITTED & set(planned)
        healthy = table["participant_id"] == "sub-demoH08"  # every part needs one
        table[~tested | healthy].to_csv(path, sep="\t", index=False)
        planned = finished.planned()
        assert planned["evaluate"] == 9 and not FITTED & set(planned)


def test_a_column_that_is_ignored(finished):
    with finished.kept("data/participants.tsv") as table:
        lines = table.read_text(encoding="utf-8").splitlines()
        table.write_text("".join(f"{line}\tage\n" for line in lines), encoding="utf-8")
        assert finished.planned() == {}


def test_conda_on_or_off(finished, tmp_path, monkeypatch):
    conda = tmp_path / "conda"  # all that Snakemake asks it in a dry run
    conda.write_text("""#!/bin/sh
case "$1" in
    info) echo '{"conda_prefix": "/", "platform": "linux-64"}' ;;
    --version) echo "conda 25.9.1" ;;
    config) echo '{"get": {"channel_priority": "strict"}}' ;;
esac
""")
    conda.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert finished.planned("--use-conda") == {}


def test_a_key_that_nobody_tracks_would_be_noticed(finished, tmp_path):
    """The table has teeth: with a key read behind Snakemake's back the plan is another than the one above."""
    project = finished.copy(tmp_path / "planted")
    old, new, expected = CONFIG["the threshold"]
    tracked = "STUDY.evaluation.healthy_quantile if PLAN.experiments"
    measure = "measured = evaluate_experiment("
    planted = 'snakemake.config.get("evaluation", {}).get("healthy_quantile", 0.99)'
    with (
        project.edited("workflow/rules/evaluate.smk", tracked, "0.99 if PLAN.experiments"),
        project.edited(
            "workflow/scripts/evaluate.py", measure, f'settings["healthy_quantile"] = {planted}\n    {measure}'
        ),
    ):
        project.run("--until", "evaluate")
        with project.edited(TINY, old, new):
            assert project.planned("--until", "evaluate") == {} != expected

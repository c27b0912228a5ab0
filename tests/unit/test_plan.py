"""What the rows of a config ask for, given a cohort: files, settings, and what is measured."""

from __future__ import annotations

import inspect
import pkgutil
import re
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from small_bundle import DESCRIPTION
from stfpm3d.learning.unet import load_segmenter
from stfpm3d.methods.stfpm import StfpmExperiment
from stfpm3d.prediction.contents import (
    bundled_experiments,
    bundled_files,
    bundled_settings,
    published_config,
)
from stfpm3d.prediction.description import SCHEMA_VERSION, checked
from stfpm3d.runtime.errors import InputError
from stfpm3d.study.config import read_config
from stfpm3d.study.opening import check_study, given_scans, kept, open_cohort
from stfpm3d.study.plan import Plan
from stfpm3d.study.training_plan import LESION_SIGN, one_of

PARTS = {"healthy": (3, 3, 2), "patient": (2, 2, 2)}
ROWS = {
    "teachers": [
        {"name": "fine", "weights": "imagenet", "architecture": "resnet34", "input_scale": 0.5},
        {"name": "coarse", "atlas": "coordinates", "epochs": 0},
    ],
    "students": [
        {"name": "by_auroc", "teacher": "fine", "selection": "auroc"},
        {"name": "by_loss", "teacher": "coarse", "selection": "loss"},
    ],
    "gans": [{"name": "gan", "size": 48}],
    "experiments": [
        {"name": "stfpm", "method": "stfpm", "student": "by_auroc"},
        {"name": "untrained", "method": "stfpm", "student": "by_auroc", "weights": "initial"},
        {"name": "residual", "method": "stfpm", "student": "by_loss", "residual": "gaussian", "blocks": [2]},
        {"name": "padim", "method": "padim", "teacher": "coarse", "smoothing_mm": 4},
        {"name": "fanogan", "method": "fanogan", "gan": "gan"},
        {"name": "zscore", "method": "zscore"},
        {"name": "mask", "method": "mask"},
        {"name": "cut", "method": "segmentation", "experiment": "stfpm", "by": "top_fraction", "fraction": 0.02},
    ],
}


def demo_rows(parts: dict[str, tuple[int, int, int]]) -> list[dict[str, str]]:
    """Rows of a participants table, one subject a scan: H1, H2, ... and P1, P2, ..., train, val and test in turn."""
    rows = []
    for group, counts in parts.items():
        splits = [part for part, count in zip(("train", "val", "test"), counts, strict=True) for _ in range(count)]
        for number, split in enumerate(splits, start=1):
            name = f"{group[0].upper()}{number}"
            mask = f"{name}_mask.nii.gz" if group == "patient" else "n/a"
            rows.append(
                {"participant_id": name, "group": group, "site": "a", "image": f"{name}.nii.gz"}
                | {"lesion_mask": mask, "skull_stripped": str(group == "patient").lower(), "split": split}
            )
    return rows


def plan_of(parts: dict[str, tuple[int, int, int]] = PARTS, **sections: Any) -> Plan:
    study = read_config(ROWS | sections)
    return Plan(study, kept(open_cohort(study, demo_rows(parts))))


@pytest.fixture
def plan() -> Plan:
    return plan_of()


@pytest.mark.parametrize("experiment", [row["name"] for row in ROWS["experiments"]])
def test_gaussians_never_see_a_test_scan_nor_a_patient(plan: Plan, experiment: str) -> None:
    assert not set(plan.gaussian_scans(experiment)) & {"H7", "H8", *(f"P{number}" for number in range(1, 7))}


def test_padims_gaussian_stands_on_training_scans_and_a_residuals_on_scans_that_the_student_has_not_matched(
    plan: Plan,
) -> None:
    assert plan.gaussian_scans("padim") == ["H1", "H2", "H3"]
    assert plan.gaussian_scans("residual") == ["H4", "H5", "H6"]
    assert plan.maker_files("stfpm")["gaussian"] == []


def test_a_teacher_that_balances_sees_as_many_healthy_scans_as_patients(plan: Plan) -> None:
    seen = plan.seen_by_teacher("fine", "train")
    assert sorted(name[0] for name in seen) == ["H", "H", "P", "P"]


def test_a_student_without_validation_patient_selects_by_synthetic_lesions() -> None:
    without = plan_of({"healthy": (3, 3, 2), "patient": (2, 0, 2)})
    assert without.student_settings("by_auroc")["selection"] == "synthetic_ap"
    assert without.student_settings("by_auroc")["lesion_sign"] == 1
    assert without.student_settings("by_loss")["selection"] == "loss"
    assert [remark for remark in without.remarks() if "by_auroc" in remark] == without.remarks() != []


def test_a_student_with_validation_patients_selects_as_its_row_says(plan: Plan) -> None:
    assert plan.student_settings("by_auroc")["selection"] == "auroc"
    assert plan.remarks() == []


def test_patients_are_validated_on_by_a_student_that_their_auroc_chooses_and_by_no_other(plan: Plan) -> None:
    assert plan.validation_scans("by_auroc") == ["H4", "H5", "H6", "P3", "P4"]
    assert plan.validation_scans("by_loss") == ["H4", "H5", "H6"]


def test_lesions_are_bright_in_t2_and_flair_and_dark_in_t1() -> None:
    assert LESION_SIGN == {"T2w": 1, "FLAIR": 1, "T1w": -1}


def test_experiments_that_differ_only_by_initial_weights_are_counterparts(plan: Plan) -> None:
    assert plan.initial_counterparts() == {"stfpm": "untrained"}


def test_each_experiment_reads_the_weights_of_its_own_networks(plan: Plan) -> None:
    files = {name: plan.maker_files(name) for name in plan.experiments}
    assert files["stfpm"]["teacher"] == "results/teacher/fine/model.safetensors"
    assert files["stfpm"]["student"] == "results/student/by_auroc/model.safetensors"
    assert files["untrained"]["student"] == "results/student/by_auroc/initial.safetensors"
    assert files["padim"]["teacher"] == "results/teacher/coarse/model.safetensors"
    assert "student" not in files["padim"]
    assert files["fanogan"]["model"] == "results/gan/gan/model.safetensors"
    assert plan.initial_weights("fine") == "results/weights/resnet34.pth"
    assert plan.initial_weights("coarse") == []


def test_a_teacher_its_students_and_their_maps_share_one_grid(plan: Plan) -> None:
    assert plan.grid_of("fine") == plan.grid_of_student("by_auroc") == plan.grid_of_experiment("stfpm")
    assert plan.grid_of("fine") == "results/grid/scale-0.5/"
    assert plan.grid_of_experiment("padim") == "results/grid/"
    assert plan.grid_of_gan("gan") == "results/grid/size-48/"
    assert plan.samplings() == {
        "": {"size": 128},
        "scale-0.5/": {"voxels_per_mm": 0.5},
        "size-48/": {"size": 48, "cube": True},
    }


def test_an_atlas_is_a_channel_of_the_teacher_that_has_one(plan: Plan) -> None:
    assert plan.atlas_of("coarse") == "results/teacher/coarse/atlas.npy"
    assert plan.atlas_of("fine") == plan.atlas_file("coarse") == []


def test_a_segmentation_reads_the_maps_of_the_experiment_that_it_names_batch_by_batch(plan: Plan) -> None:
    assert plan.source_maps("cut", "test", "0") == "results/maps/stfpm/test/batch-0.tsv"
    assert plan.mapped_images("cut", "test", "0") == plan.source_maps("zscore", "test", "0") == []
    assert plan.maker_settings("cut") == {"top_fraction": 0.02}


def test_maps_by_teachers_are_made_of_the_scans_on_their_grid_and_others_of_the_standardized_ones(plan: Plan) -> None:
    assert plan.mapped_images("stfpm", "val", "0")[0] == "results/grid/scale-0.5/H4.npy"
    assert plan.mapped_images("fanogan", "val", "0")[0] == "results/standardize/H4/image.nii.gz"
    assert plan.mapped_images("zscore", "val", "0")[0] == "results/standardize/H4/image.nii.gz"


def test_a_small_part_is_one_batch_and_a_large_one_several(plan: Plan) -> None:
    assert plan.map_tables("stfpm", "val", "test") == [
        f"results/maps/stfpm/{part}/batch-0.tsv" for part in ("val", "test")
    ]
    divided = plan_of(compute={"batch_scans": 2})
    assert len(divided.map_tables("stfpm", "test")) > 1
    assert {sub for batch in divided.batches["test"].values() for sub in batch} == set(divided.select(split="test"))


@pytest.mark.parametrize("experiment", [row["name"] for row in ROWS["experiments"] if row["name"] != "mask"])
def test_every_method_has_a_maker_that_takes_the_settings_of_its_rows(plan: Plan, experiment: str) -> None:
    maker = pkgutil.resolve_name(plan.experiments[experiment].maker)
    files, *keywords = inspect.signature(maker).parameters
    assert files == "files" and set(keywords) == plan.maker_settings(experiment).keys()


def test_maps_of_zeros_and_ones_have_no_threshold_and_no_copies(plan: Plan) -> None:
    assert [name for name, row in plan.experiments.items() if not row.is_graded] == ["mask", "cut"]
    assert set(plan.graded_experiments()) == plan.experiments.keys() - {"mask", "cut"}
    assert plan_of(evaluation={"synthetic": {"per_scan": 0}}).lesion_experiments() == []
    assert plan_of(evaluation={"probes": False}).probe_tables() == []


@pytest.mark.parametrize(
    ("architecture", "epochs", "checkpoint"),
    [
        ("resnet18", 0, "resnet18-pyramid.safetensors"),  # models/imagenet
        ("resnet18", 20, "resnet18.pth"),  # patch learning goes on from block 4 too
        ("resnet50", 0, "resnet50.pth"),
    ],
)
def test_a_teacher_of_resnet18_that_learns_nothing_needs_no_download(
    architecture: str, epochs: int, checkpoint: str
) -> None:
    row = {"name": "imagenet", "weights": "imagenet", "architecture": architecture, "epochs": epochs}
    plan = plan_of(teachers=[row, *ROWS["teachers"]])
    assert plan.initial_weights("imagenet") == f"results/weights/{checkpoint}"


def test_the_bare_mask_is_not_measured_inside_the_brain(plan: Plan) -> None:
    assert plan.experiments["mask"].protocols == ("paper",)
    assert plan.map_tables("mask", "val", "test") == []
    assert set(plan.experiments) - set(plan.in_brain()) == {"mask"}


def test_the_report_tells_how_maps_come_about(plan: Plan) -> None:
    assert plan.description("untrained") == {
        "method": "stfpm",
        "kind": "baseline",
        "blocks": [1, 2, 3],
        "architecture": "resnet34",
        "weights": "imagenet",
        "patch_learning": True,
        "residual": "distance",
        "untrained": True,
        "segmented_by": None,
        "text": "student–teacher pyramid matching [stfpm]",
        "references": StfpmExperiment.references,
        "is_graded": True,
        "maps_new_scans": True,
    }
    assert plan.description("cut")["segmented_by"] == "top_fraction"
    assert plan.description("zscore")["architecture"] is None


def test_the_papers_own_rows_are_told_from_variants_and_from_what_to_compare_them_with() -> None:
    rows = [
        {"name": "paper", "method": "stfpm", "student": "by_auroc"},
        {"name": "one-block", "method": "stfpm", "student": "by_auroc", "blocks": [2]},
        {"name": "gaussian", "method": "stfpm", "student": "by_auroc", "residual": "gaussian"},
        {"name": "before", "method": "stfpm", "student": "by_auroc", "weights": "initial"},
        {"name": "clusters", "method": "segmentation", "experiment": "paper"},
        {"name": "top", "method": "segmentation", "experiment": "paper", "by": "top_fraction"},
        {"name": "mirrored", "method": "stfpm", "student": "by_auroc", "mirror_share": 0.5},
        {"name": "padim", "method": "padim", "teacher": "coarse", "smoothing_mm": 4},
        {"name": "regional", "method": "padim", "teacher": "coarse", "pooling_mm": 20},
        {"name": "zscore", "method": "zscore"},
    ]
    plan = plan_of(experiments=rows)
    assert [plan.kind(row["name"]) for row in rows] == [
        "as published",
        "our variant",
        "our variant",
        "baseline",
        "as published",
        "our variant",
        "our variant",
        "baseline",
        "our variant",
        "baseline",
    ]


def test_the_report_counts_the_parameters_of_the_networks_that_are_measured(plan: Plan) -> None:
    assert plan.evaluated_networks() == ["teacher/fine", "teacher/coarse", "gan/gan"]


def test_no_network_is_trained_for_the_report_alone(plan: Plan) -> None:
    assert list(plan.training_records()) == ["teacher/fine", "student/by_auroc", "student/by_loss", "gan/gan"]
    assert plan_of(experiments=[{"name": "zscore", "method": "zscore"}]).training_records() == {}


def test_stripped_scans_are_registered_to_the_brain_and_heads_to_the_head(plan: Plan) -> None:
    assert plan.registration_target("P1") == "results/template/brain.nii.gz"
    assert plan.registration_target("H1") == "results/template/head.nii.gz"
    assert plan_of(registration={"transform": "none"}).registration_target("H1") == "results/template/head.nii.gz"


def test_healthy_scans_have_no_lesion_mask(plan: Plan) -> None:
    assert plan.masked(plan.select(split="test")) == ["P5", "P6"]


def test_n4_makes_the_copy_that_is_registered(plan: Plan) -> None:
    assert plan.native_image("H1") == "results/demo/H1.nii.gz"
    corrected = plan_of(bias_correction={"method": "n4"})
    assert corrected.native_image("H1") == "results/bias_correction/H1/image.nii.gz"


def test_each_scan_gets_masks_that_do_not_change_when_another_is_added(tmp_path) -> None:
    for number in range(6):
        (tmp_path / f"{number}.nii.gz").touch()
    plan = plan_of(evaluation={"synthetic": {"per_scan": 2, "masks": str(tmp_path)}})
    before = plan.chosen_masks("H7")
    assert len(before) == 2
    (tmp_path / "new.nii.gz").touch()
    assert len(set(before) & set(plan.chosen_masks("H7"))) >= 1  # the new one may take the place of one
    assert plan_of().chosen_masks("H7") == []


@pytest.mark.parametrize("text", ["", "a", "all"])
def test_no_name_is_one_of_none(text: str) -> None:
    assert not re.fullmatch(one_of([]), text)
    assert re.fullmatch(one_of(["a", "all"]), text) or text == ""


def test_a_constraint_takes_the_names_and_no_other_and_hardly_grows_with_them() -> None:
    names = ["sub-1", "sub-12", "sub-1_ses-a.b", "", "^[x]", "sub-2"]
    others = ["sub-", "sub", "sub-11", "sub-1_ses-a_b", "sub-22", "x", "^", "ub-1", "sub-1 "]
    for count in range(1, len(names) + 1):
        taken = one_of(names[:count])
        assert [bool(re.fullmatch(taken, name)) for name in names] == [n < count for n in range(len(names))]
        assert not any(re.fullmatch(taken, other) for other in others)
    subjects = [f"sub-{number:04}" for number in range(2000)]
    assert len(one_of(subjects)) < 200


def test_the_folder_of_the_only_grid_has_no_name() -> None:
    teachers = [{key: value for key, value in row.items() if key != "input_scale"} for row in ROWS["teachers"]]
    rows = {"teachers": teachers, "gans": [], "experiments": [row for row in ROWS["experiments"] if "gan" not in row]}
    assert re.fullmatch(one_of(plan_of(**rows).samplings()), "")


def test_a_study_without_students_has_no_student_to_match() -> None:
    rows = {"students": [], "experiments": [{"name": "zscore", "method": "zscore"}]}
    plan = plan_of(**rows)
    assert plan.experiments_with_blocks() == one_of(plan.students) == one_of([])


def test_demo_scans_are_rendered_and_those_of_a_second_table_are_given(tmp_path) -> None:
    study = read_config(ROWS)
    assert given_scans(study, open_cohort(study, demo_rows(PARTS))).empty
    rows = [row | {"participant_id": f"new{row['participant_id']}", "split": "test"} for row in demo_rows(PARTS)]
    rows[0]["exclude"] = "moved"
    pd.DataFrame(rows).fillna("n/a").to_csv(tmp_path / "test.tsv", sep="\t", index=False)
    study = read_config(ROWS | {"cohort": {"test_participants": str(tmp_path / "test.tsv")}})
    given = given_scans(study, open_cohort(study, demo_rows(PARTS)))
    assert list(given["scan_id"]) == [row["participant_id"] for row in rows[1:]]


def test_a_file_that_the_config_names_and_that_is_missing_ends_the_run_before_it_starts() -> None:
    rows = [{**ROWS["teachers"][0], "weights": "nowhere.pth"}, ROWS["teachers"][1]]
    study = read_config(ROWS | {"teachers": rows})
    with pytest.raises(InputError, match=r"teachers, fine, weights: nowhere\.pth is not a file"):
        check_study(study, open_cohort(study, demo_rows(PARTS)))


def test_a_residuals_gaussian_needs_three_validation_scans() -> None:
    study = read_config(ROWS)
    with pytest.raises(InputError, match="'residual': its variances stand on 2 healthy"):
        check_study(study, open_cohort(study, demo_rows({"healthy": (3, 2, 2), "patient": (2, 2, 2)})))


def test_a_test_part_of_patients_alone_has_no_synthetic_lesions_and_that_is_said() -> None:
    without = plan_of({"healthy": (3, 3, 0), "patient": (2, 2, 2)})
    assert without.lesion_experiments() == []
    assert [remark for remark in without.remarks() if "No healthy test scan" in remark]


def test_a_segmenter_starts_from_the_clones_network_wherever_the_run_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = [{"name": "kept", "weights": "T1w", "steps": 0}, {"name": "new"}]
    plan = plan_of(segmenters=rows)
    monkeypatch.chdir(tmp_path)
    assert load_segmenter(Path(str(plan.start_of_segmenter("kept")))).form["width"] == 32
    assert plan.start_of_segmenter("new") == []
    with pytest.raises(InputError, match=r"segmenters, new, weights: nowhere\.safetensors is not a file"):
        study = read_config(ROWS | {"segmenters": [{"name": "new", "weights": "nowhere.safetensors"}]})
        check_study(study, open_cohort(study, demo_rows(PARTS)))


def test_a_segmenter_that_a_cpu_trains_for_hours_is_told_of_before_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stfpm3d.study.training_plan.has_gpu", lambda: False)
    rows = [{"name": "long", "steps": 3000, "batch_size": 4}, {"name": "short", "steps": 100, "batch_size": 4}]
    plan = plan_of({"healthy": (3, 3, 2), "patient": (2, 2, 2)}, segmenters=rows, compute={"threads": 2})
    (told,) = plan.remarks()
    assert "'long': 3000 steps take about 3 h on 2 threads" in told  # 3000 x 4 x 1.6 s / 2
    monkeypatch.setattr("stfpm3d.study.training_plan.has_gpu", lambda: True)
    assert plan.remarks() == []


def test_a_bundle_names_the_files_of_its_experiment_and_no_folder_of_the_machine() -> None:
    plan = plan_of(cohort={"participants": "demo"}, template={"head": "/home/me/head.nii", "brain_mask": "b/mask.nii"})
    assert bundled_experiments(plan) == ["stfpm", "untrained", "residual", "padim", "fanogan", "zscore"]
    files = bundled_files(plan, "residual")
    assert files["student"] == "results/student/by_loss/model.safetensors"
    assert files["gaussian"] == "results/gaussian/residual.safetensors"
    assert "gaussian" not in bundled_files(plan, "stfpm")
    settings = bundled_settings(plan, "residual")
    assert settings["maker"] == {
        "combine": "product",
        "blocks": [2],
        "pooling_mm": 0.0,
        "in_medians": False,
        "smoothing_mm": 0.0,
        "mirror_share": 0.0,
        "asymmetry_weight": 0.0,
        "lesion_sign": 1,
        "normalised": False,
        "agreement": False,
        "precision": "32-true",
    }
    config = published_config(plan.study)
    assert (config["template"]["head"], config["template"]["brain_mask"]) == ("head.nii", "mask.nii")


def test_every_experiments_bundle_can_be_read() -> None:
    """What the config says of it has the form that is checked before a bundle is used."""
    plan = plan_of()
    known = {key: DESCRIPTION[key] for key in ("threshold", "validation", "record", "made_by")}
    for experiment in bundled_experiments(plan):
        files = {f"{role}.any": 64 * "0" for role in [*bundled_files(plan, experiment), "MODEL_CARD", "config"]}
        form = {"schema_version": SCHEMA_VERSION, "files": files, "sha256": 64 * "0"}
        found = checked({**bundled_settings(plan, experiment), **known, **form}, "bundle.json", "copy it again")
        assert found["experiment"] == experiment

"""The config, the cohort, the split and the digests become the names that the rules use."""

import os
import re
import sys
from functools import cache
from pathlib import Path

import pandas as pd
from snakemake.exceptions import WorkflowError
from snakemake.logging import logger

ROOT = Path(workflow.basedir)
SCRIPTS = ROOT / "workflow" / "scripts"
TEMPLATES = SCRIPTS / "stfpm3d" / "reporting" / "templates"
# Relative, so that a project that is moved or copied has nothing to do.
PAGES = {path.name: os.path.relpath(path) for path in TEMPLATES.iterdir()}
sys.path.insert(0, str(SCRIPTS))

from stfpm3d.imaging.contrast import LESION_SIGN
from stfpm3d.imaging.phantom.cohort import demo_participants
from stfpm3d.study.cohort import (
    check_files,
    check_participants,
    check_parts,
    check_statistics,
    check_teacher,
    in_turn,
    read_participants,
    select,
    with_test_table,
)
from stfpm3d.study.config import read_config
from stfpm3d.study.digest import code_digest, environment_digest
from stfpm3d.study.errors import InputError
from stfpm3d.study.lifeline import DRIVER_VARIABLE
from stfpm3d.study.regions import region_patients, with_known_region
from stfpm3d.study.split import assign_fold, assign_split, hash_order, teacher_scans

os.environ[DRIVER_VARIABLE] = str(os.getpid())  # scripts end when this process is gone
# Threads that wait for others sleep: spinning, they slow a training down several times where anything else runs.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


# Neither in a job on a cluster, which reads the workflow again, nor in a fold's module.
IS_FIRST_READING = workflow.is_main_process and not workflow.modifier.is_module


def open_cohort(study):
    """The checked participants table with its split, excluded scans among them.

    The demo's table is computed, and its files are made by rules. A table of test scans takes the place of those of the
    first table, which is divided as it would be without.
    """
    if study.cohort.participants == "demo":
        counts = [(group.train, group.val, group.test) for group in (study.demo.healthy, study.demo.patient)]
        demo = demo_participants(study.demo.seed, *counts, study.demo.scenario)
        table = check_participants(pd.DataFrame(demo), Path("results/demo"))
        if study.split.folds:
            table = table.drop(columns="split")
    else:
        table = read_participants(study.cohort.participants)
    split = study.split
    if split.folds:
        parts = assign_fold(table, split.folds, split.fold or 1, split.seed)
    else:
        parts = assign_split(table, split.model_dump(include={"healthy", "patient"}), split.seed)
    table["split"] = parts.values
    rendered = table.index if study.cohort.participants == "demo" else []
    if study.cohort.test_participants is not None:
        table = with_test_table(table, read_participants(study.cohort.test_participants, "test_participants"))
    brought = kept(table.drop(index=rendered, errors="ignore"))
    if IS_FIRST_READING and len(brought):
        from stfpm3d.imaging.headers import check_headers  # jobs on a cluster need not import nibabel here

        check_files(brought)
        check_headers(brought)
    return table


def kept(table):
    """The scans that are not excluded."""
    return table[table["exclude"].isna()] if "exclude" in table else table


def check_study(study, participants):
    """Raise `InputError` when the config asks for more than the cohort's parts or the disk hold."""
    check_parts(participants)
    for teacher in study.teachers:
        if teacher.epochs > 0:
            check_teacher(participants, teacher.name, teacher.balance, study.split.seed)
    for experiment in study.experiments:
        if experiment.method in ("zscore", "padim"):
            check_statistics(participants, experiment.name)
        elif experiment.method == "stfpm" and experiment.residual == "gaussian":
            check_statistics(participants, experiment.name, "val", 3)  # each is measured against the others
    for key, path in given_files(study).items():
        if not Path(path).is_file():
            raise InputError(f"config: {key}: {path} is not a file; correct its path.")
    lesions = study.evaluation.synthetic
    if lesions.masks is not None and len(mask_files(lesions.masks)) < lesions.per_scan:
        raise InputError(
            f"config: evaluation.synthetic.masks: {lesions.masks} holds {len(mask_files(lesions.masks))} NIfTI files,"
            f" expected at least per_scan ({lesions.per_scan}); correct the path of the folder, or add masks."
        )


def given_files(study):
    """The files that the config names besides the participants table, by their keys."""
    files = {"template.head": study.template.head, "template.brain_mask": study.template.brain_mask}
    for teacher in study.teachers:
        files[f"teachers, {teacher.name}, weights"] = path_unless(teacher.weights, "random", "imagenet")
        files[f"teachers, {teacher.name}, atlas"] = path_unless(teacher.atlas, "none", "coordinates")
    return {key: path for key, path in files.items() if path is not None}


def mask_files(folder):
    """The names of the NIfTI files in a folder, in order; none where there is no such folder."""
    return sorted(path.name for path in Path(folder).glob("*.nii*"))


def path_unless(value, *words):
    """The path that a config key holds, or None where it holds one of its words."""
    return None if value in words else value


try:
    STUDY = read_config(config)
    COHORT = open_cohort(STUDY)
    PARTICIPANTS = kept(COHORT)
    check_study(STUDY, PARTICIPANTS)
except InputError as error:
    raise WorkflowError(str(error)) from None

# The folds of a cross-validation, each of which reads this file again with a split of its own (folds.smk).
FOLDS = range(1, STUDY.split.folds + 1) if STUDY.split.folds and not STUDY.split.fold else ()
SCANS = PARTICIPANTS.set_index("scan_id")
KEYS = [key for key in ("participant_id", "session_id") if key in SCANS]
TEACHERS, STUDENTS, GANS, EXPERIMENTS = (
    {row.name: row.model_dump(mode="json") for row in rows}
    for rows in (STUDY.teachers, STUDY.students, STUDY.gans, STUDY.experiments)
)
COMPUTE = STUDY.compute.model_dump(mode="json")
WHERE = {key: COMPUTE[key] for key in ("accelerator", "threads")}  # of what runs on one device
GPUS = 0 if COMPUTE["accelerator"] == "cpu" else COMPUTE["devices"]
EVALUATED = select(PARTICIPANTS, split=("val", "test"))
MAP_NAME = f"{{sub}}_space-{STUDY.template.space}_desc-anomaly_{STUDY.cohort.modality}.nii.gz"


def sampling(row):
    """How a teacher's row samples the cube, as a folder below results/grid: nothing for the config's `grid.size`."""
    return "" if row["input_scale"] is None else f"scale-{row['input_scale']:g}/"


SAMPLINGS = (
    {"": {"size": STUDY.grid.size}}
    | {sampling(row): {"voxels_per_mm": row["input_scale"]} for row in TEACHERS.values() if sampling(row)}
    | {f"size-{row['size']}/": {"size": row["size"]} for row in GANS.values()}
)


wildcard_constraints:
    sub="|".join(SCANS.index),
    architecture=r"resnet\d+",
    sampling=f"({'|'.join(map(re.escape, SAMPLINGS))})",
    teacher="|".join(TEACHERS),
    student="|".join(STUDENTS),
    gan="|".join(GANS) or "$^",  # a pattern that matches nothing
    experiment="|".join(EXPERIMENTS),


def scaled(amount):
    """A resource (MB or minutes) that grows with each attempt: one that a scheduler ended for it may ask for more."""
    return lambda wildcards, attempt: attempt * amount


@cache
def code(script):
    """Digest of what a rule's script computes, for its params."""
    return code_digest(SCRIPTS / f"{script}.py", SCRIPTS)


@cache
def environment(name):
    """Digest of what a rule's conda environment holds, for its params."""
    return environment_digest(ROOT / "envs" / f"{name}.yaml")


def scans(pattern, **parts):
    """Paths of the scans of one part or group (see `select`), from a pattern with `{sub}`; other wildcards are kept."""
    return [pattern.replace("{sub}", sub) for sub in select(PARTICIPANTS, **parts)]


def template_files():
    """The head and the brain mask that the template is made of; the packaged mask is no file."""
    source = STUDY.template
    if source.templateflow:
        return {part: f"results/template/templateflow_{part}.nii.gz" for part in ("head", "brain_mask")}
    return {"head": source.head or "results/template/head_1mm.nii.gz", "brain_mask": source.brain_mask or []}


def native_image(sub):
    """The scan that is registered: the table's own, or its bias-corrected copy (native grid)."""
    return f"results/bias_correction/{sub}/image.nii.gz" if STUDY.bias_correction.method == "n4" else SCANS.image[sub]


def registration_target(sub):
    """What a scan is registered to: the template's head or its brain, of which a scan that lies there needs the mask."""
    if STUDY.registration.transform == "none":
        return "results/template/mask.nii.gz"
    return f"results/template/{'brain' if SCANS.skull_stripped[sub] else 'head'}.nii.gz"


def experiments(*methods):
    """A wildcard constraint: the names of the experiments of some methods, or a pattern that matches no file."""
    return "|".join(name for name, row in EXPERIMENTS.items() if row["method"] in methods) or "$^"


def settings(row, *without):
    """A config row as params, without the keys that say nothing about the computation."""
    return {key: value for key, value in row.items() if key not in ("name", *without)}


def initial_weights(teacher):
    """The checkpoint that a teacher starts from, as a rule's input; nothing when its weights are random."""
    row = TEACHERS[teacher]
    made = {"random": [], "imagenet": f"results/weights/{row['architecture']}.pth"}
    return made.get(row["weights"], row["weights"])


def atlas_file(teacher):
    """The map that a teacher's atlas is made from, as a rule's input; coordinates need none."""
    return path_unless(TEACHERS[teacher]["atlas"], "none", "coordinates") or []


def atlas_of(teacher):
    """The second input channel of a teacher and its students, as a rule's input; nothing where the scan is alone."""
    return [] if TEACHERS[teacher]["atlas"] == "none" else f"results/teacher/{teacher}/atlas.npy"


def grid_of(teacher):
    """The folder with the scans as a teacher and its students see them, ending in a slash."""
    return f"results/grid/{sampling(TEACHERS[teacher])}"


def grid_of_student(student):
    """The folder of the student's teacher's grid."""
    return grid_of(STUDENTS[student]["teacher"])


def seen_by_teacher(teacher, part):
    """The scans of one part that a teacher sees."""
    return teacher_scans(PARTICIPANTS, part, TEACHERS[teacher]["balance"], STUDY.split.seed)


def student_settings(student):
    """A student's settings as params; without a validation patient no AUROC chooses its epoch, but synthetic lesions."""
    row = settings(STUDENTS[student], "teacher")
    if row["selection"] == "auroc" and not select(PARTICIPANTS, split="val", group="patient"):
        row["selection"] = "synthetic_ap"
    if row["selection"] == "synthetic_ap":
        row["lesion_sign"] = LESION_SIGN[STUDY.cohort.modality]
    return row


def chosen_masks(sub):
    """The real lesion masks that are inserted into copies of a scan, as a rule's input; nothing where lesions are grown."""
    lesions = STUDY.evaluation.synthetic
    if lesions.masks is None:
        return []
    keys = {f"{sub}/{name}": Path(lesions.masks, name) for name in mask_files(lesions.masks)}
    return [str(keys[key]) for key in hash_order(list(keys), lesions.seed)[: lesions.per_scan]]


def graded_experiments():
    """The experiments whose maps are graded and scored: segmentations and the bare mask are neither."""
    return [name for name in EXPERIMENTS if not is_segmented(name)]


def lesion_experiments():
    """The experiments that are measured on synthetic lesions, where there are any."""
    return graded_experiments() if STUDY.evaluation.synthetic.per_scan else []


def probe_tables():
    """The tables of the probes of the shortcut, unless they are switched off."""
    if not STUDY.evaluation.probes:
        return []
    probes = ("removed", "within", "sites")
    found = [f"results/evaluation/{name}/probe_{probe}.tsv" for name in graded_experiments() for probe in probes]
    return ["results/evaluation/probe_histogram.tsv", *found]


def teacher_of(experiment):
    """The teacher that an experiment names, or that its student names."""
    row = EXPERIMENTS[experiment]
    return row["teacher"] if row["method"] == "padim" else STUDENTS[row["student"]]["teacher"]


def teacher_weights(experiment):
    """The weights of an experiment's teacher, as a rule's input."""
    return f"results/teacher/{teacher_of(experiment)}/model.safetensors"


def student_weights(experiment):
    """The weights of an experiment's student, as a rule's input; nothing for a method without one."""
    row = EXPERIMENTS[experiment]
    if row["method"] == "padim":
        return []
    weights = {"trained": "model", "initial": "initial"}[row["weights"]]
    return f"results/student/{row['student']}/{weights}.safetensors"


def gaussian_scans(experiment):
    """The healthy scans that an experiment's Gaussian is fitted on: PaDiM's on the training part, a residual's on
    validation scans, since the student has matched the training scans; nothing for an experiment without one."""
    row = EXPERIMENTS[experiment]
    if row["method"] == "padim":
        return select(PARTICIPANTS, split="train", group="healthy")
    return select(PARTICIPANTS, split="val", group="healthy") if row["residual"] == "gaussian" else []


def gaussian_of(experiment):
    """An experiment's Gaussian of features, as a rule's input."""
    return f"results/gaussian/{experiment}.safetensors" if gaussian_scans(experiment) else []


def grid_of_gan(gan):
    """The folder with the scans in a GAN's size, ending in a slash."""
    return f"results/grid/size-{GANS[gan]['size']}/"


def grid_of_experiment(experiment):
    """The folder with the scans as an experiment's networks see them, ending in a slash."""
    row = EXPERIMENTS[experiment]
    return grid_of_gan(row["gan"]) if row["method"] == "fanogan" else grid_of(teacher_of(experiment))


def arrays_of(part):
    """An input function: the scans of one part on the grid of an experiment's networks."""
    return lambda w: scans(f"{grid_of_experiment(w.experiment)}{{sub}}.npy", split=part)


def map_settings(experiment):
    """How the blocks' maps become an experiment's map, as params."""
    row = {"smoothing_mm": 0.0, **EXPERIMENTS[experiment]}
    return {key: row[key] for key in ("combine", "blocks", "smoothing_mm")}


def source_maps(part):
    """The maps of one part that a segmentation or post-processing reads, those of the experiment which it names."""
    return lambda w: scans(f"results/maps/{EXPERIMENTS[w.experiment]['experiment']}/{part}/{MAP_NAME}", split=part)


def top_fraction(experiment):
    """The share of voxels that a segmentation takes, as a param; None where k-means decides."""
    row = EXPERIMENTS[experiment]
    return row["fraction"] if row["by"] == "top_fraction" else None


def is_segmented(experiment):
    """Whether an experiment's maps are segmentations, 0 and 1 alone: no threshold is fitted to them."""
    return EXPERIMENTS[experiment]["method"] in ("segmentation", "mask")


def protocols(experiment):
    """The protocols that measure an experiment; inside the brain the mask is constant, which says nothing."""
    return ["paper"] if EXPERIMENTS[experiment]["method"] == "mask" else ["strict", "paper"]


IN_BRAIN = [name for name in EXPERIMENTS if "strict" in protocols(name)]  # the experiments that it measures
COMPARED = [
    name for name in IN_BRAIN if EXPERIMENTS[name]["method"] != "postprocessed"
]  # an ablation is described alone


def has_blocks(experiment):
    """Whether an experiment's method makes a map from the blocks of networks."""
    return EXPERIMENTS[experiment]["method"] in ("stfpm", "padim")


def evaluated_teachers():
    """The teachers whose students' maps are measured, in the config's order."""
    used = {teacher_of(name) for name in EXPERIMENTS if has_blocks(name)}
    return [teacher for teacher in TEACHERS if teacher in used]


def description(experiment):
    """How an experiment's maps come about, for the report (see `write_report`)."""
    row = EXPERIMENTS[experiment]
    if row["method"] == "segmentation":
        return {**description(row["experiment"]), "segmented_by": row["by"]}
    if row["method"] == "postprocessed":
        return {**description(row["experiment"]), "processed_by": processing(row)}
    teacher = TEACHERS[teacher_of(experiment)] if has_blocks(experiment) else None
    weights = teacher and teacher["weights"]
    return {
        "method": row["method"],
        "architecture": teacher and teacher["architecture"],
        "weights": weights if weights in (None, "random", "imagenet") else "file",
        "patch_learning": teacher is not None and teacher["epochs"] > 0,
        "untrained": row.get("weights") == "initial",
        "processed_by": None,
        "segmented_by": None,
    }


def processing(row):
    """The step of a post-processed experiment's row in words, such as `gaussian 4 mm`."""
    unit = "ml" if row["by"] == "min_component" else "mm"
    amount = "" if row["amount"] is None else f" {row['amount']:g} {unit}"
    return row["by"].replace("_", " ") + amount


def initial_counterparts():
    """For each experiment with a trained student, the one that differs only in the student's initial weights."""
    rows = {name: settings(row) for name, row in EXPERIMENTS.items() if row["method"] == "stfpm"}
    initial = {name: {**row, "weights": "trained"} for name, row in rows.items() if row["weights"] == "initial"}
    return {
        trained: untrained
        for trained, row in rows.items()
        for untrained, other in initial.items()
        if row["weights"] == "trained" and row == other
    }


if IS_FIRST_READING:
    for name, row in STUDENTS.items():
        if student_settings(name)["selection"] != row["selection"]:
            logger.warning(f"student {name!r}: no validation patient, so synthetic lesions choose its epoch.")

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
from stfpm3d.demo.participants import demo_participants
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
from stfpm3d.runtime.digest import code_digest, environment_digest
from stfpm3d.runtime.errors import InputError
from stfpm3d.runtime.lifeline import DRIVER_VARIABLE
from stfpm3d.probes.regions import region_patients, with_known_region
from stfpm3d.study.split import assign_fold, assign_split, hash_order, teacher_scans

os.environ[DRIVER_VARIABLE] = str(os.getpid())  # scripts end when this process is gone
# Threads that wait for others sleep: spinning, they slow a training down several times where anything else runs.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


# Neither in a job on a cluster, which reads the workflow again, nor in a fold's module.
IS_FIRST_READING = workflow.is_main_process and workflow.modifier.is_main_snakefile()


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
    """What a scan is registered to: the template's head or its brain."""
    return f"results/template/{'brain' if SCANS.skull_stripped[sub] else 'head'}.nii.gz"

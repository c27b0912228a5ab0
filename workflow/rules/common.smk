"""The config, the cohort, the split and the digests become the names that the rules use."""

import os
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

from stfpm3d.imaging.phantom.cohort import demo_participants
from stfpm3d.study.cohort import (
    check_files,
    check_participants,
    check_parts,
    check_statistics,
    check_teacher,
    read_participants,
    select,
)
from stfpm3d.study.config import read_config
from stfpm3d.study.digest import code_digest, environment_digest
from stfpm3d.study.errors import InputError
from stfpm3d.study.lifeline import DRIVER_VARIABLE
from stfpm3d.study.split import assign_split, teacher_scans

os.environ[DRIVER_VARIABLE] = str(os.getpid())  # scripts end when this process is gone


def open_cohort(study):
    """The checked participants table with its split, excluded scans among them.

    The demo's table is computed, and its files are made by rules.
    """
    if study.cohort.participants == "demo":
        counts = [(group.train, group.val, group.test) for group in (study.demo.healthy, study.demo.patient)]
        table = check_participants(pd.DataFrame(demo_participants(study.demo.seed, *counts)), Path("results/demo"))
    else:
        table = read_participants(study.cohort.participants)
        if workflow.is_main_process:
            from stfpm3d.imaging.headers import check_headers  # jobs on a cluster need not import nibabel here

            check_files(kept(table))
            check_headers(kept(table))
    table["split"] = assign_split(
        table, study.split.model_dump(include={"healthy", "patient"}), study.split.seed
    ).values
    return table


def kept(table):
    """The scans that are not excluded."""
    return table[table["exclude"].isna()].reset_index(drop=True) if "exclude" in table else table


def check_study(study, participants):
    """Raise `InputError` when the config asks for more than the cohort's parts or the disk hold."""
    check_parts(participants)
    for teacher in study.teachers:
        if teacher.epochs > 0:
            check_teacher(participants, teacher.name, teacher.balance, study.split.seed)
    for experiment in study.experiments:
        if experiment.method == "zscore":
            check_statistics(participants, experiment.name)
    for key, path in given_files(study).items():
        if not Path(path).is_file():
            raise InputError(f"config: {key}: {path} is not a file; correct its path.")


def given_files(study):
    """The files that the config names besides the participants table, by their keys."""
    files = {"template.head": study.template.head, "template.brain_mask": study.template.brain_mask}
    for teacher in study.teachers:
        files[f"teachers, {teacher.name}, weights"] = None if teacher.weights == "random" else teacher.weights
    return {key: path for key, path in files.items() if path is not None}


try:
    STUDY = read_config(config)
    COHORT = open_cohort(STUDY)
    PARTICIPANTS = kept(COHORT)
    check_study(STUDY, PARTICIPANTS)
except InputError as error:
    raise WorkflowError(str(error)) from None

SCANS = PARTICIPANTS.set_index("scan_id")
KEYS = [key for key in ("participant_id", "session_id") if key in SCANS]
TEACHERS, STUDENTS, GANS, EXPERIMENTS = (
    {row.name: row.model_dump(mode="json") for row in rows}
    for rows in (STUDY.teachers, STUDY.students, STUDY.gans, STUDY.experiments)
)
COMPUTE = STUDY.compute.model_dump(mode="json")
EVALUATED = select(PARTICIPANTS, split=("val", "test"))
MAP_NAME = f"{{sub}}_space-{STUDY.template.space}_desc-anomaly_{STUDY.cohort.modality}.nii.gz"


wildcard_constraints:
    sub="|".join(SCANS.index),
    teacher="|".join(TEACHERS),
    student="|".join(STUDENTS),
    gan="|".join(GANS) or "$^",  # a pattern that matches nothing
    experiment="|".join(EXPERIMENTS),


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


def experiments(method):
    """A wildcard constraint: the names of the experiments of one method, or a pattern that matches no file."""
    return "|".join(name for name, row in EXPERIMENTS.items() if row["method"] == method) or "$^"


def settings(row, *without):
    """A config row as params, without the keys that say nothing about the computation."""
    return {key: value for key, value in row.items() if key not in ("name", *without)}


def initial_weights(teacher):
    """The checkpoint that a teacher starts from, as a rule's input; nothing when its weights are random."""
    weights = TEACHERS[teacher]["weights"]
    return [] if weights == "random" else weights


def seen_by_teacher(teacher, part):
    """The scans of one part that a teacher sees."""
    return teacher_scans(PARTICIPANTS, part, TEACHERS[teacher]["balance"], STUDY.split.seed)


def student_settings(student):
    """A student's settings as params; no AUROC can choose an epoch where there is no validation patient."""
    row = settings(STUDENTS[student], "teacher")
    return row if select(PARTICIPANTS, split="val", group="patient") else {**row, "selection": "loss"}


def student_of(experiment):
    """The folder and the file name of the student weights that an experiment uses."""
    row = EXPERIMENTS[experiment]
    return {"student": row["student"], "weights": {"trained": "model", "initial": "initial"}[row["weights"]]}


def teacher_of(experiment):
    """The teacher of an experiment's student."""
    return STUDENTS[EXPERIMENTS[experiment]["student"]]["teacher"]


def gan_grid(gan):
    """The folder below results/grid that holds the scans in a GAN's size."""
    return f"size-{GANS[gan]['size']}"


def gan_of(experiment):
    """The GAN of an experiment."""
    return EXPERIMENTS[experiment]["gan"]


def has_blocks(experiment):
    """Whether an experiment's method makes a map from the blocks of two networks."""
    return EXPERIMENTS[experiment]["method"] == "stfpm"


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


if workflow.is_main_process:
    for name, row in STUDENTS.items():
        if student_settings(name)["selection"] != row["selection"]:
            logger.warning(f"student {name!r}: no validation patient, so the loss on healthy scans chooses its epoch.")

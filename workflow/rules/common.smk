"""The config, the cohort, the split and the digests become the names that the rules use."""

import sys
from functools import cache
from pathlib import Path

import pandas as pd
from snakemake.exceptions import WorkflowError

ROOT = Path(workflow.basedir)
SCRIPTS = ROOT / "workflow" / "scripts"
PAGES = {path.name: str(path) for path in (SCRIPTS / "stfpm3d" / "reporting" / "templates").iterdir()}
sys.path.insert(0, str(SCRIPTS))

from stfpm3d.imaging.phantom.cohort import demo_participants
from stfpm3d.study.cohort import check_files, check_participants, check_parts, read_participants, select
from stfpm3d.study.config import read_config
from stfpm3d.study.digest import code_digest, environment_digest
from stfpm3d.study.errors import InputError
from stfpm3d.study.split import assign_split, teacher_scans


def open_cohort(study):
    """The checked participants table with its split; the demo's is computed, and its files are made by rules."""
    if study.cohort.participants == "demo":
        counts = [(group.train, group.val, group.test) for group in (study.demo.healthy, study.demo.patient)]
        table = check_participants(pd.DataFrame(demo_participants(study.demo.seed, *counts)), Path("results/demo"))
    else:
        table = read_participants(study.cohort.participants)
        if workflow.is_main_process:
            check_files(table)
    table["split"] = assign_split(
        table, study.split.model_dump(include={"healthy", "patient"}), study.split.seed
    ).values
    check_parts(table)
    return table


try:
    STUDY = read_config(config)
    PARTICIPANTS = open_cohort(STUDY)
except InputError as error:
    raise WorkflowError(str(error)) from None

SCANS = PARTICIPANTS.set_index("participant_id")
TEACHERS, STUDENTS, EXPERIMENTS = (
    {row.name: row.model_dump(mode="json") for row in rows}
    for rows in (STUDY.teachers, STUDY.students, STUDY.experiments)
)
COMPUTE = STUDY.compute.model_dump(mode="json")
EVALUATED = select(PARTICIPANTS, split=("val", "test"))
MAP_NAME = f"{{sub}}_space-{STUDY.template.space}_desc-anomaly_{STUDY.cohort.modality}.nii.gz"


wildcard_constraints:
    sub="|".join(SCANS.index),
    teacher="|".join(TEACHERS),
    student="|".join(STUDENTS),
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
    return [] if weights == "random" else [weights]


def teacher_arrays(teacher, part):
    """The scans of one part that a teacher sees, on the network's grid."""
    row = TEACHERS[teacher]
    subjects = teacher_scans(PARTICIPANTS, part, row["balance"], STUDY.split.seed)
    return [f"results/grid/{sub}.npy" for sub in subjects]


def student_of(experiment):
    """The folder and the file name of the student weights that an experiment uses."""
    row = EXPERIMENTS[experiment]
    return {"student": row["student"], "weights": {"trained": "model", "initial": "initial"}[row["weights"]]}


def teacher_of(experiment):
    """The teacher of an experiment's student."""
    return STUDENTS[EXPERIMENTS[experiment]["student"]]["teacher"]


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

"""The config, the cohort and the plan of the study become the names that the rules use; digests become params."""

import gc
import os
from functools import cache, partial
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.logging import logger

ROOT = Path(workflow.current_basedir).parents[1]  # as a module of another workflow this one lies elsewhere
if any(mark in str(ROOT) for mark in "{}<>"):
    raise WorkflowError(
        f"{ROOT}: Snakemake takes {{name}} and <name> in the workflow's own path for names to fill in; rename that folder."
    )
SCRIPTS = ROOT / "workflow" / "scripts"
TEMPLATES = SCRIPTS / "stfpm3d" / "reporting" / "templates"
# Relative, so that a project that is moved or copied has nothing to do.
PAGES = {path.name: os.path.relpath(path) for path in TEMPLATES.iterdir()}

from stfpm3d.demo.participants import demo_participants
from stfpm3d.probes.regions import region_patients, with_known_region
from stfpm3d.runtime.definitions import Definitions
from stfpm3d.runtime.digest import environment_digest
from stfpm3d.runtime.errors import InputError
from stfpm3d.runtime.fingerprint import Fingerprints
from stfpm3d.runtime.job_environment import set_for_jobs
from stfpm3d.study.cohort import check_files, in_turn
from stfpm3d.study.config import read_config
from stfpm3d.study.devices import check_gpu, has_gpu, requested_gpus
from stfpm3d.study.opening import check_study, data_set_remarks, given_scans, kept, open_cohort, own_files
from stfpm3d.study.plan import Plan
from stfpm3d.study.training_plan import BRAIN_MASK, contents, one_of, settings

set_for_jobs()
# Jobs are many objects that live to the end; to look for garbage as often as is usual takes a sixth of the planning.
gc.set_threshold(50_000, 50, 100)

try:
    STUDY = read_config(config)
    SIZES = [(group.train, group.val, group.test) for group in (STUDY.demo.healthy, STUDY.demo.patient)]
    COHORT = open_cohort(STUDY, demo_participants(STUDY.demo.seed, *SIZES, STUDY.demo.scenario))
    PARTICIPANTS = kept(COHORT)
    check_study(STUDY, PARTICIPANTS)
except InputError as error:
    raise WorkflowError(str(error)) from None

PLAN = Plan(STUDY, PARTICIPANTS)
# What many rules read, one file a scan (MNI grid).
SUPPORT = "results/strip/{sub}/mask.nii.gz"  # where the scan has brain and signal
STANDARDIZED = "results/standardize/{sub}/image.nii.gz"
LESION_MASK = "results/register/{sub}/lesion_mask.nii.gz"

# The folds of a cross-validation, each of which reads this file again with a split of its own (folds.smk).
FOLDS = range(1, STUDY.split.folds + 1) if STUDY.split.folds and not STUDY.split.fold else ()
PAGE = "results/folds/index.html" if FOLDS else "results/report/index.html"
SCANS = PARTICIPANTS.set_index("scan_id")
KEYS = [key for key in ("participant_id", "session_id") if key in SCANS]
COMPUTE = STUDY.compute.model_dump(mode="json", exclude={"batch_scans"})
GPUS = requested_gpus(STUDY.compute, has_gpu())
TRAINING_THREADS = COMPUTE["devices"] * COMPUTE["threads"]
EVALUATED = PLAN.select(split=("val", "test"))


container: str(ROOT / "stfpm3d.sif")  # of all rules, where a run asks for it (docs/cluster.md)


wildcard_constraints:
    sub=one_of(SCANS.index),
    architecture=r"resnet\d+",
    sampling=one_of(PLAN.samplings()),
    teacher=one_of(PLAN.teachers),
    student=one_of(PLAN.students),
    gan=one_of(PLAN.gans),
    segmenter=one_of(PLAN.segmenters),
    experiment=one_of(PLAN.experiments),
    part="val|test",
    batch="[01]+",


def scaled(amount):
    """A resource (MB or minutes) that grows with each attempt: one that a scheduler ended for it may ask for more."""
    return lambda wildcards, attempt: attempt * amount


DEFINITIONS = Definitions(SCRIPTS)
# A job asks for its own scan's file alone, so that no job reads a cohort, whatever inodes its machine shows.
FINGERPRINTS = Fingerprints(
    Path(".snakemake/fingerprints"), own_files(STUDY, COHORT) if workflow.is_main_process else [], logger.info
)
content_of = partial(contents, FINGERPRINTS)


def given(path):
    """The user's own file as an input whose time does not count: `content_of`, among the params, tells its content."""
    return path if not path or path.startswith("results/") else ancient(path)


@cache
def code(script):
    """Digest of what a rule's script computes, for its params."""
    return DEFINITIONS.digest(SCRIPTS / f"{script}.py")


@cache
def maker_code(maker):
    """A map maker's name and digest."""
    return [maker, DEFINITIONS.digest_of(maker)]


def copy_tables(kind, experiment):
    """What was measured of an experiment's maps of copies (copies.smk), one table a batch that has such."""
    return [f"results/copies/{kind}/{experiment}/batch-{batch}.tsv" for made, batch in COPIES if made == kind]


def method_code(wildcards):
    """Which function makes an experiment's maps and a digest of it, for params: all methods share one script."""
    row = PLAN.experiments[wildcards.experiment]
    return [*maker_code(row.maker), *row.foreign_code()]


def maker_files(experiment):
    """What an experiment's maps are made with, by role; of the user's own files the time does not count."""
    return {role: given(path) for role, path in PLAN.maker_files(experiment).items()}


@cache
def environment(name):
    """Digest of what a rule's conda environment holds, for its params."""
    return environment_digest(ROOT / "envs" / f"{name}.yaml")


def own_conda(wildcards):
    """The conda environment of an experiment of the user's own."""
    return str(Path(PLAN.experiments[wildcards.experiment].environment or ROOT / "envs" / "learning.yaml").absolute())


def own_environment(wildcards):
    """Digest of what that environment holds, for params."""
    return environment_digest(Path(own_conda(wildcards)))

"""Anomaly detection in 3D brain MRI by patch-based student-teacher pyramid matching (Schwarz et al., MIDL 2024)."""

import os
import signal
from pathlib import Path

import yaml
from snakemake.exceptions import WorkflowError
from snakemake.logging import logger
from snakemake.utils import min_version

min_version("9.20")

if not isinstance(workflow.current_basedir, os.PathLike):
    raise WorkflowError(
        f"{workflow.current_basedir} is not a folder, and the rules import the package beside them; clone the repository"
        " and name the Snakefile in the clone."
    )

DEFAULTS = Path(workflow.current_basedir, "config", "config.yaml")
OWN = Path("config/config.yaml")


configfile: DEFAULTS  # one set of them, whichever folder the run is in


if OWN.is_file() and not OWN.samefile(DEFAULTS):
    with OWN.open(encoding="utf-8") as file:
        try:
            yaml.safe_load(file)
        except yaml.YAMLError as error:  # Snakemake would not say where
            raise WorkflowError(f"{OWN} is no YAML, which is indented by spaces alone: {error}") from None

    configfile: OWN


report: "workflow/report/workflow.rst"


include: "workflow/rules/common.smk"
include: "workflow/rules/cluster.smk"
include: "workflow/rules/inspection.smk"
include: "workflow/rules/demo.smk"
include: "workflow/rules/template.smk"
include: "workflow/rules/bias_correction.smk"
include: "workflow/rules/register.smk"
include: "workflow/rules/strip.smk"
include: "workflow/rules/weights.smk"
include: "workflow/rules/folds.smk" if FOLDS else "workflow/rules/study.smk"


rule all:
    default_target: True
    input:
        [f"results/folds/{number}/cohort/split.tsv" for number in FOLDS] or "results/cohort/split.tsv",
        "results/qc/index.html",
        PAGE,
    localrule: True


rule bundles:
    """Make the bundle of the first experiment that can have one, for new scans (docs/predict.md)."""
    input:
        [
            f"results/{part}bundle/{PLAN.graded_experiments()[0]}/bundle.json"
            for part in ([f"folds/{number}/" for number in FOLDS] or [""])
        ],
    localrule: True


from stfpm3d.runtime.failures import summary, written
from stfpm3d.runtime.run_note import forget_run, note_run
from stfpm3d.runtime.screen import tell_stages

LOGS_BEFORE = {}  # when the logs of the jobs to be run were last written


onstart:
    # With the limiter each job that has ended adds a timer, and with it a scheduling a second (snakemake 9.27).
    workflow.scheduler.job_rate_limiter = None
    # By default a Snakemake that is told to end waits for its jobs, hours perhaps, or for a lock that it holds itself.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    LOGS_BEFORE.update(written(workflow.dag.needrun_jobs()))
    if on_slurm(workflow):
        check_cluster(workflow)
    elif workflow.local_exec and any(job.resources.get("gpu") for job in workflow.dag.needrun_jobs()):
        try:
            check_gpu(STUDY.compute, has_gpu())
        except InputError as error:
            raise WorkflowError(str(error)) from None
    if not workflow.output_settings.verbose:
        tell_stages(logger, workflow.dag.needrun_jobs())
    note_run(OWN_JOB, on_slurm(workflow))


onerror:
    if on_slurm(workflow):
        take_back(workflow)
    forget_run()
    scheduler = workflow.scheduler
    if scheduler.failed:
        logger.error(summary(scheduler.failed, [*scheduler.failed, *scheduler.remaining_jobs], LOGS_BEFORE))


onsuccess:
    forget_run()
    if Path(PAGE).is_file():
        logger.info(f"Report: {Path(PAGE).resolve()}")

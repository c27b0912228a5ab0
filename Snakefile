"""Anomaly detection in 3D brain MRI by patch-based student-teacher pyramid matching (Schwarz et al., MIDL 2024)."""

import os
import signal
import sys
from pathlib import Path

from snakemake.exceptions import WorkflowError
from snakemake.logging import logger
from snakemake.utils import min_version

min_version("9.20")

if not isinstance(workflow.current_basedir, os.PathLike):
    raise WorkflowError(
        f"{workflow.current_basedir} is not a folder, and the rules import the package beside them; clone the repository"
        " and name the Snakefile in the clone."
    )

sys.path.insert(0, str(Path(workflow.current_basedir, "workflow", "scripts")))

from stfpm3d.runtime.errors import InputError
from stfpm3d.study.config_files import check_config_files

DEFAULTS = Path(workflow.current_basedir, "config", "config.yaml")
OWN = Path("config/config.yaml")

if workflow.is_main_process:
    try:
        check_config_files([OWN, *workflow.overwrite_configfiles])  # the latter Snakemake has read already
    except InputError as error:
        raise WorkflowError(str(error)) from None


configfile: DEFAULTS  # one set of them, whichever folder the run is in


if OWN.is_file() and not OWN.samefile(DEFAULTS):

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
        [getattr(rules, f"fold{number}_maps").input for number in FOLDS] or rules.maps.input,
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
from stfpm3d.runtime.screen import is_current, tell_stages

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
    if is_current(workflow.dag, PAGE):
        logger.info(f"Report: {Path(PAGE).resolve()}")

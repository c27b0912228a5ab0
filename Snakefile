"""Anomaly detection in 3D brain MRI by patch-based student-teacher pyramid matching (Schwarz et al., MIDL 2024)."""

from snakemake.utils import min_version

min_version("9.20")


configfile: "config/config.yaml"


include: "workflow/rules/common.smk"
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
        "results/folds/index.html" if FOLDS else "results/report/index.html",
    localrule: True


onsuccess:
    for page in (job.output[0] for job in workflow.dag.jobs if job.rule.name in ("report", "folds")):
        logger.info(f"Report: {Path(page).resolve()}")

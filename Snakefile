"""Anomaly detection in 3D brain MRI by patch-based student-teacher pyramid matching (Schwarz et al., MIDL 2024)."""

from snakemake.utils import min_version

min_version("9.20")


configfile: "config/config.yaml"


include: "workflow/rules/common.smk"
include: "workflow/rules/demo.smk"
include: "workflow/rules/cohort.smk"
include: "workflow/rules/template.smk"
include: "workflow/rules/bias_correction.smk"
include: "workflow/rules/register.smk"
include: "workflow/rules/strip.smk"
include: "workflow/rules/standardize.smk"
include: "workflow/rules/grid.smk"
include: "workflow/rules/teacher.smk"
include: "workflow/rules/student.smk"
include: "workflow/rules/fanogan.smk"
include: "workflow/rules/maps.smk"
include: "workflow/rules/evaluate.smk"
include: "workflow/rules/synthetic.smk"
include: "workflow/rules/probes.smk"
include: "workflow/rules/copies.smk"
include: "workflow/rules/figures.smk"
include: "workflow/rules/report.smk"


localrules:
    all,
    head_template,
    templateflow,
    imagenet_weights,
    cohort,
    compare,
    report,


rule all:
    default_target: True
    input:
        "results/cohort/participants.tsv",
        "results/qc/index.html",
        "results/report/index.html",


onsuccess:
    if any(job.rule.name == "report" for job in workflow.dag.jobs):
        logger.info(f"Report: {Path('results/report/index.html').resolve()}")

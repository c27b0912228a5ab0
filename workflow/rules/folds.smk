"""Cross-validation: every stage after stripping once a fold, in folders of its own, and the mean over the folds."""

# Registration, stripping and the template are shared; what a fold's split has a say in is not.
OF_FOLD = (
    "cohort",
    "standardize",
    "zscore",
    "grid",
    "teacher",
    "student",
    "gan",
    "segmenter",
    "own",
    "gaussian",
    "maps",
    "synthetic",
    "probes",
    "copies",
    "figures",
    "evaluation",
    "report",
    "bundle",
)


for number in FOLDS:
    FOLD = f"fold{number}_"

    module:
        name: FOLD
        snakefile:
            "fold.smk"
        config:
            {**config, "split": {**config["split"], "fold": number}}
        replace_prefix:
            {f"results/{stage}/": f"results/folds/{number}/{stage}/" for stage in OF_FOLD}
            | {f"{kind}/": f"{kind}/folds/{number}/" for kind in ("logs", "benchmarks")}

    use rule * from FOLD as FOLD*


rule folds:
    """Mean and SD over the folds of every number, on one page with links to the folds' own reports."""
    input:
        template=PAGES["folds.html.j2"],
        parts=[PAGES[name] for name in ("style.css", "provenance.html.j2")],
        metrics=[f"results/folds/{number}/evaluation/metrics.tsv" for number in FOLDS],
        reports=[f"results/folds/{number}/report/index.html" for number in FOLDS],
    output:
        page=report("results/folds/index.html", category="Report", caption="../report/folds.rst"),
        metrics="results/folds/metrics.tsv",
    log:
        "logs/folds.log",
    localrule: True
    conda:
        "../../envs/imaging.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        code=code("folds"),
        env=environment("imaging"),
    script:
        "../scripts/folds.py"

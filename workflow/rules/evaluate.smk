"""Maps against the truth: each experiment by itself, then all in one table."""


rule evaluate:
    """Measure an experiment's maps and scores on validation and test scans (MNI grid) by the strict protocol (inside the
    template's brain) and the paper's (inside the networks' crop)."""
    input:
        maps=lambda w: PLAN.map_tables(w.experiment, "val", "test"),
        lesion_masks=expand(LESION_MASK, sub=PLAN.masked(EVALUATED)),
        brain_mask=BRAIN_MASK,
        grid="results/grid/grid.json",
    output:
        metrics="results/evaluation/{experiment}/metrics.tsv",
        curves="results/evaluation/{experiment}/curves.tsv",
        scores="results/evaluation/{experiment}/scores.tsv",
        patients="results/evaluation/{experiment}/patients.tsv",
        lesions="results/evaluation/{experiment}/lesions.tsv",
    log:
        "logs/evaluate/{experiment}.log",
    conda:
        "../../envs/imaging.yaml"
    threads: 1
    resources:
        mem_mb=scaled(4000),
        runtime=scaled(60),
    params:
        scans=SCANS.loc[EVALUATED, [*KEYS, "group", "split"]].reset_index().to_dict("records"),
        masked=PLAN.masked(EVALUATED),
        healthy_quantile=lambda w: (
            STUDY.evaluation.healthy_quantile if PLAN.experiments[w.experiment].is_graded else None
        ),
        threshold=lambda w: PLAN.experiments[w.experiment].own_threshold,
        min_lesion_ml=lambda w: STUDY.evaluation.min_lesion_ml if w.experiment in PLAN.in_brain() else None,
        protocols=lambda w: list(PLAN.experiments[w.experiment].protocols),
        code=code("evaluate"),
        env=environment("imaging"),
    script:
        "../scripts/evaluate.py"


rule compare:
    """Gather the tables of all experiments, and test each against the reference by its average precision per patient."""
    input:
        metrics=expand("results/evaluation/{experiment}/metrics.tsv", experiment=PLAN.experiments)
        + expand("results/evaluation/{experiment}/synthetic_metrics.tsv", experiment=PLAN.lesion_experiments())
        + PLAN.probe_tables(),
        scores=expand("results/evaluation/{experiment}/scores.tsv", experiment=PLAN.experiments),
        patients=expand("results/evaluation/{experiment}/patients.tsv", experiment=PLAN.graded_experiments()),
    output:
        metrics="results/evaluation/metrics.tsv",
        scores="results/evaluation/scores.tsv",
        comparisons="results/evaluation/comparisons.tsv",
    log:
        "logs/compare.log",
    localrule: True
    conda:
        "../../envs/imaging.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        reference=STUDY.evaluation.reference or PLAN.graded_experiments()[0],
        code=code("compare"),
        env=environment("imaging"),
    script:
        "../scripts/compare.py"

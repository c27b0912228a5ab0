"""The cohort as the run understands it: who is studied, and in which part."""


rule cohort:
    """Write the checked participants table and its split; the rules themselves read both when the workflow is parsed."""
    output:
        participants="results/cohort/participants.tsv",
        split="results/cohort/split.tsv",
    log:
        "logs/cohort.log",
    localrule: True
    conda:
        "../../envs/imaging.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=5,
    params:
        rows=COHORT.drop(columns="scan_id").to_dict("records"),
        code=code("cohort"),
        env=environment("imaging"),
    script:
        "../scripts/cohort.py"

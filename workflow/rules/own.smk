"""Methods of the user's own: a Python file that learns from healthy training scans, if it learns, and makes maps."""


rule own_fit:
    """Let the file learn from the healthy training scans (MNI grid, or network grid); it is given nothing else."""
    input:
        images=lambda w: PLAN.scans(PLAN.experiments[w.experiment].image(PLAN), split="train", group="healthy"),
        supports=PLAN.scans(SUPPORT, split="train", group="healthy"),
        grid=lambda w: PLAN.maker_files(w.experiment)["grid"],
        module=lambda w: given(PLAN.experiments[w.experiment].module),
    output:
        fitted="results/own/{experiment}/fitted.npz",
    log:
        "logs/own/{experiment}.log",
    benchmark:
        "benchmarks/own/{experiment}.tsv"
    wildcard_constraints:
        experiment=PLAN.experiments_in("own"),
    conda:
        own_conda
    threads: COMPUTE["threads"]
    resources:
        gpu=min(GPUS, 1),
        mem_mb=scaled(16000),
        runtime=24 * 60,  # not scaled: the next attempt may go on from what this one has saved
    params:
        settings=lambda w: PLAN.maker_settings(w.experiment),
        foreign=lambda w: PLAN.experiments[w.experiment].foreign_code(),
        code=code("own_fit"),
        env=own_environment,
    script:
        "../scripts/own_fit.py"


use rule maps_learning as maps_own with:
    wildcard_constraints:
        experiment=PLAN.experiments_in("own"),
    conda:
        own_conda
    params:
        env=own_environment,


use rule copies_learning as copies_own with:
    wildcard_constraints:
        kind=one_of(COPY_IMAGE),
        experiment=PLAN.experiments_in("own", of_copies=True),
    conda:
        own_conda
    params:
        env=own_environment,

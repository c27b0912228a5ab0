"""Anomaly maps of validation and test scans (MNI grid, float32), in batches.

Outputs cannot be listed by a function, so the maps themselves are none: a batch's table, written last, vouches for them
(stfpm3d.maps.tables).
"""


rule maps:
    """Make all anomaly maps that are missing, whether or not something is still to be measured of them."""
    input:
        [table for name in PLAN.experiments for table in PLAN.map_tables(name, "val", "test")],
    localrule: True


rule zscore_statistics:
    """Mean and SD of every voxel over the healthy training scans (MNI grid, standardized intensity)."""
    input:
        images=PLAN.scans("results/standardize/{sub}/image.nii.gz", split="train", group="healthy"),
        supports=PLAN.scans("results/strip/{sub}/mask.nii.gz", split="train", group="healthy"),
    output:
        statistics="results/zscore/statistics.npz",
    log:
        "logs/maps/zscore_statistics.log",
    conda:
        "../../envs/imaging.yaml"
    threads: 1
    resources:
        mem_mb=scaled(4000),
        runtime=scaled(60),
    params:
        code=code("zscore_statistics"),
        env=environment("imaging"),
    script:
        "../scripts/zscore_statistics.py"


rule feature_gaussian:
    """Mean and variance of each position and channel of the features of healthy scans (network grid)."""
    input:
        unpack(lambda w: PLAN.network_files(w.experiment)),
        arrays=lambda w: [
            f"{PLAN.grid_of_experiment(w.experiment)}{sub}.npy" for sub in PLAN.gaussian_scans(w.experiment)
        ],
    output:
        gaussian="results/gaussian/{experiment}.safetensors",
    log:
        "logs/maps/{experiment}_gaussian.log",
    benchmark:
        "benchmarks/maps/{experiment}_gaussian.tsv"
    wildcard_constraints:
        experiment=PLAN.experiments_with_blocks(),
    conda:
        "../../envs/learning.yaml"
    threads: COMPUTE["threads"]
    resources:
        gpu=min(GPUS, 1),
        mem_mb=scaled(16000),
        runtime=scaled(4 * 60),
    params:
        networks=lambda w: PLAN.network_settings(w.experiment),
        code=code("feature_gaussian"),
        env=environment("learning"),
    script:
        "../scripts/feature_gaussian.py"


rule maps_learning:
    """Make the anomaly maps of a batch of scans by networks, with what each block of theirs finds (paper, 3.2)."""
    input:
        unpack(lambda w: maker_files(w.experiment)),
        images=lambda w: list(map(given, PLAN.mapped_images(w.experiment, w.part, w.batch))),
        beside=lambda w: list(map(given, PLAN.beside_images(w.experiment, w.part, w.batch))),
        source=lambda w: PLAN.source_maps(w.experiment, w.part, w.batch),
        supports=lambda w: expand(SUPPORT, sub=PLAN.batches[w.part][w.batch]),
    output:
        table="results/maps/{experiment}/{part}/batch-{batch}.tsv",
    log:
        "logs/maps/{experiment}_{part}_{batch}.log",
    benchmark:
        "benchmarks/maps/{experiment}_{part}_{batch}.tsv"
    wildcard_constraints:
        experiment=PLAN.experiments_in("learning"),
    conda:
        "../../envs/learning.yaml"
    threads: COMPUTE["threads"]
    resources:
        gpu=min(GPUS, 1),
        mem_mb=scaled(16000),
        runtime=scaled(60),
    params:
        subjects=lambda w: PLAN.batches[w.part][w.batch],
        names=lambda w: [PLAN.map_name.replace("{sub}", sub) for sub in PLAN.batches[w.part][w.batch]],
        fitted=lambda w: PLAN.gaussian_scans(w.experiment),
        maker=lambda w: PLAN.experiments[w.experiment].maker,
        settings=lambda w: PLAN.maker_settings(w.experiment),
        content=lambda w: content_of(PLAN.mapped_images(w.experiment, w.part, w.batch)),
        method_code=method_code,
        code=code("maps"),
        env=environment("learning"),
    script:
        "../scripts/maps.py"


use rule maps_learning as maps_imaging with:
    wildcard_constraints:
        experiment=PLAN.experiments_in("imaging"),
    conda:
        "../../envs/imaging.yaml"
    threads: 1
    resources:
        mem_mb=scaled(4000),
        runtime=scaled(30),
    params:
        env=environment("imaging"),

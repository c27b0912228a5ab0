"""Anomaly maps of validation and test scans (MNI grid, float32), one job for each part and experiment."""


rule zscore_statistics:
    """Mean and SD of every voxel over the healthy training scans (MNI grid, standardized intensity)."""
    input:
        images=PLAN.scans("results/standardize/{sub}/image.nii.gz", split="train", group="healthy"),
        supports=PLAN.scans("results/strip/{sub}/mask.nii.gz", split="train", group="healthy"),
    output:
        statistics="results/zscore/statistics.npz",
    log:
        "logs/maps/zscore_statistics.log",
    benchmark:
        "benchmarks/maps/zscore_statistics.tsv"
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
        teacher=lambda w: PLAN.teacher_weights(w.experiment),
        student=lambda w: PLAN.student_weights(w.experiment),
        atlas=lambda w: PLAN.atlas_of(PLAN.teacher_of(w.experiment)),
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
        experiment=PLAN.experiments_by("stfpm", "padim"),
    conda:
        "../../envs/learning.yaml"
    threads: COMPUTE["threads"]
    resources:
        gpu=min(GPUS, 1),
        mem_mb=scaled(16000),
        runtime=scaled(4 * 60),
    params:
        compute=WHERE,
        code=code("feature_gaussian"),
        env=environment("learning"),
    script:
        "../scripts/feature_gaussian.py"


for part in ("val", "test"):

    rule:
        """Distances of features, from a student's or from a Gaussian's, upsampled and combined to one map a scan (paper,
        3.2).
        """
        name:
            f"maps_network_{part}"
        input:
            teacher=lambda w: PLAN.teacher_weights(w.experiment),
            student=lambda w: PLAN.student_weights(w.experiment),
            gaussian=lambda w: PLAN.gaussian_of(w.experiment),
            arrays=lambda w, part=part: PLAN.arrays_of(w.experiment, part),
            supports=PLAN.scans("results/strip/{sub}/mask.nii.gz", split=part),
            atlas=lambda w: PLAN.atlas_of(PLAN.teacher_of(w.experiment)),
            grid=lambda w: f"{PLAN.grid_of_experiment(w.experiment)}grid.json",
            brain_mask=BRAIN_MASK,
        output:
            maps=PLAN.scans(f"results/maps/{{experiment}}/{part}/{PLAN.map_name}", split=part),
            blocks=PLAN.scans(f"results/maps/{{experiment}}/{part}/{{sub}}_blocks.npz", split=part),
            scores=f"results/maps/{{experiment}}/{part}/scores.tsv",
        log:
            f"logs/maps/{{experiment}}_{part}.log",
        benchmark:
            f"benchmarks/maps/{{experiment}}_{part}.tsv"
        wildcard_constraints:
            experiment=PLAN.experiments_by("stfpm", "padim"),
        conda:
            "../../envs/learning.yaml"
        threads: COMPUTE["threads"]
        resources:
            gpu=min(GPUS, 1),
            mem_mb=scaled(16000),
            runtime=scaled(240),
        params:
            subjects=PLAN.select(split=part),
            fitted=lambda w: PLAN.gaussian_scans(w.experiment),
            settings=lambda w: PLAN.map_settings(w.experiment),
            compute=WHERE,
            code=code("maps_network"),
            env=environment("learning"),
        script:
            "../scripts/maps_network.py"

    rule:
        """The residual of a scan and its reconstruction by an f-AnoGAN, with the score of images and features (izi_f)."""
        name:
            f"maps_fanogan_{part}"
        input:
            model=lambda w: PLAN.gan_weights(w.experiment),
            arrays=lambda w, part=part: PLAN.arrays_of(w.experiment, part),
            supports=PLAN.scans("results/strip/{sub}/mask.nii.gz", split=part),
            grid=lambda w: f"{PLAN.grid_of_experiment(w.experiment)}grid.json",
            brain_mask=BRAIN_MASK,
        output:
            maps=PLAN.scans(f"results/maps/{{experiment}}/{part}/{PLAN.map_name}", split=part),
            scores=f"results/maps/{{experiment}}/{part}/scores.tsv",
        log:
            f"logs/maps/{{experiment}}_{part}.log",
        benchmark:
            f"benchmarks/maps/{{experiment}}_{part}.tsv"
        wildcard_constraints:
            experiment=PLAN.experiments_by("fanogan"),
        conda:
            "../../envs/learning.yaml"
        threads: COMPUTE["threads"]
        resources:
            gpu=min(GPUS, 1),
            mem_mb=scaled(16000),
            runtime=scaled(4 * 60),
        params:
            subjects=PLAN.select(split=part),
            kappa=lambda w: PLAN.experiments[w.experiment].kappa,
            compute=WHERE,
            code=code("maps_fanogan"),
            env=environment("learning"),
        script:
            "../scripts/maps_fanogan.py"

    rule:
        """The standardized intensity itself as a map: bright is anomalous in T2w and FLAIR, dark in T1w."""
        name:
            f"maps_intensity_{part}"
        input:
            images=PLAN.scans("results/standardize/{sub}/image.nii.gz", split=part),
            supports=PLAN.scans("results/strip/{sub}/mask.nii.gz", split=part),
            brain_mask=BRAIN_MASK,
        output:
            maps=PLAN.scans(f"results/maps/{{experiment}}/{part}/{PLAN.map_name}", split=part),
            scores=f"results/maps/{{experiment}}/{part}/scores.tsv",
        log:
            f"logs/maps/{{experiment}}_{part}.log",
        benchmark:
            f"benchmarks/maps/{{experiment}}_{part}.tsv"
        wildcard_constraints:
            experiment=PLAN.experiments_by("intensity"),
        conda:
            "../../envs/imaging.yaml"
        threads: 1
        resources:
            mem_mb=scaled(2000),
            runtime=scaled(60),
        params:
            subjects=PLAN.select(split=part),
            lesion_sign=PLAN.lesion_sign,
            code=code("maps_intensity"),
            env=environment("imaging"),
        script:
            "../scripts/maps_intensity.py"

    rule:
        """The absolute z-score of every voxel against the healthy training scans, smoothed."""
        name:
            f"maps_zscore_{part}"
        input:
            images=PLAN.scans("results/standardize/{sub}/image.nii.gz", split=part),
            supports=PLAN.scans("results/strip/{sub}/mask.nii.gz", split=part),
            statistics="results/zscore/statistics.npz",
            brain_mask=BRAIN_MASK,
        output:
            maps=PLAN.scans(f"results/maps/{{experiment}}/{part}/{PLAN.map_name}", split=part),
            scores=f"results/maps/{{experiment}}/{part}/scores.tsv",
        log:
            f"logs/maps/{{experiment}}_{part}.log",
        benchmark:
            f"benchmarks/maps/{{experiment}}_{part}.tsv"
        wildcard_constraints:
            experiment=PLAN.experiments_by("zscore"),
        conda:
            "../../envs/imaging.yaml"
        threads: 1
        resources:
            mem_mb=scaled(4000),
            runtime=scaled(60),
        params:
            subjects=PLAN.select(split=part),
            smoothing_mm=lambda w: PLAN.experiments[w.experiment].smoothing_mm,
            code=code("maps_zscore"),
            env=environment("imaging"),
        script:
            "../scripts/maps_zscore.py"

    rule:
        """The lesions of each map of another experiment, 1 inside and 0 elsewhere; no scores (paper, experiment 4)."""
        name:
            f"maps_segmentation_{part}"
        input:
            sources=lambda w, part=part: PLAN.source_maps(w.experiment, part),
            supports=PLAN.scans("results/strip/{sub}/mask.nii.gz", split=part),
            brain_mask=BRAIN_MASK,
        output:
            maps=PLAN.scans(f"results/maps/{{experiment}}/{part}/{PLAN.map_name}", split=part),
            scores=f"results/maps/{{experiment}}/{part}/scores.tsv",
        log:
            f"logs/maps/{{experiment}}_{part}.log",
        benchmark:
            f"benchmarks/maps/{{experiment}}_{part}.tsv"
        wildcard_constraints:
            experiment=PLAN.experiments_by("segmentation"),
        conda:
            "../../envs/imaging.yaml"
        threads: 1
        resources:
            mem_mb=scaled(4000),
            runtime=scaled(60),
        params:
            subjects=PLAN.select(split=part),
            top_fraction=lambda w: PLAN.top_fraction(w.experiment),
            code=code("maps_segmentation"),
            env=environment("imaging"),
        script:
            "../scripts/maps_segmentation.py"

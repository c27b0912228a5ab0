"""Anomaly maps of validation and test scans (MNI grid, float32), one job for each part and experiment."""


rule zscore_statistics:
    """Mean and SD of every voxel over the healthy training scans (MNI grid, standardized intensity)."""
    input:
        images=scans("results/standardize/{sub}/image.nii.gz", split="train", group="healthy"),
        supports=scans("results/strip/{sub}/mask.nii.gz", split="train", group="healthy"),
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
        mem_mb=4000,
        runtime=60,
    params:
        code=code("zscore_statistics"),
        env=environment("imaging"),
    script:
        "../scripts/zscore_statistics.py"


for part in ("val", "test"):

    rule:
        """Distances of the student's and the teacher's features, upsampled and combined to one map a scan (paper, 3.2)."""
        name:
            f"maps_student_{part}"
        input:
            teacher=lambda w: f"results/teacher/{teacher_of(w.experiment)}/model.safetensors",
            student=lambda w: "results/student/{student}/{weights}.safetensors".format(**student_of(w.experiment)),
            arrays=scans("results/grid/{sub}.npy", split=part),
            supports=scans("results/strip/{sub}/mask.nii.gz", split=part),
            grid="results/grid/grid.json",
            brain_mask="results/template/mask.nii.gz",
        output:
            maps=scans(f"results/maps/{{experiment}}/{part}/{MAP_NAME}", split=part),
            blocks=scans(f"results/maps/{{experiment}}/{part}/{{sub}}_blocks.npz", split=part),
            scores=f"results/maps/{{experiment}}/{part}/scores.tsv",
        log:
            f"logs/maps/{{experiment}}_{part}.log",
        benchmark:
            f"benchmarks/maps/{{experiment}}_{part}.tsv"
        wildcard_constraints:
            experiment=experiments("stfpm"),
        conda:
            "../../envs/learning.yaml"
        threads: COMPUTE["threads"]
        resources:
            gpu=1,
            mem_mb=16000,
            runtime="4h",
        params:
            subjects=select(PARTICIPANTS, split=part),
            combine=lambda w: EXPERIMENTS[w.experiment]["combine"],
            blocks=lambda w: EXPERIMENTS[w.experiment]["blocks"],
            threads=COMPUTE["threads"],
            accelerator=COMPUTE["accelerator"],
            code=code("maps_student"),
            env=environment("learning"),
        script:
            "../scripts/maps_student.py"

    rule:
        """The residual of a scan and its reconstruction by an f-AnoGAN, with the score of images and features (izi_f)."""
        name:
            f"maps_fanogan_{part}"
        input:
            model=lambda w: f"results/gan/{gan_of(w.experiment)}/model.safetensors",
            arrays=lambda w, part=part: scans(f"results/grid/{gan_grid(gan_of(w.experiment))}/{{sub}}.npy", split=part),
            supports=scans("results/strip/{sub}/mask.nii.gz", split=part),
            grid=lambda w: f"results/grid/{gan_grid(gan_of(w.experiment))}/grid.json",
            brain_mask="results/template/mask.nii.gz",
        output:
            maps=scans(f"results/maps/{{experiment}}/{part}/{MAP_NAME}", split=part),
            scores=f"results/maps/{{experiment}}/{part}/scores.tsv",
        log:
            f"logs/maps/{{experiment}}_{part}.log",
        benchmark:
            f"benchmarks/maps/{{experiment}}_{part}.tsv"
        wildcard_constraints:
            experiment=experiments("fanogan"),
        conda:
            "../../envs/learning.yaml"
        threads: COMPUTE["threads"]
        resources:
            gpu=1,
            mem_mb=16000,
            runtime="4h",
        params:
            subjects=select(PARTICIPANTS, split=part),
            kappa=lambda w: EXPERIMENTS[w.experiment]["kappa"],
            threads=COMPUTE["threads"],
            accelerator=COMPUTE["accelerator"],
            code=code("maps_fanogan"),
            env=environment("learning"),
        script:
            "../scripts/maps_fanogan.py"

    rule:
        """The standardized intensity itself as a map: bright is anomalous in T2w and FLAIR, dark in T1w."""
        name:
            f"maps_intensity_{part}"
        input:
            images=scans("results/standardize/{sub}/image.nii.gz", split=part),
            supports=scans("results/strip/{sub}/mask.nii.gz", split=part),
            brain_mask="results/template/mask.nii.gz",
        output:
            maps=scans(f"results/maps/{{experiment}}/{part}/{MAP_NAME}", split=part),
            scores=f"results/maps/{{experiment}}/{part}/scores.tsv",
        log:
            f"logs/maps/{{experiment}}_{part}.log",
        benchmark:
            f"benchmarks/maps/{{experiment}}_{part}.tsv"
        wildcard_constraints:
            experiment=experiments("intensity"),
        conda:
            "../../envs/imaging.yaml"
        threads: 1
        resources:
            mem_mb=2000,
            runtime="1h",
        params:
            subjects=select(PARTICIPANTS, split=part),
            modality=STUDY.cohort.modality,
            code=code("maps_intensity"),
            env=environment("imaging"),
        script:
            "../scripts/maps_intensity.py"

    rule:
        """The absolute z-score of every voxel against the healthy training scans, smoothed."""
        name:
            f"maps_zscore_{part}"
        input:
            images=scans("results/standardize/{sub}/image.nii.gz", split=part),
            supports=scans("results/strip/{sub}/mask.nii.gz", split=part),
            statistics="results/zscore/statistics.npz",
            brain_mask="results/template/mask.nii.gz",
        output:
            maps=scans(f"results/maps/{{experiment}}/{part}/{MAP_NAME}", split=part),
            scores=f"results/maps/{{experiment}}/{part}/scores.tsv",
        log:
            f"logs/maps/{{experiment}}_{part}.log",
        benchmark:
            f"benchmarks/maps/{{experiment}}_{part}.tsv"
        wildcard_constraints:
            experiment=experiments("zscore"),
        conda:
            "../../envs/imaging.yaml"
        threads: 1
        resources:
            mem_mb=4000,
            runtime="1h",
        params:
            subjects=select(PARTICIPANTS, split=part),
            smoothing_mm=lambda w: EXPERIMENTS[w.experiment]["smoothing_mm"],
            code=code("maps_zscore"),
            env=environment("imaging"),
        script:
            "../scripts/maps_zscore.py"

"""Maps of altered copies of scans, measured: those with a synthetic lesion, and those that lost a lesion."""

COPIES = {"synthetic": ("synthetic", LESION_TABLE, LESION_FILES), "removed": ("probes", REMOVED_TABLE, REMOVED_FILES)}

for what, (folder, copies, files) in COPIES.items():

    rule:
        """Make the networks' maps of the copies, and measure them (MNI grid)."""
        name:
            f"{what}_network"
        input:
            **files,
            teacher=lambda w: teacher_weights(w.experiment),
            student=lambda w: student_weights(w.experiment),
            gaussian=lambda w: gaussian_of(w.experiment),
            atlas=lambda w: atlas_of(teacher_of(w.experiment)),
            grid=lambda w: f"{grid_of(teacher_of(w.experiment))}grid.json",
            brain_mask="results/template/mask.nii.gz",
        output:
            table=f"results/{folder}/{{experiment}}.tsv",
        log:
            f"logs/{folder}/{{experiment}}.log",
        benchmark:
            f"benchmarks/{folder}/{{experiment}}.tsv"
        wildcard_constraints:
            experiment=experiments("stfpm", "padim"),
        conda:
            "../../envs/learning.yaml"
        threads: COMPUTE["threads"]
        resources:
            gpu=min(GPUS, 1),
            mem_mb=scaled(16000),
            runtime=scaled(240),
        params:
            copies=copies,
            what=what,
            settings=lambda w: map_settings(w.experiment),
            compute=WHERE,
            code=code("copies_network"),
            env=environment("learning"),
        script:
            "../scripts/copies_network.py"

    rule:
        """Make an f-AnoGAN's maps of the copies, and measure them (MNI grid)."""
        name:
            f"{what}_fanogan"
        input:
            **files,
            model=lambda w: f"results/gan/{EXPERIMENTS[w.experiment]['gan']}/model.safetensors",
            grid=lambda w: f"{grid_of_experiment(w.experiment)}grid.json",
            brain_mask="results/template/mask.nii.gz",
        output:
            table=f"results/{folder}/{{experiment}}.tsv",
        log:
            f"logs/{folder}/{{experiment}}.log",
        benchmark:
            f"benchmarks/{folder}/{{experiment}}.tsv"
        wildcard_constraints:
            experiment=experiments("fanogan"),
        conda:
            "../../envs/learning.yaml"
        threads: COMPUTE["threads"]
        resources:
            gpu=min(GPUS, 1),
            mem_mb=scaled(16000),
            runtime=scaled(240),
        params:
            copies=copies,
            what=what,
            kappa=lambda w: EXPERIMENTS[w.experiment]["kappa"],
            compute=WHERE,
            code=code("copies_fanogan"),
            env=environment("learning"),
        script:
            "../scripts/copies_fanogan.py"

    rule:
        """Make the maps of raw intensity or z-scores of the copies, and measure them (MNI grid)."""
        name:
            f"{what}_baseline"
        input:
            **files,
            statistics=lambda w: (
                "results/zscore/statistics.npz" if EXPERIMENTS[w.experiment]["method"] == "zscore" else []
            ),
            brain_mask="results/template/mask.nii.gz",
        output:
            table=f"results/{folder}/{{experiment}}.tsv",
        log:
            f"logs/{folder}/{{experiment}}.log",
        benchmark:
            f"benchmarks/{folder}/{{experiment}}.tsv"
        wildcard_constraints:
            experiment=experiments("intensity", "zscore"),
        conda:
            "../../envs/imaging.yaml"
        threads: 1
        resources:
            mem_mb=scaled(4000),
            runtime=scaled(60),
        params:
            copies=copies,
            what=what,
            modality=STUDY.cohort.modality,
            smoothing_mm=lambda w: EXPERIMENTS[w.experiment].get("smoothing_mm"),
            code=code("copies_baseline"),
            env=environment("imaging"),
        script:
            "../scripts/copies_baseline.py"

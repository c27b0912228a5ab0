"""Maps of altered copies of scans, measured: those with a synthetic lesion, and those that lost a lesion."""

COPIES = {"synthetic": ("synthetic", LESION_TABLE, LESION_FILES), "removed": ("probes", REMOVED_TABLE, REMOVED_FILES)}

for what, (folder, copies, files) in COPIES.items():

    rule:
        """Make the networks' maps of the copies, and measure them (MNI grid)."""
        name:
            f"{what}_network"
        input:
            **files,
            teacher=lambda w: PLAN.teacher_weights(w.experiment),
            student=lambda w: PLAN.student_weights(w.experiment),
            gaussian=lambda w: PLAN.gaussian_of(w.experiment),
            atlas=lambda w: PLAN.atlas_of(PLAN.teacher_of(w.experiment)),
            grid=lambda w: f"{PLAN.grid_of(PLAN.teacher_of(w.experiment))}grid.json",
            brain_mask=BRAIN_MASK,
        output:
            table=f"results/{folder}/{{experiment}}.tsv",
        log:
            f"logs/{folder}/{{experiment}}.log",
        benchmark:
            f"benchmarks/{folder}/{{experiment}}.tsv"
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
            copies=copies,
            what=what,
            settings=lambda w: PLAN.map_settings(w.experiment),
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
            model=lambda w: PLAN.gan_weights(w.experiment),
            grid=lambda w: f"{PLAN.grid_of_experiment(w.experiment)}grid.json",
            brain_mask=BRAIN_MASK,
        output:
            table=f"results/{folder}/{{experiment}}.tsv",
        log:
            f"logs/{folder}/{{experiment}}.log",
        benchmark:
            f"benchmarks/{folder}/{{experiment}}.tsv"
        wildcard_constraints:
            experiment=PLAN.experiments_by("fanogan"),
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
            kappa=lambda w: PLAN.experiments[w.experiment].kappa,
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
                "results/zscore/statistics.npz" if PLAN.experiments[w.experiment].method == "zscore" else []
            ),
            brain_mask=BRAIN_MASK,
        output:
            table=f"results/{folder}/{{experiment}}.tsv",
        log:
            f"logs/{folder}/{{experiment}}.log",
        benchmark:
            f"benchmarks/{folder}/{{experiment}}.tsv"
        wildcard_constraints:
            experiment=PLAN.experiments_by("intensity", "zscore"),
        conda:
            "../../envs/imaging.yaml"
        threads: 1
        resources:
            mem_mb=scaled(4000),
            runtime=scaled(60),
        params:
            copies=copies,
            what=what,
            lesion_sign=PLAN.lesion_sign,
            smoothing_mm=lambda w: getattr(PLAN.experiments[w.experiment], "smoothing_mm", None),
            code=code("copies_baseline"),
            env=environment("imaging"),
        script:
            "../scripts/copies_baseline.py"

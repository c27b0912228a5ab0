"""Synthetic lesions in copies of healthy test scans, each beside the same scan without one: detection without patients."""

SYNTHETIC = STUDY.evaluation.synthetic
LESIONED = select(PARTICIPANTS, split="test", group="healthy") if SYNTHETIC.per_scan else []
LESIONS = [(sub, number) for sub in LESIONED for number in range(SYNTHETIC.per_scan)]
LESION_TABLE = [
    {**row, "lesion": number}
    for row in SCANS.loc[LESIONED, KEYS].reset_index().to_dict("records")
    for number in range(SYNTHETIC.per_scan)
]
# What all rules that measure lesions read: a file a lesion.
LESION_FILES = {
    "images": [f"results/synthetic/{sub}/lesion-{number}_image.nii.gz" for sub, number in LESIONS],
    "masks": [f"results/synthetic/{sub}/lesion-{number}_mask.nii.gz" for sub, number in LESIONS],
    "supports": [f"results/strip/{sub}/mask.nii.gz" for sub, _ in LESIONS],
    "controls": [f"results/maps/{{experiment}}/test/{MAP_NAME}".replace("{sub}", sub) for sub, _ in LESIONS],
}


rule synthetic_lesions:
    """Insert lesions into copies of a healthy test scan, one each (MNI grid, standardized intensity)."""
    input:
        image="results/standardize/{sub}/image.nii.gz",
        support="results/strip/{sub}/mask.nii.gz",
        given=lambda w: chosen_masks(w.sub),
    output:
        images=[f"results/synthetic/{{sub}}/lesion-{n}_image.nii.gz" for n in range(SYNTHETIC.per_scan)],
        masks=[f"results/synthetic/{{sub}}/lesion-{n}_mask.nii.gz" for n in range(SYNTHETIC.per_scan)],
    log:
        "logs/synthetic/{sub}.log",
    benchmark:
        "benchmarks/synthetic/{sub}.tsv"
    conda:
        "../../envs/imaging.yaml"
    threads: 1
    resources:
        mem_mb=scaled(2000),
        runtime=scaled(30),
    params:
        sign=LESION_SIGN[STUDY.cohort.modality],
        seed=SYNTHETIC.seed,
        code=code("synthetic_lesions"),
        env=environment("imaging"),
    script:
        "../scripts/synthetic_lesions.py"


rule synthetic_network:
    """Make the networks' maps of the scans with lesions, and measure them against those of the scans without (MNI grid)."""
    input:
        **LESION_FILES,
        teacher=lambda w: teacher_weights(w.experiment),
        student=lambda w: student_weights(w.experiment),
        gaussian=lambda w: gaussian_of(w.experiment),
        atlas=lambda w: atlas_of(teacher_of(w.experiment)),
        grid=lambda w: f"{grid_of(teacher_of(w.experiment))}grid.json",
        scores="results/maps/{experiment}/test/scores.tsv",
        brain_mask="results/template/mask.nii.gz",
    output:
        lesions="results/synthetic/{experiment}.tsv",
    log:
        "logs/synthetic/{experiment}.log",
    benchmark:
        "benchmarks/synthetic/{experiment}.tsv"
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
        lesions=LESION_TABLE,
        settings=lambda w: map_settings(w.experiment),
        compute=WHERE,
        code=code("synthetic_network"),
        env=environment("learning"),
    script:
        "../scripts/synthetic_network.py"


rule synthetic_fanogan:
    """Make an f-AnoGAN's maps of the scans with lesions, and measure them likewise (MNI grid)."""
    input:
        **LESION_FILES,
        model=lambda w: f"results/gan/{EXPERIMENTS[w.experiment]['gan']}/model.safetensors",
        grid=lambda w: f"{grid_of_experiment(w.experiment)}grid.json",
        scores="results/maps/{experiment}/test/scores.tsv",
        brain_mask="results/template/mask.nii.gz",
    output:
        lesions="results/synthetic/{experiment}.tsv",
    log:
        "logs/synthetic/{experiment}.log",
    benchmark:
        "benchmarks/synthetic/{experiment}.tsv"
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
        lesions=LESION_TABLE,
        kappa=lambda w: EXPERIMENTS[w.experiment]["kappa"],
        compute=WHERE,
        code=code("synthetic_fanogan"),
        env=environment("learning"),
    script:
        "../scripts/synthetic_fanogan.py"


rule synthetic_baseline:
    """Make the maps of raw intensity or z-scores of the scans with lesions, and measure them likewise (MNI grid)."""
    input:
        **LESION_FILES,
        statistics=lambda w: "results/zscore/statistics.npz" if EXPERIMENTS[w.experiment]["method"] == "zscore" else [],
        scores="results/maps/{experiment}/test/scores.tsv",
        brain_mask="results/template/mask.nii.gz",
    output:
        lesions="results/synthetic/{experiment}.tsv",
    log:
        "logs/synthetic/{experiment}.log",
    benchmark:
        "benchmarks/synthetic/{experiment}.tsv"
    wildcard_constraints:
        experiment=experiments("intensity", "zscore"),
    conda:
        "../../envs/imaging.yaml"
    threads: 1
    resources:
        mem_mb=scaled(4000),
        runtime=scaled(60),
    params:
        lesions=LESION_TABLE,
        modality=STUDY.cohort.modality,
        smoothing_mm=lambda w: EXPERIMENTS[w.experiment].get("smoothing_mm"),
        code=code("synthetic_baseline"),
        env=environment("imaging"),
    script:
        "../scripts/synthetic_baseline.py"


rule evaluate_synthetic:
    """Tell which synthetic lesions an experiment detects at its threshold of Dice, and how often, by size."""
    input:
        lesions="results/synthetic/{experiment}.tsv",
        metrics="results/evaluation/{experiment}/metrics.tsv",
    output:
        lesions="results/evaluation/{experiment}/synthetic.tsv",
        metrics="results/evaluation/{experiment}/synthetic_metrics.tsv",
    log:
        "logs/evaluate/{experiment}_synthetic.log",
    benchmark:
        "benchmarks/evaluate/{experiment}_synthetic.tsv"
    conda:
        "../../envs/imaging.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        code=code("evaluate_synthetic"),
        env=environment("imaging"),
    script:
        "../scripts/evaluate_synthetic.py"

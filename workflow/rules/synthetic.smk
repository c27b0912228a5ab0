"""Synthetic lesions in copies of healthy test scans, each beside the same scan without one: detection without patients."""

SYNTHETIC = STUDY.evaluation.synthetic
LESIONS = [  # a row a lesion, each in a copy of its own
    {**row, "lesion": number}
    for row in SCANS.loc[PLAN.select(split="test", group="healthy"), KEYS].reset_index().to_dict("records")
    for number in range(SYNTHETIC.per_scan)
]


rule synthetic_lesions:
    """Insert lesions into copies of a healthy test scan, one each (MNI grid, standardized intensity)."""
    input:
        image=STANDARDIZED,
        support=SUPPORT,
        given=lambda w: [given(mask) for mask in PLAN.chosen_masks(w.sub)],
    output:
        images=[f"results/synthetic/{{sub}}/lesion-{n}_image.nii.gz" for n in range(SYNTHETIC.per_scan)],
        masks=[f"results/synthetic/{{sub}}/lesion-{n}_mask.nii.gz" for n in range(SYNTHETIC.per_scan)],
    log:
        "logs/synthetic_lesions/{sub}.log",
    conda:
        "../../envs/imaging.yaml"
    threads: 1
    resources:
        mem_mb=scaled(2000),
        runtime=scaled(5),
    params:
        sign=PLAN.lesion_sign,
        seed=SYNTHETIC.seed,
        content=lambda w: content_of(PLAN.chosen_masks(w.sub)),
        code=code("synthetic_lesions"),
        env=environment("imaging"),
    script:
        "../scripts/synthetic_lesions.py"


rule evaluate_synthetic:
    """Tell which synthetic lesions an experiment detects at its threshold of Dice, and how often, by size."""
    input:
        lesions=lambda w: copy_tables("synthetic", w.experiment),
        metrics="results/evaluation/{experiment}/metrics.tsv",
    output:
        lesions="results/evaluation/{experiment}/synthetic.tsv",
        metrics="results/evaluation/{experiment}/synthetic_metrics.tsv",
    log:
        "logs/evaluate_synthetic/{experiment}.log",
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

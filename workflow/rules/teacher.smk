"""The teacher: patch learning on healthy and diseased scans (paper, 3.1)."""


rule teacher:
    """Train a teacher by triplets of patches (network grid), or keep its initial weights if its epochs are 0."""
    input:
        train=lambda w: [f"{grid_of(w.teacher)}{scan}.npy" for scan in seen_by_teacher(w.teacher, "train")],
        val=lambda w: [f"{grid_of(w.teacher)}{scan}.npy" for scan in seen_by_teacher(w.teacher, "val")],
        brain_mask=lambda w: f"{grid_of(w.teacher)}mask.npy",
        weights=lambda w: initial_weights(w.teacher),
    output:
        model="results/teacher/{teacher}/model.safetensors",
        epochs="results/teacher/{teacher}/epochs.tsv",
    log:
        "logs/teacher/{teacher}.log",
    benchmark:
        "benchmarks/teacher/{teacher}.tsv"
    conda:
        "../../envs/learning.yaml"
    threads: COMPUTE["threads"]
    resources:
        gpu=GPUS,
        mem_mb=scaled(16000),
        runtime=24 * 60,  # not scaled: the next attempt goes on from the last checkpoint
    params:
        settings=lambda w: settings(TEACHERS[w.teacher], "weights", "balance", "input_scale"),
        train_subjects=lambda w: [SCANS.participant_id[scan] for scan in seen_by_teacher(w.teacher, "train")],
        val_subjects=lambda w: [SCANS.participant_id[scan] for scan in seen_by_teacher(w.teacher, "val")],
        compute=COMPUTE,
        code=code("teacher"),
        env=environment("learning"),
    script:
        "../scripts/teacher.py"

"""The teacher: patch learning on healthy and diseased scans (paper, 3.1)."""


rule atlas:
    """Bring a teacher's atlas to the network's grid (float32 in [0, 1]): the second input channel of its networks."""
    input:
        grid=lambda w: f"{PLAN.grid_of(w.teacher)}grid.json",
        atlas=lambda w: given(PLAN.atlas_file(w.teacher)),
    output:
        channel="results/teacher/{teacher}/atlas.npy",
    log:
        "logs/atlas/{teacher}.log",
    conda:
        "../../envs/imaging.yaml"
    threads: 1
    resources:
        mem_mb=scaled(2000),
        runtime=scaled(10),
    params:
        content=lambda w: content_of(PLAN.atlas_file(w.teacher)),
        code=code("atlas"),
        env=environment("imaging"),
    script:
        "../scripts/atlas.py"


rule teacher:
    """Train a teacher by triplets of patches (network grid), or keep its initial weights if its epochs are 0."""
    input:
        train=lambda w: [f"{PLAN.grid_of(w.teacher)}{scan}.npy" for scan in PLAN.seen_by_teacher(w.teacher, "train")],
        val=lambda w: [f"{PLAN.grid_of(w.teacher)}{scan}.npy" for scan in PLAN.seen_by_teacher(w.teacher, "val")],
        brain_mask=lambda w: f"{PLAN.grid_of(w.teacher)}mask.npy",
        weights=lambda w: given(PLAN.initial_weights(w.teacher)),
        atlas=lambda w: PLAN.atlas_of(w.teacher),
    output:
        model="results/teacher/{teacher}/model.safetensors",
        epochs="results/teacher/{teacher}/epochs.tsv",
    log:
        "logs/teacher/{teacher}.log",
    benchmark:
        "benchmarks/teacher/{teacher}.tsv"
    conda:
        "../../envs/learning.yaml"
    threads: TRAINING_THREADS
    resources:
        gpu=GPUS,
        nodes=1,
        mem_mb=scaled(16000),
        runtime=24 * 60,  # not scaled: the next attempt goes on from the last checkpoint
    params:
        settings=lambda w: settings(PLAN.teachers[w.teacher], "weights", "balance", "atlas", "input_scale"),
        train_subjects=lambda w: [SCANS.participant_id[scan] for scan in PLAN.seen_by_teacher(w.teacher, "train")],
        val_subjects=lambda w: [SCANS.participant_id[scan] for scan in PLAN.seen_by_teacher(w.teacher, "val")],
        compute=COMPUTE,
        content=lambda w: content_of(PLAN.initial_weights(w.teacher)),
        code=code("teacher"),
        env=environment("learning"),
    script:
        "../scripts/teacher.py"

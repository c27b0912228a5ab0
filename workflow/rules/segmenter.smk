"""The segmenter: a network that learns from healthy scans alone to see synthetic lesions."""


rule segmenter:
    """Train a segmenter on synthetic lesions in healthy training scans (its own grid); such lesions in healthy validation
    scans, in acquisitions that it has not seen, choose its epoch."""
    input:
        train=lambda w: PLAN.scans(f"{PLAN.grid_of_segmenter(w.segmenter)}{{sub}}.npy", split="train", group="healthy"),
        train_supports=PLAN.scans(SUPPORT, split="train", group="healthy"),
        val=lambda w: PLAN.scans(f"{PLAN.grid_of_segmenter(w.segmenter)}{{sub}}.npy", split="val", group="healthy"),
        val_supports=PLAN.scans(SUPPORT, split="val", group="healthy"),
        brain_mask=lambda w: f"{PLAN.grid_of_segmenter(w.segmenter)}mask.npy",
        grid=lambda w: f"{PLAN.grid_of_segmenter(w.segmenter)}grid.json",
        landmarks="results/standardize/landmarks.tsv",
        weights=lambda w: given(PLAN.start_of_segmenter(w.segmenter)),
    output:
        model="results/segmenter/{segmenter}/model.safetensors",
        epochs="results/segmenter/{segmenter}/epochs.tsv",
    log:
        "logs/segmenter/{segmenter}.log",
    benchmark:
        "benchmarks/segmenter/{segmenter}.tsv"
    conda:
        "../../envs/learning.yaml"
    threads: TRAINING_THREADS
    resources:
        gpu=GPUS,
        nodes=1,
        mem_mb=scaled(8000),
        runtime=24 * 60,  # not scaled: the next attempt goes on from the last checkpoint
    params:
        settings=lambda w: PLAN.segmenter_settings(w.segmenter),
        compute=COMPUTE,
        content=lambda w: content_of(PLAN.start_of_segmenter(w.segmenter)),
        code=code("segmenter"),
        env=environment("learning"),
    script:
        "../scripts/segmenter.py"

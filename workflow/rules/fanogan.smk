"""The baseline f-AnoGAN in 3D: a GAN and its encoder learn what healthy scans look like (paper, section 4)."""


rule fanogan:
    """Train a GAN on healthy training scans (network grid of the GAN's own size), then its encoder."""
    input:
        train=lambda w: PLAN.scans(f"{PLAN.grid_of_gan(w.gan)}{{sub}}.npy", split="train", group="healthy"),
        val=lambda w: PLAN.scans(f"{PLAN.grid_of_gan(w.gan)}{{sub}}.npy", split="val", group="healthy"),
    output:
        model="results/gan/{gan}/model.safetensors",
        gan_epochs="results/gan/{gan}/gan_epochs.tsv",
        epochs="results/gan/{gan}/epochs.tsv",
    log:
        "logs/gan/{gan}.log",
    benchmark:
        "benchmarks/gan/{gan}.tsv"
    conda:
        "../../envs/learning.yaml"
    threads: TRAINING_THREADS
    resources:
        gpu=GPUS,
        nodes=1,
        mem_mb=scaled(16000),
        runtime=24 * 60,  # not scaled: the next attempt goes on from the last checkpoint
    params:
        settings=lambda w: settings(PLAN.gans[w.gan]),
        compute=COMPUTE,
        code=code("fanogan"),
        env=environment("learning"),
    script:
        "../scripts/fanogan.py"

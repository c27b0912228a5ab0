"""ImageNet weights that teachers start from."""


rule imagenet_weights:
    """Fetch torchvision's ImageNet weights of a network (IMAGENET1K_V1), checked by the sha256 in their file's name."""
    output:
        weights="results/weights/{architecture}.pth",
    log:
        "logs/weights/{architecture}.log",
    retries: 3
    localrule: True
    conda:
        "../../envs/learning.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=30,
    params:
        code=code("imagenet_weights"),
        env=environment("learning"),
    script:
        "../scripts/imagenet_weights.py"

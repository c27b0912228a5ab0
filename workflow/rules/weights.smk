"""ImageNet weights that teachers start from: those of the clone, or torchvision's where it holds none."""


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


rule clone_weights:
    """Take the ImageNet weights of the ResNet-18's pyramid that come with the clone, checked by their sha256."""
    input:
        weights=ancient(os.path.relpath(ROOT / "models" / "imagenet" / "resnet18-pyramid.safetensors")),
    output:
        weights="results/weights/resnet18-pyramid.safetensors",
    log:
        "logs/clone_weights.log",
    localrule: True
    conda:
        "../../envs/imaging.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=10,
    params:
        code=code("clone_weights"),
        env=environment("imaging"),
    script:
        "../scripts/clone_weights.py"

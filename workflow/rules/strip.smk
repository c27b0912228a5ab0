"""Skull stripping with the template's brain mask."""


rule strip:
    """Keep a registered scan's brain: the template's mask where the scan has signal (MNI grid)."""
    input:
        image="results/register/{sub}/image.nii.gz",
        brain_mask=BRAIN_MASK,
    output:
        image=ensure("results/strip/{sub}/image.nii.gz", non_empty=True),
        mask=ensure(SUPPORT, non_empty=True),
    log:
        "logs/strip/{sub}.log",
    conda:
        "../../envs/imaging.yaml"
    threads: 1
    resources:
        mem_mb=scaled(2000),
        runtime=scaled(3),
    params:
        code=code("strip"),
        env=environment("imaging"),
    script:
        "../scripts/strip.py"

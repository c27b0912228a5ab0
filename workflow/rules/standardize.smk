"""Intensity standardization: Nyúl landmarks from training scans, then z-normalization of every scan."""

LANDMARK_GROUP = None if STUDY.standardization.landmarks_from == "all" else "healthy"


rule landmarks:
    """Fit the Nyúl landmarks inside the brain, on training scans only (MNI grid)."""
    input:
        images=PLAN.scans("results/strip/{sub}/image.nii.gz", split="train", group=LANDMARK_GROUP),
        masks=PLAN.scans(SUPPORT, split="train", group=LANDMARK_GROUP),
    output:
        landmarks="results/standardize/landmarks.tsv",
    log:
        "logs/landmarks.log",
    conda:
        "../../envs/learning.yaml"
    threads: 1
    resources:
        mem_mb=scaled(4000),
        runtime=scaled(60),
    params:
        code=code("landmarks"),
        env=environment("learning"),
    script:
        "../scripts/landmarks.py"


rule standardize:
    """Map a scan to the landmarks and z-normalize it over its brain voxels (MNI grid, unit: SDs of the brain)."""
    input:
        image="results/strip/{sub}/image.nii.gz",
        mask=SUPPORT,
        landmarks="results/standardize/landmarks.tsv",
    output:
        image=ensure(STANDARDIZED, non_empty=True),
    log:
        "logs/standardize/{sub}.log",
    conda:
        "../../envs/imaging.yaml"
    threads: 1
    resources:
        mem_mb=scaled(2000),
        runtime=scaled(3),
    params:
        code=code("standardize"),
        env=environment("imaging"),
    script:
        "../scripts/standardize.py"

"""Scans to MNI space by affine registration."""


rule register:
    """Estimate the affine transform of a scan to the template and resample the scan once, linearly, to the MNI grid.

    A whole head is registered to the template's head, a skull-stripped scan to its brain.
    """
    input:
        image=lambda w: SCANS.image[w.sub],
        template=lambda w: f"results/template/{'brain' if SCANS.skull_stripped[w.sub] else 'head'}.nii.gz",
    output:
        image=ensure("results/register/{sub}/image.nii.gz", non_empty=True),
        to_mni="results/register/{sub}/to_mni.mat",
    log:
        "logs/register/{sub}.log",
    benchmark:
        "benchmarks/register/{sub}.tsv"
    conda:
        "../../envs/imaging.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        seed=STUDY.registration.seed,
        skull_stripped=lambda w: bool(SCANS.skull_stripped[w.sub]),
        code=code("register"),
        env=environment("imaging"),
    script:
        "../scripts/register.py"


rule register_lesion:
    """Bring a patient's lesion mask to the MNI grid with the scan's transform, nearest neighbour."""
    input:
        image=lambda w: SCANS.image[w.sub],
        lesion_mask=lambda w: SCANS.lesion_mask[w.sub],
        to_mni="results/register/{sub}/to_mni.mat",
        template="results/template/mask.nii.gz",
    output:
        lesion_mask=ensure("results/register/{sub}/lesion_mask.nii.gz", non_empty=True),
    log:
        "logs/register_lesion/{sub}.log",
    benchmark:
        "benchmarks/register_lesion/{sub}.tsv"
    conda:
        "../../envs/imaging.yaml"
    threads: 1
    resources:
        mem_mb=2000,
        runtime=10,
    params:
        code=code("register_lesion"),
        env=environment("imaging"),
    script:
        "../scripts/register_lesion.py"

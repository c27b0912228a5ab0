"""Scans to MNI space: registration, and a look at how well it went."""

TRANSFORM = PLAN.transform


rule register:
    """Estimate the transform of a scan to the template and resample its image once, linearly, to the MNI grid.

    The image is the scan, or its bias-corrected copy; the transform is always estimated on the scan itself.

    A whole head is registered to the template's head, a skull-stripped scan to its brain. SyN's matrix has two warps
    beside it (from and to MNI space); the other transforms are the matrix alone, which is the identity for `none`.
    `placement.json` tells where the transform puts the scan; one beyond the limits of `imaging.placement` is no result.
    """
    input:
        image=lambda w: given(PLAN.native_image(w.sub)),
        scan=lambda w: given(SCANS.image[w.sub]),
        template=lambda w: PLAN.registration_target(w.sub),
        brain_mask=BRAIN_MASK,
    output:
        image=ensure("results/register/{sub}/image.nii.gz", non_empty=True),
        transform=TRANSFORM,
        placement="results/register/{sub}/placement.json",
    log:
        "logs/register/{sub}.log",
    benchmark:
        "benchmarks/register/{sub}.tsv"
    conda:
        "../../envs/imaging.yaml"
    threads: 1
    resources:
        mem_mb=scaled(4000),
        runtime=scaled(10),
    params:
        transform=STUDY.registration.transform,
        seed=STUDY.registration.seed,
        skull_stripped=lambda w: bool(SCANS.skull_stripped[w.sub]),
        content=lambda w: content_of(SCANS.image[w.sub]),
        code=code("register"),
        env=environment("imaging"),
    script:
        "../scripts/register.py"


rule register_lesion:
    """Bring a patient's lesion mask to the MNI grid with the scan's transform, nearest neighbour."""
    input:
        image=lambda w: given(SCANS.image[w.sub]),
        lesion_mask=lambda w: given(SCANS.lesion_mask[w.sub]),
        transform=TRANSFORM,
        template=BRAIN_MASK,
    output:
        lesion_mask=ensure(LESION_MASK, non_empty=True),
    log:
        "logs/register_lesion/{sub}.log",
    conda:
        "../../envs/imaging.yaml"
    threads: 1
    resources:
        mem_mb=scaled(2000),
        runtime=scaled(3),
    params:
        content=lambda w: content_of(SCANS.image[w.sub], SCANS.lesion_mask[w.sub]),
        code=code("register_lesion"),
        env=environment("imaging"),
    script:
        "../scripts/register_lesion.py"


rule register_qc:
    """Measure how well every scan lies on the template, draw it, and list the scans that stand out first (MNI grid)."""
    input:
        page_template=PAGES["quality.html.j2"],
        parts=[PAGES[name] for name in ("style.css", "provenance.html.j2")],
        images=PLAN.scans("results/register/{sub}/image.nii.gz"),
        placements=PLAN.scans("results/register/{sub}/placement.json"),
        head="results/template/head.nii.gz",
        brain="results/template/brain.nii.gz",
        brain_mask=BRAIN_MASK,
    output:
        page=report("results/qc/index.html", category="Quality control", caption="../report/quality.rst"),
        table="results/qc/registration.tsv",
        pictures=directory("results/qc/pictures"),  # one output: all inputs are noted, and hashed, for each
    log:
        "logs/register_qc.log",
    conda:
        "../../envs/imaging.yaml"
    threads: 1
    resources:
        mem_mb=scaled(2000),
        runtime=scaled(60),
    params:
        scans=PARTICIPANTS[["scan_id", "group", "site", "skull_stripped"]].to_dict("records"),
        space=STUDY.template.space,
        report=PAGE,
        code=code("register_qc"),
        env=environment("imaging"),
    script:
        "../scripts/register_qc.py"

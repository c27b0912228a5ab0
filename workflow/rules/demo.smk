"""The demo cohort: synthetic T2-weighted heads, rendered from the MNI template's tissue maps."""

# Whole heads are rendered on the template's own grid where it is coarser; tumours have native grids, made from 2 mm.
DEMO_RESOLUTION_MM = 2 if STUDY.demo.scenario == "tumours" else max(2.0, STUDY.template.resolution_mm)


rule demo_anatomy:
    """Bring the template's head and tissue probabilities to the grid that the demo is rendered on (MNI space)."""
    input:
        head="results/template/head_1mm.nii.gz",
    output:
        head="results/demo/anatomy/head.nii.gz",
        gm="results/demo/anatomy/gm.nii.gz",
        wm="results/demo/anatomy/wm.nii.gz",
        csf="results/demo/anatomy/csf.nii.gz",
    log:
        "logs/demo/anatomy.log",
    conda:
        "../../envs/imaging.yaml"
    threads: 1
    resources:
        mem_mb=scaled(2000),
        runtime=scaled(10),
    params:
        resolution_mm=DEMO_RESOLUTION_MM,
        code=code("demo_anatomy"),
        env=environment("imaging"),
    script:
        "../scripts/demo_anatomy.py"


rule demo_healthy:
    """Render a healthy whole head, on the native grid of its site or, in `shortcut` and `matched`, on the MNI grid."""
    input:
        head="results/demo/anatomy/head.nii.gz",
        gm="results/demo/anatomy/gm.nii.gz",
        wm="results/demo/anatomy/wm.nii.gz",
        csf="results/demo/anatomy/csf.nii.gz",
    output:
        image="results/demo/{sub}_T2w.nii.gz",
    log:
        "logs/demo/{sub}.log",
    wildcard_constraints:
        sub="sub-demoH[0-9]+",
    conda:
        "../../envs/imaging.yaml"
    threads: 1
    resources:
        mem_mb=scaled(2000),
        runtime=scaled(3),
    params:
        group=lambda w: SCANS.group[w.sub],
        site=lambda w: SCANS.site[w.sub],
        seed=STUDY.demo.seed,
        scenario=STUDY.demo.scenario,
        code=code("demo_subject"),
        env=environment("imaging"),
    script:
        "../scripts/demo_subject.py"


use rule demo_healthy as demo_patient with:
    output:
        image="results/demo/{sub}_T2w.nii.gz",
        lesion_mask="results/demo/{sub}_label-lesion_mask.nii.gz",
    wildcard_constraints:
        sub="sub-demoP[0-9]+",

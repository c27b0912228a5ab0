"""Bias field correction of the native scan, where the config asks for it."""


rule bias_correction:
    """Divide a scan by the bias field that N4 estimates inside the head (native grid)."""
    input:
        image=lambda w: given(SCANS.image[w.sub]),
    output:
        image=ensure("results/bias_correction/{sub}/image.nii.gz", non_empty=True),
    log:
        "logs/bias_correction/{sub}.log",
    benchmark:
        "benchmarks/bias_correction/{sub}.tsv"
    conda:
        "../../envs/imaging.yaml"
    threads: 1
    resources:
        mem_mb=scaled(4000),
        runtime=scaled(10),
    params:
        content=lambda w: content_of(SCANS.image[w.sub]),
        code=code("bias_correction"),
        env=environment("imaging"),
    script:
        "../scripts/bias_correction.py"

"""Maps of altered copies of test scans, measured: those with a synthetic lesion, and those that lost a lesion."""

COPY_IMAGE = {
    "synthetic": "results/synthetic/{scan_id}/lesion-{lesion}_image.nii.gz",
    "removed": "results/probes/{scan_id}/image.nii.gz",
}
COPY_MASK = {  # of the lesion, or of the region that was replaced
    "synthetic": "results/synthetic/{scan_id}/lesion-{lesion}_mask.nii.gz",
    "removed": "results/probes/{scan_id}/region.nii.gz",
}
COPIES = {  # by kind, and by the batch in which the maps of their scans are made
    (kind, batch): [copy for copy in copies if copy["scan_id"] in scans]
    for kind, copies in (("synthetic", LESIONS), ("removed", REMOVALS))
    for batch, scans in PLAN.batches["test"].items()
    if any(copy["scan_id"] in scans for copy in copies)
}


rule copies_learning:
    """Make the maps of a batch of copies by networks, and measure them (MNI grid)."""
    input:
        unpack(lambda w: maker_files(w.experiment)),
        images=lambda w: [COPY_IMAGE[w.kind].format(**copy) for copy in COPIES[w.kind, w.batch]],
        masks=lambda w: [COPY_MASK[w.kind].format(**copy) for copy in COPIES[w.kind, w.batch]],
        supports=lambda w: [SUPPORT.format(sub=copy["scan_id"]) for copy in COPIES[w.kind, w.batch]],
        controls=lambda w: [f"results/maps/{w.experiment}/test/batch-{w.batch}.tsv"] if w.kind == "synthetic" else [],
    output:
        table="results/copies/{kind}/{experiment}/batch-{batch}.tsv",
    log:
        "logs/copies/{kind}_{experiment}_{batch}.log",
    benchmark:
        "benchmarks/copies/{kind}_{experiment}_{batch}.tsv"
    wildcard_constraints:
        kind=one_of(COPY_IMAGE),
        experiment=PLAN.experiments_in("learning", of_copies=True),
    conda:
        "../../envs/learning.yaml"
    threads: COMPUTE["threads"]
    resources:
        gpu=min(GPUS, 1),
        mem_mb=scaled(16000),
        runtime=scaled(60),
    params:
        copies=lambda w: COPIES[w.kind, w.batch],
        maker=lambda w: PLAN.experiments[w.experiment].maker,
        settings=lambda w: PLAN.maker_settings(w.experiment),
        method_code=method_code,
        code=code("copies"),
        env=environment("learning"),
    script:
        "../scripts/copies.py"


use rule copies_learning as copies_imaging with:
    wildcard_constraints:
        kind=one_of(COPY_IMAGE),
        experiment=PLAN.experiments_in("imaging", of_copies=True),
    conda:
        "../../envs/imaging.yaml"
    threads: 1
    resources:
        mem_mb=scaled(4000),
        runtime=scaled(30),
    params:
        env=environment("imaging"),

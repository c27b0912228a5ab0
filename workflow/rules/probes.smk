"""The shortcut, measured: what tells patients from healthy scans where there is no lesion to be seen."""

KNOWN = with_known_region(PARTICIPANTS)
IN_TEST = KNOWN[KNOWN["split"] == "test"]
REGIONS = region_patients(KNOWN)  # of which patient each scan leaves the lesion's place out; none with too few subjects
REMOVED = region_patients(IN_TEST)
IN_PROBE = [*KEYS, "group"]  # what a probe's table says of a scan
REMOVALS = SCANS.loc[list(REMOVED), IN_PROBE].reset_index().to_dict("records")  # a row a copy
HEALTHY_EVALUATED = PLAN.select(split=("val", "test"), group="healthy")
TESTED = PLAN.select(split="test")


rule probe_histogram:
    """Cross-validate a classifier of intensity histograms, lesions and the same places in healthy scans left out (MNI
    grid, standardized without these)."""
    input:
        images=[f"results/strip/{sub}/image.nii.gz" for sub in REGIONS],
        supports=[f"results/strip/{sub}/mask.nii.gz" for sub in REGIONS],
        lesion_masks=[f"results/register/{patient}/lesion_mask.nii.gz" for patient in REGIONS.values()],
        landmarks="results/standardize/landmarks.tsv" if REGIONS else [],
    output:
        metrics="results/evaluation/probe_histogram.tsv",
    log:
        "logs/probe_histogram.log",
    conda:
        "../../envs/imaging.yaml"
    threads: 1
    resources:
        mem_mb=scaled(2000),
        runtime=scaled(60),
    params:
        scans=SCANS.loc[list(REGIONS) or list(KNOWN["scan_id"]), IN_PROBE].to_dict("records"),
        code=code("probe_histogram"),
        env=environment("imaging"),
    script:
        "../scripts/probe_histogram.py"


rule probe_removal:
    """Replace a lesion's region in a test scan by the mean of healthy training scans: a patient's own lesion, in a healthy
    scan a patient's (MNI grid, standardized without the region)."""
    input:
        image="results/strip/{sub}/image.nii.gz",
        support="results/strip/{sub}/mask.nii.gz",
        lesion_mask=lambda w: f"results/register/{REMOVED[w.sub]}/lesion_mask.nii.gz",
        landmarks="results/standardize/landmarks.tsv",
        statistics="results/zscore/statistics.npz",
    output:
        image=ensure("results/probes/{sub}/image.nii.gz", non_empty=True),
        region=ensure("results/probes/{sub}/region.nii.gz", non_empty=True),
    log:
        "logs/probe_removal/{sub}.log",
    conda:
        "../../envs/imaging.yaml"
    threads: 1
    resources:
        mem_mb=scaled(2000),
        runtime=scaled(10),
    params:
        code=code("probe_removal"),
        env=environment("imaging"),
    script:
        "../scripts/probe_removal.py"


rule probe_removed:
    """Test whether an experiment's scores, taken far from where the lesions were, tell patients from healthy scans."""
    input:
        scores=lambda w: copy_tables("removed", w.experiment),
    output:
        metrics="results/evaluation/{experiment}/probe_removed.tsv",
    log:
        "logs/probe_removed/{experiment}.log",
    conda:
        "../../envs/imaging.yaml"
    threads: 1
    resources:
        mem_mb=scaled(1000),
        runtime=scaled(10),
    params:
        scans=IN_TEST[IN_PROBE].to_dict("records"),
        code=code("probe_removed"),
        env=environment("imaging"),
    script:
        "../scripts/probe_removed.py"


rule probe_within:
    """Measure an experiment's maps of test patients (MNI grid) within each: slices with lesion against those without, the
    lesion against its mirrored place."""
    input:
        maps=lambda w: PLAN.map_tables(w.experiment, "test"),
        lesion_masks=[f"results/register/{sub}/lesion_mask.nii.gz" for sub in TESTED if SCANS.lesion_mask[sub]],
        brain_mask=BRAIN_MASK,
    output:
        metrics="results/evaluation/{experiment}/probe_within.tsv",
    log:
        "logs/probe_within/{experiment}.log",
    conda:
        "../../envs/imaging.yaml"
    threads: 1
    resources:
        mem_mb=scaled(2000),
        runtime=scaled(60),
    params:
        scans=SCANS.loc[TESTED, [*KEYS, "group", "split"]].reset_index().to_dict("records"),
        masked=[sub for sub in TESTED if SCANS.lesion_mask[sub]],
        code=code("probe_within"),
        env=environment("imaging"),
    script:
        "../scripts/probe_within.py"


rule probe_sites:
    """Measure an experiment's false alarms in each site's healthy test scans (MNI grid), at the threshold that the other
    sites' healthy validation scans set."""
    input:
        maps=lambda w: PLAN.map_tables(w.experiment, "val", "test"),
        brain_mask=BRAIN_MASK,
    output:
        sites="results/evaluation/{experiment}/sites.tsv",
        metrics="results/evaluation/{experiment}/probe_sites.tsv",
    log:
        "logs/probe_sites/{experiment}.log",
    conda:
        "../../envs/imaging.yaml"
    threads: 1
    resources:
        mem_mb=scaled(2000),
        runtime=scaled(60),
    params:
        scans=SCANS.loc[HEALTHY_EVALUATED, [*KEYS, "group", "split", "site"]].reset_index().to_dict("records"),
        healthy_quantile=STUDY.evaluation.healthy_quantile,
        code=code("probe_sites"),
        env=environment("imaging"),
    script:
        "../scripts/probe_sites.py"

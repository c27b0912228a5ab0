"""The network's grid: scans are cropped and scaled once, so that training only reads arrays."""


rule network_grid:
    """Place the network's cube in MNI space and bring the brain mask to it; measure the share of brain that is cut off."""
    input:
        brain_mask="results/template/mask.nii.gz",
    output:
        grid="results/grid/grid.json",
        mask="results/grid/mask.npy",
    log:
        "logs/grid/network_grid.log",
    benchmark:
        "benchmarks/grid/network_grid.tsv"
    conda:
        "../../envs/imaging.yaml"
    threads: 1
    resources:
        mem_mb=scaled(2000),
        runtime=scaled(10),
    params:
        crop_mm=STUDY.grid.crop_mm,
        size=STUDY.grid.size,
        code=code("network_grid"),
        env=environment("imaging"),
    script:
        "../scripts/network_grid.py"


rule grid:
    """Crop and scale a standardized scan to the network's grid (size³, float16)."""
    input:
        image="results/standardize/{sub}/image.nii.gz",
        grid="results/grid/grid.json",
    output:
        array=ensure("results/grid/{sub}.npy", non_empty=True),
    log:
        "logs/grid/{sub}.log",
    benchmark:
        "benchmarks/grid/{sub}.tsv"
    conda:
        "../../envs/imaging.yaml"
    threads: 1
    resources:
        mem_mb=scaled(2000),
        runtime=scaled(10),
    params:
        code=code("grid"),
        env=environment("imaging"),
    script:
        "../scripts/grid.py"

"""The networks' grids: scans are cropped and scaled once, so that training only reads arrays.

There is one crop of MNI space, sampled by `grid.size` voxels and, in folders of their own, by what a teacher's
`input_scale` asks for (the wildcard `sampling`, see `Plan.samplings`).
"""


rule network_grid:
    """Place the network's crop in MNI space and bring the brain mask to it; measure the share of brain that is cut off."""
    input:
        brain_mask=BRAIN_MASK,
    output:
        grid="results/grid/{sampling}grid.json",
        mask="results/grid/{sampling}mask.npy",
    log:
        "logs/network_grid/{sampling}network_grid.log",
    conda:
        "../../envs/imaging.yaml"
    threads: 1
    resources:
        mem_mb=scaled(2000),
        runtime=scaled(10),
    params:
        crop_mm=STUDY.grid.crop_mm,
        sampling=lambda w: PLAN.samplings()[w.sampling],
        code=code("network_grid"),
        env=environment("imaging"),
    script:
        "../scripts/network_grid.py"


rule grid:
    """Crop and scale a standardized scan to the network's grid (float16)."""
    input:
        image=STANDARDIZED,
        grid="results/grid/{sampling}grid.json",
    output:
        array=ensure("results/grid/{sampling}{sub}.npy", non_empty=True),
    log:
        "logs/grid/{sampling}{sub}.log",
    conda:
        "../../envs/imaging.yaml"
    threads: 1
    resources:
        mem_mb=scaled(2000),
        runtime=scaled(3),
    params:
        code=code("grid"),
        env=environment("imaging"),
    script:
        "../scripts/grid.py"

"""The paper's figures 2 to 4 of one scan and one experiment with networks; made on request, for any scan."""


rule embeddings:
    """What teacher and student make of a scan: summed features, pseudo-RGB, the blocks' maps, the map (network grid)."""
    input:
        unpack(lambda w: PLAN.maker_files(w.experiment)),
        array=lambda w: f"{PLAN.grid_of_experiment(w.experiment)}{w.sub}.npy",
        support=SUPPORT,
        seen=lambda w: f"{PLAN.grid_of_experiment(w.experiment)}mask.npy",
    output:
        embeddings="results/figures/{experiment}/{sub}.npz",
    log:
        "logs/embeddings/{experiment}/{sub}.log",
    wildcard_constraints:
        experiment=PLAN.experiments_with_blocks(),
    conda:
        "../../envs/learning.yaml"
    threads: COMPUTE["threads"]
    resources:
        gpu=min(GPUS, 1),
        mem_mb=scaled(16000),
        runtime=scaled(30),
    params:
        fitted=lambda w: w.sub in PLAN.gaussian_scans(w.experiment),
        settings=lambda w: PLAN.maker_settings(w.experiment),
        code=code("embeddings"),
        env=environment("learning"),
    script:
        "../scripts/embeddings.py"


rule figures:
    """Figure 2 (embeddings), 3 (sagittal) and 4 (three planes) of the paper (MNI grid)."""
    input:
        embeddings="results/figures/{experiment}/{sub}.npz",
        image=STANDARDIZED,
        brain_mask=BRAIN_MASK,
        lesion_mask=lambda w: LESION_MASK.format(sub=w.sub) if SCANS.lesion_mask[w.sub] else [],
        grid=lambda w: f"{PLAN.grid_of_experiment(w.experiment)}grid.json",
    output:
        figure2="results/figures/{experiment}/{sub}_figure2.png",
        figure3="results/figures/{experiment}/{sub}_figure3.png",
        figure4="results/figures/{experiment}/{sub}_figure4.png",
    log:
        "logs/figures/{experiment}/{sub}.log",
    conda:
        "../../envs/imaging.yaml"
    threads: 1
    resources:
        mem_mb=scaled(2000),
        runtime=scaled(10),
    params:
        code=code("figures"),
        env=environment("imaging"),
    script:
        "../scripts/figures.py"

"""The report: one page with the numbers, the curves and the maps."""

SHOWN = next(name for name in PLAN.in_brain() if not PLAN.is_segmented(name))
PICTURED = in_turn(PARTICIPANTS, "test", STUDY.report.pictures)


rule report:
    """Write one self-contained page, with slices of some test scans and the first method's maps (MNI grid)."""
    input:
        template=PAGES["report.html.j2"],
        summary=PAGES["summary.html.j2"],
        paper=PAGES["paper.html.j2"],
        lesionwise=PAGES["lesions.html.j2"],
        synthetic=PAGES["synthetic.html.j2"],
        probes=PAGES["probes.html.j2"],
        style=PAGES["style.css"],
        metrics="results/evaluation/metrics.tsv",
        scores="results/evaluation/scores.tsv",
        comparisons="results/evaluation/comparisons.tsv",
        curves=[f"results/evaluation/{name}/curves.tsv" for name in PLAN.in_brain()],
        patients=[f"results/evaluation/{name}/patients.tsv" for name in PLAN.in_brain()],
        lesions=[f"results/evaluation/{name}/lesions.tsv" for name in PLAN.in_brain()],
        registration="results/qc/registration.tsv",
        images=expand(STANDARDIZED, sub=PICTURED),
        maps=PLAN.map_tables(SHOWN, "test"),
        lesion_masks=expand(LESION_MASK, sub=PLAN.masked(PICTURED)),
        brain_mask=BRAIN_MASK,
        grid=PLAN.grid_of_experiment(SHOWN) + "grid.json" if PLAN.has_blocks(SHOWN) else "results/grid/grid.json",
        networks=[f"results/{network}/model.safetensors" for network in PLAN.evaluated_networks()],
    output:
        page=report("results/report/index.html", category="Report"),
    log:
        "logs/report.log",
    localrule: True
    conda:
        "../../envs/imaging.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        shown=SHOWN,
        experiments={name: PLAN.description(name) for name in PLAN.experiments},
        networks=PLAN.evaluated_networks(),
        initial=PLAN.initial_counterparts(),
        excluded=[reason for reason in COHORT.get("exclude", ()) if reason],
        pictured=SCANS.loc[PICTURED, [*KEYS, "group"]].reset_index().to_dict("records"),
        sites=SCANS.loc[PLAN.select(split="test"), "site"].to_dict(),
        masked=PLAN.masked(PICTURED),
        modality=STUDY.cohort.modality,
        healthy_quantile=STUDY.evaluation.healthy_quantile,
        min_lesion_ml=STUDY.evaluation.min_lesion_ml,
        code=code("report"),
        env=environment("imaging"),
    script:
        "../scripts/report.py"

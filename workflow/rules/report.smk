"""The report: one page with the numbers, the curves and the maps."""

SHOWN = PLAN.graded_experiments()[0]
TESTED = in_turn(PARTICIPANTS, "test", len(SCANS))  # those that may be pictured, the likeliest first


REPORT_PARTS = (
    "style.css",
    "terms.html.j2",
    "summary.html.j2",
    "paper.html.j2",
    "lesions.html.j2",
    "synthetic.html.j2",
    "probes.html.j2",
    "viewer.html.j2",
    "viewer.js",
    "run.html.j2",
    "provenance.html.j2",
)


rule report:
    """Write the page, with slices of some test scans and the first method's maps, and what its viewer shows (MNI grid)."""
    input:
        template=PAGES["report.html.j2"],
        parts=[PAGES[name] for name in REPORT_PARTS],
        metrics="results/evaluation/metrics.tsv",
        scores="results/evaluation/scores.tsv",
        comparisons="results/evaluation/comparisons.tsv",
        curves=[f"results/evaluation/{name}/curves.tsv" for name in PLAN.in_brain()],
        patients=[f"results/evaluation/{name}/patients.tsv" for name in PLAN.in_brain()],
        lesions=[f"results/evaluation/{name}/lesions.tsv" for name in PLAN.in_brain()],
        registration="results/qc/registration.tsv",
        images=expand(STANDARDIZED, sub=TESTED),
        maps=[table for name in PLAN.in_brain() for table in PLAN.map_tables(name, "test")],
        lesion_masks=expand(LESION_MASK, sub=PLAN.masked(TESTED)),
        brain_mask=BRAIN_MASK,
        grid=PLAN.grid_of_experiment(SHOWN) + "grid.json" if PLAN.has_blocks(SHOWN) else "results/grid/grid.json",
        networks=[f"results/{network}/model.safetensors" for network in PLAN.evaluated_networks()],
        trainings=PLAN.training_records().values(),
    output:
        page=report("results/report/index.html", category="Report", caption="../report/report.rst"),
        volumes=directory("results/report/volumes"),
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
        trainings=list(PLAN.training_records()),
        initial=PLAN.initial_counterparts(),
        excluded=[reason for reason in COHORT.get("exclude", ()) if reason],
        tested=SCANS.loc[TESTED, [*KEYS, "group"]].reset_index().to_dict("records"),
        pictures=STUDY.report.pictures,
        pseudonyms=STUDY.report.pseudonyms,
        sites=SCANS.loc[TESTED, "site"].to_dict(),
        masked=PLAN.masked(TESTED),
        maps={name: len(PLAN.map_tables(name, "test")) for name in PLAN.in_brain()},
        seeds=PLAN.seeds(),
        settings=PLAN.method_settings(),
        is_demo=STUDY.cohort.participants == "demo",
        modality=STUDY.cohort.modality,
        healthy_quantile=STUDY.evaluation.healthy_quantile,
        min_lesion_ml=STUDY.evaluation.min_lesion_ml,
        code=code("report"),
        env=environment("imaging"),
    script:
        "../scripts/report.py"

"""Bundles: one folder an experiment, to be copied to where new scans are (docs/predict.md)."""

from stfpm3d import __version__
from stfpm3d.prediction.contents import bundled_experiments, bundled_files, bundled_settings, published_config
from stfpm3d.runtime.digest import pinned_packages

PACKAGES = pinned_packages(ROOT / "envs" / "prediction.yaml")


rule bundle:
    """Gather what an experiment needs to make maps of new scans, with checksums and a model card; validation scans set
    the threshold, the percentiles of the score, and what is of another contrast."""
    input:
        unpack(lambda w: bundled_files(PLAN, w.experiment)),
        images=expand(STANDARDIZED, sub=PLAN.select(split="val")),
        supports=expand(SUPPORT, sub=PLAN.select(split="val")),
        scores="results/evaluation/{experiment}/scores.tsv",
        metrics="results/evaluation/metrics.tsv",
        card=PAGES["model_card.md.j2"],
        notes=given(STUDY.card.notes or []),
    output:
        description="results/bundle/{experiment}/bundle.json",
    log:
        "logs/bundle/{experiment}.log",
    wildcard_constraints:
        experiment=one_of(bundled_experiments(PLAN)),
    localrule: True
    conda:
        "../../envs/prediction.yaml"
    threads: 1
    resources:
        mem_mb=4000,
        runtime=30,
    params:
        roles=lambda w: list(bundled_files(PLAN, w.experiment)),
        settings=lambda w: bundled_settings(PLAN, w.experiment),
        development=STUDY.card.development,
        content=content_of(STUDY.card.notes or []),
        config=published_config(STUDY),
        participants=PARTICIPANTS[["group", "site", "split"]].to_dict("records"),
        made_by={"version": __version__, "code": code("maps"), "packages": PACKAGES},
        code=code("bundle"),
        env=environment("prediction"),
    script:
        "../scripts/bundle.py"

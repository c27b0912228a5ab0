"""What a bundle of an experiment holds, by the plan of its study; no file is read."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from stfpm3d.methods.row import MACHINE
from stfpm3d.study.config import Config
from stfpm3d.study.plan import Plan
from stfpm3d.study.training_plan import BRAIN_MASK


def bundled_experiments(plan: Plan) -> list[str]:
    """The experiments of which a bundle can be made: those whose map of a scan needs nothing but the scan."""
    return plan.copied_experiments()


def bundled_files(plan: Plan, experiment: str) -> dict[str, Any]:
    """The files of a run that a bundle of an experiment is made of, by what they are in it."""
    files = {
        **plan.maker_files(experiment),
        "brain_mask": BRAIN_MASK,
        "head": "results/template/head.nii.gz",
        "landmarks": "results/standardize/landmarks.tsv",
        "statistics": "results/zscore/statistics.npz",
        "regions": "results/template/regions.nii.gz",
        "region_names": "results/template/regions.csv",
    }
    return {role: path for role, path in files.items() if path}


def bundled_settings(plan: Plan, experiment: str) -> dict[str, Any]:
    """What `bundle.json` says of an experiment that its config decides, plain values."""
    study = plan.study
    row, maker = plan.experiments[experiment], plan.maker_settings(experiment)
    return {
        "experiment": experiment,
        "method": row.method,
        "maker": {key: value for key, value in maker.items() if key not in MACHINE},
        "modality": study.cohort.modality,
        "space": study.template.space,
        "bias_correction": study.bias_correction.method,
        "registration": study.registration.model_dump(mode="json"),
        "min_lesion_ml": study.evaluation.min_lesion_ml,
        "healthy_quantile": study.evaluation.healthy_quantile if row.own_threshold is None else None,
    }


def published_config(study: Config) -> dict[str, Any]:
    """The whole config; of every path in it the file's name alone, since folders may tell names."""
    return _without_folders(study.model_dump(mode="json"))


def _without_folders(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_folders(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [_without_folders(inner) for inner in value]
    return Path(value).name if isinstance(value, str) and "/" in value else value

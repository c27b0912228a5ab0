"""The paragraph on methods, to paste: what was done and nothing else, with its references."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

import numpy as np

from stfpm3d import __version__
from stfpm3d.evaluation.lesionwise import MIN_IOU
from stfpm3d.reporting.findings import Findings, counted, listed, score
from stfpm3d.reporting.summary import Summary

REFERENCES = {
    "ants": "Avants BB et al. A reproducible evaluation of ANTs similarity metric performance in brain image"
    " registration. NeuroImage 54, 2011.",
    "n4": "Tustison NJ et al. N4ITK: improved N3 bias correction. IEEE TMI 29, 2010.",
    "nyul": "Nyúl LG, Udupa JK, Zhang X. New variants of a method of MRI scale standardization. IEEE TMI 19, 2000.",
    "acs": "Yang J et al. Reinventing 2D convolutions for 3D images. IEEE JBHI 25, 2021.",
    "snakemake": "Mölder F et al. Sustainable data analysis with Snakemake. F1000Research 10:33, 2021.",
    "metrics": "Maier-Hein L et al. Metrics reloaded: recommendations for image analysis validation. Nature Methods"
    " 21, 2024.",
    "holm": "Holm S. A simple sequentially rejective multiple test procedure. Scandinavian Journal of Statistics 6,"
    " 1979.",
}
"""What any run may cite; what a method cites stands where it is declared."""


class Methods(NamedTuple):
    """The paragraph, and the references that it numbers from 1 in the order in which it names them."""

    text: str
    references: list[str]


def methods(
    settings: Mapping[str, Any],
    experiments: Mapping[str, Mapping[str, Any]],
    findings: Findings,
    summary: Summary,
    *,
    modality: str,
    healthy_quantile: float,
    is_demo: bool,
) -> Methods:
    """Write the paragraph.

    Parameters
    ----------
    settings
        `Plan.method_settings`: `space`, `resolution_mm`, `transform`, `bias_correction`, `crop_mm`, `size` and the
        scans `trained` on (`n_healthy`, `n_patient`).
    experiments
        Of each its `method`, with its `text` and `references`, and its `architecture`.
    findings, summary
        The strict protocol's numbers, and what was tested.
    modality
        T1w, T2w or FLAIR.
    healthy_quantile
        The quantile of healthy validation voxels that is the threshold.
    is_demo
        Whether the cohort was rendered.
    """
    prepared = _prepared(settings, modality)
    told = [*(["A synthetic cohort was rendered."] if is_demo else []), prepared, _made(experiments)]
    if not settings["trained"]["n_patient"]:
        told.append("No patient was among the training scans.")
    text = " ".join([*told, *_measured(findings, summary, healthy_quantile)])
    cited = list(dict.fromkeys(re.findall(r"\[(\w+)\]", text)))
    numbered = re.sub(r"\[(\w+)\]", lambda found: f"({cited.index(found[1]) + 1})", text)
    known = REFERENCES | {key: told for row in experiments.values() for key, told in row["references"].items()}
    return Methods(numbered, [known[key] for key in cited])


def _prepared(settings: Mapping[str, Any], modality: str) -> str:
    at = f"{settings['space']} at {score(settings['resolution_mm'])} mm"
    how = {
        "none": f"taken as lying in {at}",
        "AffineFast": f"registered to {at} (affine, by SimpleITK on coarse copies and where that was doubtful by ANTs"
        " [ants])",
        "SyN": f"registered to {at} (affine, by SimpleITK on coarse copies and where that was doubtful by ANTs [ants],"
        " then a warp by SyN)",
    }
    steps = [
        how.get(settings["transform"], f"registered to {at} ({settings['transform']}, by ANTs [ants])"),
        *(["corrected for their bias field by N4 [n4]"] if settings["bias_correction"] == "n4" else []),
        "skull-stripped with the template's mask",
        "standardised by Nyúl landmarks of training scans [nyul] and z-normed",
    ]
    edge = settings["crop_mm"]
    crop = "a box around the brain" if edge == "brain" else f"a cube of {score(edge)} mm"
    steps.append(f"and brought to {crop} with {settings['size']} voxels along its longest edge")
    return f"{modality} scans were {', '.join(steps)}."


def _made(experiments: Mapping[str, Mapping[str, Any]]) -> str:
    known = dict.fromkeys(row["text"] for row in experiments.values() if row["text"])
    others = [f"the method {row['method']} (row {name})" for name, row in experiments.items() if not row["text"]]
    by = listed([*known, *others])
    made = f"Anomaly maps were made by {by}, as implemented in stfpm3d {__version__} with Snakemake [snakemake]"
    if any(row["architecture"] for row in experiments.values()):
        made += "; the features are those of ResNets with axial–coronal–sagittal convolutions [acs]"
    return f"{made}."


def _measured(findings: Findings, summary: Summary, healthy_quantile: float) -> Iterator[str]:
    shown = summary.own
    patients, healthy = (findings.count(shown.experiment, "image_auroc", group) for group in ("patient", "healthy"))
    scans = f"{counted(patients, 'test scan')} of patients and {healthy} of healthy people"
    yield f"{scans} were kept apart from training and validation."
    if not np.isnan(findings.value(shown.experiment, "threshold", "val")):
        by_healthy = findings.count(shown.experiment, "threshold", "healthy", "val") > 0
        at = f"the {score(100 * healthy_quantile)}th percentile of healthy validation voxels"
        text = f"Maps were thresholded at {at if by_healthy else 'even odds of lesion'}"
        matched = f", and lesions matched to components from an intersection over union of {MIN_IOU} on [metrics]"
        yield f"{text}{matched if shown.n_lesion else ''}."
    if summary.compared:
        yield (
            f"The endpoint, average precision per patient, was compared with that of {summary.reference} by two-sided"
            f" paired sign-flip permutation tests over {counted(summary.n_compared, 'patient')}, corrected for"
            f" {counted(len(summary.compared), 'comparison')} after Holm [holm]; they can give no p below"
            f" {score(summary.p_floors[0])}."
        )
    if findings.interval(shown.experiment, "voxel_auprc"):
        yield "Intervals are 95 % bootstrap intervals."

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
    "stfpm": "Schwarz J, Will L, Wellmer J, Mosig A. A patch-based student-teacher pyramid matching approach to"
    " anomaly detection in 3D magnetic resonance imaging. MIDL, 2024.",
    "acs": "Yang J et al. Reinventing 2D convolutions for 3D images. IEEE JBHI 25, 2021.",
    "padim": "Defard T et al. PaDiM: a patch distribution modeling framework for anomaly detection and localization."
    " ICPR Workshops, 2021.",
    "fanogan": "Schlegl T et al. f-AnoGAN: fast unsupervised anomaly detection with generative adversarial networks."
    " Medical Image Analysis 54, 2019.",
    "unet": "Çiçek Ö et al. 3D U-Net: learning dense volumetric segmentation from sparse annotation. MICCAI, 2016.",
    "draem": "Zavrtanik V, Kristan M, Skočaj D. DRÆM: a discriminatively trained reconstruction embedding for surface"
    " anomaly detection. ICCV, 2021.",
    "destseg": "Zhang X et al. DeSTSeg: segmentation guided denoising student-teacher for anomaly detection. CVPR,"
    " 2023.",
    "snakemake": "Mölder F et al. Sustainable data analysis with Snakemake. F1000Research 10:33, 2021.",
    "metrics": "Maier-Hein L et al. Metrics reloaded: recommendations for image analysis validation. Nature Methods"
    " 21, 2024.",
    "holm": "Holm S. A simple sequentially rejective multiple test procedure. Scandinavian Journal of Statistics 6,"
    " 1979.",
}
MAKERS = {
    "stfpm": "student–teacher pyramid matching [stfpm]",
    "padim": "PaDiM [padim]",
    "fanogan": "f-AnoGAN [fanogan] in 3D",
    "segmenter": "a 3D U-Net [unet] that had learned synthetic lesions in healthy scans of random acquisitions, as DRÆM"
    " [draem] and DeSTSeg [destseg] do in 2D images,",
    "intensity": "raw intensity",
    "zscore": "a voxel-wise z-score",
    "mask": "the bare brain mask",
}
"""By an experiment's `method`; one that is not here is told by its name and its row's."""


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
        `Plan.method_settings`: `space`, `resolution_mm`, `transform`, `bias_correction`, `crop_mm` and `size`.
    experiments
        The `method` of each.
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
    text = " ".join([*told, *_measured(findings, summary, healthy_quantile)])
    cited = list(dict.fromkeys(re.findall(r"\[(\w+)\]", text)))
    numbered = re.sub(r"\[(\w+)\]", lambda found: f"({cited.index(found[1]) + 1})", text)
    return Methods(numbered, [REFERENCES[key] for key in cited])


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
    used = {row["method"] for row in experiments.values()}
    known = [text for method, text in MAKERS.items() if method in used]
    others = [
        f"the method {row['method']} (row {name})" for name, row in experiments.items() if row["method"] not in MAKERS
    ]
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

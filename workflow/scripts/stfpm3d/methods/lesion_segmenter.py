"""The method `segmenter`: how likely each voxel belongs to a lesion, by a network that has learned synthetic ones."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field

from stfpm3d.methods.row import TORCH, Kind, MethodRow, Study
from stfpm3d.runtime.section import Name


class SegmenterExperiment(MethodRow):
    """Log odds of lesion by a segmenter. Reruns: its maps, evaluation and report."""

    method: Literal["segmenter"] = Field(description="`segmenter`.")
    segmenter: Name = Field(description="Name of the segmenter row.")

    maker = "stfpm3d.maps.lesion_odds:segmenter_maps"
    runs_in = "learning"
    names = ("segmenter",)
    asks = TORCH
    roles = ("grid", "model")
    own_threshold = 0.0  # even odds
    text = (
        "a 3D U-Net [unet] that had learned synthetic lesions in healthy scans of random acquisitions, as DRÆM [draem]"
        " and DeSTSeg [destseg] do in 2D images,"
    )
    references: ClassVar = {
        "unet": "Çiçek Ö et al. 3D U-Net: learning dense volumetric segmentation from sparse annotation. MICCAI, 2016.",
        "draem": "Zavrtanik V, Kristan M, Skočaj D. DRÆM: a discriminatively trained reconstruction embedding for"
        " surface anomaly detection. ICCV, 2021.",
        "destseg": "Zhang X et al. DeSTSeg: segmentation guided denoising student-teacher for anomaly detection. CVPR,"
        " 2023.",
    }

    def kind(self, study: Study) -> Kind:
        return "our variant"

    def files(self, study: Study) -> dict[str, Any]:
        weights = f"results/segmenter/{self.segmenter}/model.safetensors"
        return {"grid": f"{study.grid_of_segmenter(self.segmenter)}grid.json", "model": weights}

"""The method `intensity`: the standardized intensity, or its excess over the other side."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from stfpm3d.methods.row import MethodRow, MirrorShare, SmoothingMm


class IntensityExperiment(MethodRow):
    """The standardized intensity, or its excess over the other side. Reruns: its maps, evaluation and report."""

    method: Literal["intensity"] = Field(description="`intensity`.")
    smoothing_mm: SmoothingMm = 0.0
    mirror_share: MirrorShare = 0.0

    maker = "stfpm3d.maps.baselines:intensity_maps"
    asks = ("lesion_sign",)
    text = "raw intensity"

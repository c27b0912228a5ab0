"""The method `zscore`: how far a voxel is from that of healthy training scans, in their SDs."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from stfpm3d.methods.row import MethodRow, SmoothingMm, Study


class ZscoreExperiment(MethodRow):
    """Voxel-wise z-score against healthy training scans. Reruns: its maps, evaluation and report."""

    method: Literal["zscore"] = Field(description="`zscore`.")
    smoothing_mm: SmoothingMm = 4.0

    maker = "stfpm3d.maps.baselines:zscore_maps"
    roles = ("statistics",)
    text = "a voxel-wise z-score"

    def files(self, study: Study) -> dict[str, Any]:
        return {"statistics": "results/zscore/statistics.npz"}

    def fitted_on(self) -> tuple[str, int] | None:
        return "train", 2

"""The method `segmentation`: lesions cut out of the maps of another row."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from stfpm3d.methods.row import Kind, MethodRow, Study
from stfpm3d.runtime.section import Name


class SegmentationExperiment(MethodRow):
    """Lesions cut out of another experiment's maps, without scores. Reruns: its maps, evaluation and report."""

    method: Literal["segmentation"] = Field(description="`segmentation`.")
    experiment: Name = Field(description="Name of the experiment row whose maps are segmented.")
    by: Literal["kmeans", "top_fraction"] = Field(
        default="kmeans",
        description="What is lesion in a scan's brain: the higher of two k-means clusters, or the highest fraction.",
    )
    fraction: Annotated[float, Field(gt=0, lt=1)] = Field(
        default=0.01, description="Share of a scan's brain voxels that `top_fraction` takes."
    )

    maker = "stfpm3d.maps.segmentation:segmentation_maps"
    computes: ClassVar = {"top_fraction": float | None}
    replaces = ("experiment", "by", "fraction")
    maps_new_scans = False

    def kind(self, study: Study) -> Kind:
        return study.kind(self.experiment) if self.by == "kmeans" else "our variant"

    def image(self, study: Study) -> str:
        return ""

    def source(self) -> str | None:
        return self.experiment

    def computed(self) -> dict[str, Any]:
        return {"top_fraction": self.fraction if self.by == "top_fraction" else None}

    def description(self, study: Study) -> dict[str, Any]:
        return {**study.description(self.experiment), "segmented_by": self.by}

    @property
    def is_graded(self) -> bool:
        return False

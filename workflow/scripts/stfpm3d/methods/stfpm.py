"""The method `stfpm`: distances of a student to its teacher (Schwarz et al., 2024)."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from stfpm3d.methods.blocks import AS_FOUND, BlockRow
from stfpm3d.methods.row import Kind, Study
from stfpm3d.runtime.section import Name

PUBLISHED = {"combine": "product", "blocks": [1, 2, 3], "residual": "distance", "weights": "trained", **AS_FOUND}
"""The map of Schwarz et al. (2024), eq. 5 and section 3.2."""


class StfpmExperiment(BlockRow):
    """Distances of a student to its teacher. Reruns: its maps, evaluation and report."""

    method: Literal["stfpm"] = Field(description="`stfpm`.")
    student: Name = Field(description="Name of the student row.")
    weights: Literal["trained", "initial"] = Field(
        default="trained", description="The student's trained or its initial weights."
    )
    residual: Literal["distance", "gaussian", "agreement"] = Field(
        default="distance",
        description="`distance`: the squared distance (paper, eq. 5); `gaussian`: how unusual the difference is at its"
        " place and channel, against healthy validation scans; `agreement`: its deviation from them times that of the"
        " teacher's own features, the mean over channels.",
    )

    names = ("student",)
    replaces = ("weights", "residual")
    computes: ClassVar = {"normalised": bool, "agreement": bool}
    roles = ("grid", "teacher", "student")
    text = "student–teacher pyramid matching [stfpm]"
    references: ClassVar = {
        "stfpm": "Schwarz J, Will L, Wellmer J, Mosig A. A patch-based student-teacher pyramid matching approach to"
        " anomaly detection in 3D magnetic resonance imaging. MIDL, 2024."
    }

    @model_validator(mode="after")
    def _only_deviations_are_pooled(self) -> StfpmExperiment:
        if self.pooling_mm and self.residual == "distance":
            raise ValueError(
                "pooling_mm averages deviations from a Gaussian; set residual: gaussian or agreement, or leave it out"
            )
        return self

    def kind(self, study: Study) -> Kind:
        """It is the map's form that counts; how long the networks train, and on what, stands in the config."""
        if self.weights == "initial":
            return "baseline"
        published = self.model_dump(include={*PUBLISHED}) == PUBLISHED
        return "as published" if published and not study.networks["student"][self.student].corruption else "our variant"

    def teacher_of(self, study: Study) -> str:
        return study.networks["student"][self.student].teacher

    def own_files(self, study: Study) -> dict[str, Any]:
        weights = {"trained": "model", "initial": "initial"}[self.weights]
        return {"student": f"results/student/{self.student}/{weights}.safetensors"}

    def computed(self) -> dict[str, Any]:
        return {"normalised": False, "agreement": self.residual == "agreement"}

    def fitted_on(self) -> tuple[str, int] | None:
        """A residual's Gaussian is fitted on validation scans, since the student has matched the training scans."""
        return None if self.residual == "distance" else ("val", 3)  # each is measured against the others

    def description(self, study: Study) -> dict[str, Any]:
        return {**super().description(study), "residual": self.residual, "untrained": self.weights == "initial"}

"""The method `padim`: how unusual the features of a teacher are at their place (Defard et al., 2021)."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field

from stfpm3d.methods.blocks import AS_FOUND, BlockRow
from stfpm3d.methods.row import Kind, Study
from stfpm3d.runtime.section import Name


class PadimExperiment(BlockRow):
    """PaDiM: a Gaussian of healthy scans' teacher features. Reruns: it, its maps, evaluation and report."""

    method: Literal["padim"] = Field(description="`padim`.")
    teacher: Name = Field(description="Name of the teacher row.")
    combine: Literal["product", "sum"] = Field(default="sum", description="How the blocks' maps become one.")
    normalised: bool = Field(
        default=False,
        description="Whether the features of a position are divided by their length, as those of teacher and student"
        " are: contrast then matters less.",
    )

    names = ("teacher",)
    computes: ClassVar = {"agreement": bool}
    roles = ("grid", "teacher", "gaussian")
    optional_roles = ("atlas",)
    text = "PaDiM [padim]"
    references: ClassVar = {
        "padim": "Defard T et al. PaDiM: a patch distribution modeling framework for anomaly detection and"
        " localization. ICPR Workshops, 2021."
    }

    def kind(self, study: Study) -> Kind:
        plain = {"normalised": False, **AS_FOUND, "smoothing_mm": self.smoothing_mm}
        return "baseline" if self.model_dump(include={*plain}) == plain else "our variant"

    def teacher_of(self, study: Study) -> str:
        return self.teacher

    def computed(self) -> dict[str, Any]:
        return {"agreement": False}

    def fitted_on(self) -> tuple[str, int] | None:
        return "train", 2

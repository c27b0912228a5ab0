"""What the methods have in common whose maps are made of the ResNet blocks of a teacher."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from stfpm3d.methods.row import TORCH, MethodRow, MirrorShare, SmoothingMm, Study
from stfpm3d.runtime.section import Section

AS_FOUND = {"pooling_mm": 0, "in_medians": False, "smoothing_mm": 0, "mirror_share": 0, "asymmetry_weight": 0}
"""What leaves a map as the networks find it."""


class Blocks(Section):
    """How the blocks' maps become one, and what is done with it."""

    combine: Literal["product", "sum"] = Field(default="product", description="How the blocks' maps become one.")
    blocks: Annotated[list[Literal[1, 2, 3]], Field(min_length=1, max_length=3)] = Field(
        default=[1, 2, 3], description="ResNet blocks whose maps are combined; the paper takes all three."
    )
    pooling_mm: Annotated[float, Field(ge=0, le=1000)] = Field(
        default=0.0,
        description="FWHM of a Gaussian over the deviations from healthy scans before they are squared, mm: what"
        " neighbours agree on counts. Positions count the less, the more of the brain around them a scan lacks.",
    )
    in_medians: bool = Field(
        default=False,
        description="Whether a block's map is divided by its own median over the brain: what is unusual within a scan.",
    )
    smoothing_mm: SmoothingMm = 0.0
    mirror_share: MirrorShare = 0.0
    asymmetry_weight: Annotated[float, Field(ge=0)] = Field(
        default=0.0,
        description="Weight of what is added to the map: how much brighter (T2w, FLAIR) or darker (T1w) the scan,"
        " smoothed as the map, is than its mirror image, SDs of its brain, and nothing where it is not.",
    )

    @model_validator(mode="after")
    def _folds_are_smoothed_away(self) -> Self:
        if self.asymmetry_weight and not self.smoothing_mm:
            raise ValueError("asymmetry_weight without smoothing_mm adds the folds, in which no two sides are alike")
        return self


class BlockRow(Blocks, MethodRow):
    """A row of such a method."""

    maker = "stfpm3d.maps.network:network_maps"
    runs_in = "learning"
    asks = ("lesion_sign", *TORCH)
    optional_roles = ("gaussian", "atlas")
    has_blocks = True

    def teacher_of(self, study: Study) -> str:
        """The teacher that it names, or that its student names."""
        raise NotImplementedError

    def own_files(self, study: Study) -> dict[str, Any]:
        """What its networks are loaded from besides those of its teacher, by the names in `network.load_block_maps`."""
        return {}

    def files(self, study: Study) -> dict[str, Any]:
        teacher = self.teacher_of(study)
        return {
            "grid": f"{study.grid_of(teacher)}grid.json",
            "teacher": f"results/teacher/{teacher}/model.safetensors",
            **self.own_files(study),
            "gaussian": f"results/gaussian/{self.name}.safetensors" if self.fitted_on() else [],
            "atlas": study.atlas_of(teacher),
        }

    def image(self, study: Study) -> str:
        return f"{study.grid_of(self.teacher_of(study))}{{sub}}.npy"

    @classmethod
    def needed(cls, settings: Mapping[str, Any]) -> set[str]:
        deviations = settings["agreement"] or settings["pooling_mm"]
        return {*cls.roles, *(["gaussian"] if deviations else [])}

    def description(self, study: Study) -> dict[str, Any]:
        teacher = study.networks["teacher"][self.teacher_of(study)]
        weights = teacher.weights if teacher.weights in ("random", "imagenet") else "file"
        of_teacher = {"architecture": teacher.architecture, "weights": weights, "patch_learning": teacher.epochs > 0}
        return {**super().description(study), "blocks": self.blocks, **of_teacher}

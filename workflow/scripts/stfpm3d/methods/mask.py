"""The method `mask`: the bare brain mask, what the paper's protocol gives to a map that finds nothing."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from stfpm3d.methods.row import MethodRow


class MaskExperiment(MethodRow):
    """The brain mask as every scan's map, beside the paper's protocol. Reruns: its maps, evaluation and report."""

    method: Literal["mask"] = Field(description="`mask`.")

    maps_new_scans = False
    protocols = ("paper",)  # inside the brain the mask is constant, which says nothing
    text = "the bare brain mask"

    @property
    def is_graded(self) -> bool:
        return False

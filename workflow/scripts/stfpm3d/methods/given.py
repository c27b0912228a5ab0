"""The method `given`: maps that were made elsewhere, measured as those made here (docs/given-maps.md)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field, field_validator

from stfpm3d.methods.row import FILLED, Kind, MethodRow, Study, filled


class GivenExperiment(MethodRow):
    """Maps that were made elsewhere (docs/given-maps.md). Reruns: the maps, evaluation and report."""

    method: Literal["given"] = Field(description="`given`.")
    maps: str = Field(
        description="Path of a scan's map (NIfTI) with `{scan_id}`, or `{participant_id}` and `{session_id}`, in it;"
        " each validation and test scan needs one."
    )
    space: Literal["mni", "scan"] = Field(
        default="mni",
        description="Where the maps lie: in `mni` space, the template's, at any resolution; or on the grid of the"
        " `scan`, from which the scan's own transform brings them.",
    )
    binary: bool = Field(default=False, description="Whether the maps are masks, 0 and 1, instead of values.")

    maker = "stfpm3d.maps.made_elsewhere:given_maps"
    replaces = ("maps", "space")
    maps_new_scans = False

    @field_validator("maps")
    @classmethod
    def _names_scans(cls, maps: str) -> str:
        if not any(key in maps for key in FILLED):
            raise ValueError("a path without {scan_id} or {participant_id} is one map for all scans; add one of them")
        return maps

    @property
    def is_graded(self) -> bool:
        return not self.binary

    def kind(self, study: Study) -> Kind:
        return "your own"

    def image(self, study: Study) -> str:
        return self.maps

    def beside(self, study: Study) -> list[str]:
        if self.space == "mni":
            return ["{image}"] if study.transform_kind != "none" else []
        return ["{image}", *study.transform]

    def map_of(self, scan: Mapping[Any, Any]) -> str:
        """The path of the map of a scan, a row of the participants table."""
        return filled(self.maps, scan)

    def description(self, study: Study) -> dict[str, Any]:
        return {**super().description(study), "text": f"a method elsewhere ({self.name})"}

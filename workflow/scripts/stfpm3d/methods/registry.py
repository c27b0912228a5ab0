"""All methods, each named here once and nowhere else."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stfpm3d.maps.form import MapMaker
    from stfpm3d.methods.row import MethodRow

METHODS = {
    "stfpm": "stfpm:StfpmExperiment",
    "padim": "padim:PadimExperiment",
    "fanogan": "f_anogan:FanoganExperiment",
    "segmenter": "lesion_segmenter:SegmenterExperiment",
    "intensity": "intensity:IntensityExperiment",
    "zscore": "zscore:ZscoreExperiment",
    "mask": "mask:MaskExperiment",
    "segmentation": "segmented:SegmentationExperiment",
    "own": "own:OwnExperiment",
    "given": "given:GivenExperiment",
}
"""Where each method is declared: the module in this room, and the row in it. By name, so that a job imports its own
method alone, and a change in one method makes no other's maps again."""


def declaration(method: str) -> type[MethodRow]:
    """The row that declares a method, a key of `METHODS`."""
    return resolve_name(f"stfpm3d.methods.{METHODS[method]}")


def map_maker(maker: str, settings: Mapping[str, Any], files: Mapping[str, Path | str]) -> MapMaker:
    """A method, ready to make maps.

    Parameters
    ----------
    maker
        The `MethodRow.maker` of the method.
    settings, files
        The keywords and the `files` of that function, where each is explained.
    """
    return resolve_name(maker)(files, **settings)

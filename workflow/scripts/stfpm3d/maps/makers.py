"""The one place where a method's name chooses how its maps are made."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from pkgutil import resolve_name
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from stfpm3d.maps.form import MapMaker

MAKERS = {
    "stfpm": "network:network_maps",
    "padim": "network:network_maps",
    "fanogan": "reconstruction:fanogan_maps",
    "segmenter": "lesion_odds:segmenter_maps",
    "intensity": "baselines:intensity_maps",
    "zscore": "baselines:zscore_maps",
    "segmentation": "segmentation:segmentation_maps",
}
"""The module of each method in this room, and the function in it that gives a `MapMaker`.

By name, so that a job imports its own method alone, and torch only where that needs it.
"""


def maker_module(method: str) -> str:
    """The module of a method, as a path without its suffix below workflow/scripts.

    The rules count its code beside that of the script which all methods share, so that a change in one method makes no
    other's maps again.
    """
    return f"stfpm3d/maps/{MAKERS[method].partition(':')[0]}"


def map_maker(method: str, settings: Mapping[str, Any], files: Mapping[str, Path | str]) -> MapMaker:
    """A method, ready to make maps.

    Parameters
    ----------
    method
        A key of `MAKERS`.
    settings, files
        The keywords and the `files` of its function, where each is explained.
    """
    return resolve_name(f"stfpm3d.maps.{MAKERS[method]}")(files, **settings)

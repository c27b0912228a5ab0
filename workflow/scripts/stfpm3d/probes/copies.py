"""Maps of altered copies of scans: with a synthetic lesion, or with the lesion removed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from stfpm3d.imaging.volumes import Volume
from stfpm3d.maps.form import MapMaker, Scan
from stfpm3d.maps.tables import read_maps
from stfpm3d.probes.removed import distant_scores
from stfpm3d.probes.synthetic import lesion_figures
from stfpm3d.runtime.logs import progress

FIGURES = {"synthetic": lesion_figures, "removed": distant_scores}
"""What is measured of a copy's map, by what the copies are."""
IDENTITY = ("participant_id", "session_id", "group", "lesion")


def copy_table(copies: Sequence[Mapping[str, Any]], files: Mapping[str, Any]) -> pd.DataFrame:
    """Put a table for `measure_copies` together.

    Parameters
    ----------
    copies
        A row a copy: `scan_id`, `participant_id` (and `session_id`), and what tells copies of a scan apart.
    files
        Paths in the order of the rows: `images`, `masks` (of the lesion, or of the region that lost it) and `supports`
        of the scans; and `controls`, the tables of the unaltered scans' maps that `write_maps` wrote, empty where
        nothing is compared with them.
    """
    paths = {name.removesuffix("s"): files[name] for name in ("images", "masks", "supports")}
    table = pd.DataFrame(copies).assign(**paths)
    if not files["controls"]:
        return table
    controls = read_maps(files["controls"]).rename(columns={"map": "control", "score": "score_control"})
    return table.merge(controls, on="scan_id", validate="many_to_one")


def measure_copies(kind: str, copies: pd.DataFrame, make: MapMaker, brain_mask: Volume) -> pd.DataFrame:
    """Make each copy's map and measure it inside the template's brain.

    Parameters
    ----------
    kind
        A key of `FIGURES`.
    copies
        The rows of `copy_table`.
    make
        Makes a copy's map, as it does a scan's.
    brain_mask
        The template's brain mask on the MNI grid.

    Returns
    -------
    A row a copy: whose it is, and its figures.
    """
    figures = [
        FIGURES[kind](copy, make(Scan(copy["scan_id"], copy["image"], copy["support"])), brain_mask)
        for copy in progress(copies.to_dict("records"), f"{kind} copies")
    ]
    identity = [column for column in IDENTITY if column in copies]
    return pd.concat([copies[identity], pd.DataFrame(figures, index=copies.index)], axis=1)

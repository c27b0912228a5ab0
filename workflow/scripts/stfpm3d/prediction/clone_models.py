"""The trained models that come with the clone: the bundles `models/T1w` and so on, one a contrast."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from stfpm3d.prediction.bundle import DESCRIPTION
from stfpm3d.prediction.scans import list_scans
from stfpm3d.runtime.errors import InputError
from stfpm3d.study.bids import is_bids
from stfpm3d.study.bids_names import CONTRAST, stem
from stfpm3d.study.training_plan import MODELS

HOW = (
    "train one on healthy scans of that contrast with `make model` (docs/models.md) and give its folder as BUNDLE, or"
    " any other bundle"
)


def model_of(scans: Path | str, models: Path = MODELS) -> Path:
    """The model for the contrast of the scans that are given, by their names; no scan is read.

    Scans whose names say no contrast get the model that there is: predict refuses those that look otherwise.

    Raises
    ------
    InputError
        When there is no model for what the names say, or several are left to choose from.
    """
    there = sorted(path.parent.name for path in models.glob(f"*/{DESCRIPTION}"))
    named = _contrasts(scans)
    fitting = [contrast for contrast in there if contrast in named] if named else there
    if not fitting:
        wanted = " and ".join(sorted(named)) or "any contrast"
        have = f"there is one for {', '.join(there)} alone" if there else "there is none at all"
        raise InputError(f"{scans}: no model for {wanted} comes with this version, {have}; {HOW}.")
    if len(fitting) > 1:
        raise InputError(
            f"{scans}: the names leave open whether the scans are {' or '.join(fitting)}; give the model too, such as"
            f" BUNDLE={models.name}/{fitting[0]}."
        )
    return Path(os.path.relpath(models / fitting[0]))


def name_in_clone(bundle: Path | str, models: Path = MODELS) -> str:
    """`models/T1w` of a bundle that comes with the clone; nothing of others."""
    path = Path(bundle).resolve()
    return f"{models.name}/{path.name}" if path.parent == models.resolve() else ""


def _contrasts(scans: Path | str) -> set[str]:
    """The contrasts that the names of the given scans say."""
    folder = Path(scans)
    if folder.is_dir() and is_bids(folder):
        images: Iterable[Path | str] = folder.glob("sub-*/**/anat/*.nii*")
    else:
        images = [scan.image for scan in list_scans(folder, "")]
    found = (CONTRAST.search(stem(image)) for image in images)
    return {match[1] for match in found if match}

"""What is found in scans as BIDS derivatives: images with sidecars, and the data set's own files.

Names and keys are those of the BIDS specification 1.10, derivatives.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from stfpm3d.imaging.volumes import Volume, save_volume
from stfpm3d.prediction.scans import GivenScan
from stfpm3d.runtime.files import replacing

BIDS_VERSION = "1.10.0"
SOURCE = "scans"
"""Name of the link to where the scans lie."""
NO_BIDS = ("index.html", "predictions.tsv", "figures", "work", "logs", "*_findings.tsv")
"""What lies in the data set beside the derivatives."""


class Provenance(NamedTuple):
    """What an image was made of."""

    scan: GivenScan
    description: Mapping[str, Any]
    """The bundle's."""
    skull_stripped: bool


def write_image(out: Path, made_of: Provenance, volume: Volume, space: str | None) -> None:
    """Write an anomaly map, or its mask at the threshold where the volume is boolean, and its sidecar.

    Parameters
    ----------
    out
        The data set's folder.
    space
        The template's name, or None for the scan's own space.
    """
    description, scan = made_of.description, made_of.scan
    is_mask = volume.data.dtype == bool
    parts = [scan.name, *([f"space-{space}"] if space else []), *(["label-lesion"] if is_mask else [])]
    name = "_".join([*parts, "desc-anomaly", "mask" if is_mask else description["modality"]])
    folder = out / scan.folder
    save_volume(folder / f"{name}.nii.gz", volume, np.uint8 if is_mask else np.float32)
    sidecar = {
        "Description": _explained(description, is_mask),
        "Sources": [f"bids:{SOURCE}:{scan.source}"],
        "SpatialReference": space or "orig",
        "SkullStripped": True,
        "ScanSkullStripped": made_of.skull_stripped,
        "Experiment": description["experiment"],
        "Threshold": description["threshold"],
    }
    _write_json(folder / f"{name}.json", {**sidecar, "Type": "Lesion"} if is_mask else sidecar)


def _explained(description: Mapping[str, Any], is_mask: bool) -> str:
    if is_mask:
        return f"Voxels whose anomaly value is {description['threshold']:g} or more: unusual, not diseased."
    return f"Anomaly map of {description['experiment']}, {description['method']}; its minimum where nothing was seen."


def write_dataset(out: Path, scans: Path, description: Mapping[str, Any]) -> None:
    """Write what BIDS asks of the data set itself; `scans` is the folder that they were given in."""
    link = os.path.relpath(scans, out)
    _write_json(
        out / "dataset_description.json",
        {
            "Name": f"Anomalies found by {description['experiment']}",
            "BIDSVersion": BIDS_VERSION,
            "DatasetType": "derivative",
            "GeneratedBy": [
                {
                    "Name": "stfpm3d",
                    "Version": description["made_by"]["version"],
                    "Description": f"Bundle of {description['experiment']}, code {description['made_by']['code']}.",
                }
            ],
            "SourceDatasets": [{"URL": link}],
            "DatasetLinks": {SOURCE: link},
        },
    )
    readme = (
        f"Anomaly maps by the experiment {description['experiment']} of stfpm3d, in each scan's own space and in"
        f" {description['space']}, with masks at its threshold ({description['threshold']:g}) and tables of findings."
        " index.html shows them. What is marked is unusual among the healthy scans of the training, not diseased."
        " Not a medical device.\n"
    )
    for name, text in (("README.md", readme), (".bidsignore", "\n".join(NO_BIDS) + "\n")):
        with replacing(out / name) as temporary:
            temporary.write_text(text, encoding="utf-8")


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(dict(content), indent=1) + "\n", encoding="utf-8")

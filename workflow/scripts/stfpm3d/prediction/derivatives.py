"""What is found in scans as BIDS derivatives: images with sidecars, and the data set's own files.

Names and keys are those of the BIDS specification 1.10, derivatives.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from stfpm3d.imaging.volumes import Volume, save_volume
from stfpm3d.prediction.scans import GivenScan
from stfpm3d.runtime.errors import InputError
from stfpm3d.runtime.files import replacing

BIDS_VERSION = "1.10.0"
NO_BIDS = ("index.html", "predictions.tsv", "MODEL_CARD.md", "figures", "work", "logs", "*_findings.tsv")
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
    image = out / _image_name(scan, description, is_mask, space)
    save_volume(image, volume, np.uint8 if is_mask else np.float32)
    sidecar = {
        "Description": _explained(description, is_mask),
        "Sources": [f"bids:{scan.link}:{scan.source}"],
        "SpatialReference": space or "orig",
        "SkullStripped": True,
        "ScanSkullStripped": made_of.skull_stripped,
        "Experiment": description["experiment"],
        "Threshold": description["threshold"],
    }
    _write_json(_sidecar(image), {**sidecar, "Type": "Lesion"} if is_mask else sidecar)


def image_files(out: Path, scan: GivenScan, description: Mapping[str, Any]) -> list[Path]:
    """All files that `write_image` may have written of a scan, by a bundle's description."""
    kinds = [(is_mask, space) for is_mask in (False, True) for space in (None, description["space"])]
    images = [out / _image_name(scan, description, *kind) for kind in kinds]
    return [*images, *map(_sidecar, images)]


def _image_name(scan: GivenScan, description: Mapping[str, Any], is_mask: bool, space: str | None) -> str:
    parts = [scan.name, *([f"space-{space}"] if space else []), *(["label-lesion"] if is_mask else [])]
    return f"{scan.folder}/{'_'.join([*parts, 'desc-anomaly', 'mask' if is_mask else description['modality']])}.nii.gz"


def _sidecar(image: Path) -> Path:
    return image.with_name(image.name.replace(".nii.gz", ".json"))


def _explained(description: Mapping[str, Any], is_mask: bool) -> str:
    if is_mask:
        return f"Voxels whose anomaly value is {description['threshold']:g} or more: unusual, not diseased."
    return f"Anomaly map of {description['experiment']}, {description['method']}; its minimum where nothing was seen."


def write_dataset(out: Path, links: Mapping[str, str], description: Mapping[str, Any]) -> None:
    """Write what BIDS asks of the data set itself.

    What a person has added to its description stays, and so do a README.md and a .bidsignore that are there.

    Parameters
    ----------
    links
        The folders in which the scans lay, relative to `out`, by their names in the `Sources` of images.
    description
        The bundle's.
    """
    path = out / "dataset_description.json"
    fixed = {
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
    }
    changing = {"SourceDatasets": [{"URL": link} for link in links.values()], "DatasetLinks": dict(links)}
    _write_json(path, {**fixed, **_there(path), **changing})
    readme = (
        f"Anomaly maps by the experiment {description['experiment']} of stfpm3d, in each scan's own space and in"
        f" {description['space']}, with masks at its threshold ({description['threshold']:g}) and tables of findings."
        " index.html shows them. What is marked is unusual among the healthy scans of the training, not diseased."
        " Not a medical device.\n"
    )
    for name, text in (("README.md", readme), (".bidsignore", "\n".join(NO_BIDS) + "\n")):
        if not (out / name).exists():
            with replacing(out / name) as temporary:
                temporary.write_text(text, encoding="utf-8")


def _there(path: Path) -> dict[str, Any]:
    """What a JSON file holds; nothing where there is none."""
    if not path.exists():
        return {}
    try:
        return dict(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise InputError(f"{path} cannot be read as a JSON object ({error}); correct it or remove it.") from error


def _write_json(path: Path, content: Mapping[str, Any]) -> None:
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(dict(content), indent=1) + "\n", encoding="utf-8")

"""What a bundle holds of the files of its run: what its method needs, in half precision where that is harmless.

Its maps differ from the run's by less than a thousandth of their range.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import torch
from safetensors.torch import load_file

from stfpm3d.imaging.volumes import load_volume
from stfpm3d.learning.resnet import save_pyramid
from stfpm3d.learning.weights import halved, read_form, write_tensors
from stfpm3d.maps.gaussian import load_gaussian, save_gaussian
from stfpm3d.methods.registry import declaration
from stfpm3d.runtime.files import replacing

ENDINGS = {"head": ".nii.gz", "statistics": ".npz"}
LEVELS = 2**16 - 1


def slimmed(files: Mapping[str, str], settings: Mapping[str, Any], folder: Path) -> dict[str, Path]:
    """Write slim copies of those files that a bundle needs less of.

    Parameters
    ----------
    files
        Of the run, by what they are.
    settings
        As `contents.bundled_settings`.
    folder
        To write to.

    Returns
    -------
    The copies, by what they are. A file that is not among them goes into the bundle as it is.
    """
    blocks = settings["maker"].get("blocks", [3])
    pyramid = partial(save_pyramid, last_block=max(blocks))
    ways: dict[str, Callable[[Path, Path], None]] = {
        "teacher": pyramid,
        "student": pyramid,
        "gaussian": partial(_half_gaussian, blocks=blocks),
        "model": _half_model,
        "head": _head_in_16_bits,
    }
    if "statistics" not in declaration(settings["method"]).roles:
        ways["statistics"] = _healthy_mean
    made = {role: folder / f"{role}{ENDINGS.get(role, '.safetensors')}" for role in ways if role in files}
    for role, path in made.items():
        ways[role](path, Path(files[role]))
    return made


def _half_gaussian(path: Path, source: Path, *, blocks: list[int]) -> None:
    save_gaussian(path, load_gaussian(source, torch.device("cpu"), blocks), blocks, half=True)


def _half_model(path: Path, source: Path) -> None:
    write_tensors(path, halved(load_file(source)), read_form(source))


def _head_in_16_bits(path: Path, source: Path) -> None:
    """Whole numbers with a scale: of equal use to a registration. What has negative values stays as it is."""
    head = load_volume(source)
    scale = float(head.data.max()) / LEVELS
    negative = head.data.min() < 0
    image = nib.Nifti1Image(head.data if negative else np.rint(head.data / scale).astype(np.uint16), head.affine)
    image.header.set_xyzt_units("mm")
    if not negative:
        image.header.set_slope_inter(scale, 0)
    with replacing(path) as temporary:
        nib.save(image, temporary)


def _healthy_mean(path: Path, source: Path) -> None:
    """Of the statistics of the z-score what a scan's contrast is compared with (`likeness`)."""
    with np.load(source) as arrays:
        kept = {"mean": arrays["mean"].astype(np.float16), "n": arrays["n"].astype(np.int32)}
    with replacing(path) as temporary:
        np.savez_compressed(temporary, **kept)

"""ImageNet weights that come with the clone, for teachers that learn nothing more: no network is needed."""

from __future__ import annotations

import shutil
from pathlib import Path

from stfpm3d.runtime.errors import InputError
from stfpm3d.runtime.files import replacing, sha256

SHA256 = "b001ef78c8e0c830abd7c41acdea84424217a94dd019856b9928dca1c112406a"
"""Of `models/imagenet/resnet18-pyramid.safetensors`: stem and blocks 1-3, all that a pyramid needs."""


def copy_weights(source: Path | str, output: Path | str) -> None:
    """Copy the clone's ImageNet weights to `output`.

    Raises
    ------
    InputError
        When the file is not the one that the clone should hold.
    """
    if (found := sha256(source)) != SHA256:
        raise InputError(
            f"{source} is not the file that comes with this version (sha256 {found}, expected {SHA256}); get it again"
            " with `git checkout` or clone anew."
        )
    with replacing(output) as temporary:
        shutil.copyfile(source, temporary)

"""torchvision's ImageNet weights, downloaded and checked, never unpickled here."""

from __future__ import annotations

from http.client import HTTPException
from pathlib import Path

from torch.hub import download_url_to_file
from torchvision.models import get_model_weights

from stfpm3d.runtime.errors import InputError
from stfpm3d.runtime.files import replacing


def imagenet_url(architecture: str) -> str:
    """Where torchvision publishes the weights IMAGENET1K_V1 of one of its networks."""
    return get_model_weights(architecture)["IMAGENET1K_V1"].url


def fetch_weights(url: str, output: Path | str) -> None:
    """Download the checkpoint at `url` to `output`.

    The first digits of its sha256 stand in its file name, as in torchvision's `resnet18-f37072fd.pth`.

    Raises
    ------
    InputError
        When the file cannot be downloaded, or its checksum differs.
    """
    name = url.rsplit("/", 1)[-1]
    sha256_start = Path(name).stem.rsplit("-", 1)[-1]
    with replacing(output) as temporary:
        try:
            download_url_to_file(url, str(temporary), sha256_start, progress=False)
        except (OSError, HTTPException, RuntimeError) as error:  # RuntimeError: another checksum
            raise InputError(
                f"The ImageNet weights {name} could not be downloaded ({error}); connect to the network and run again,"
                f" or fetch {url} elsewhere and set the teacher's `weights` to the path of that file."
            ) from error

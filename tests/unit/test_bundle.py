"""A bundle is what was written, wherever it is copied, or it is refused with a reason."""

from __future__ import annotations

import json
import shutil
from inspect import signature
from pathlib import Path
from pkgutil import resolve_name

import pytest

from stfpm3d.maps.makers import MAKERS
from stfpm3d.prediction.bundle import SCHEMA_VERSION, read_bundle, write_bundle
from stfpm3d.runtime.errors import InputError


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    (tmp_path / "head.nii.gz").write_bytes(b"head")
    files = {"student": tmp_path / "model.safetensors", "template": tmp_path / "head.nii.gz"}
    write_bundle(tmp_path / "bundle", files, {"experiment": "stfpm", "threshold": 0.5})
    return tmp_path / "bundle"


def test_a_copied_bundle_holds_what_was_written(bundle: Path, tmp_path: Path) -> None:
    read = read_bundle(shutil.move(bundle, tmp_path / "elsewhere"))
    assert read.description == {"experiment": "stfpm", "threshold": 0.5}
    assert {role: path.name for role, path in read.files.items()} == {
        "student": "student.safetensors",
        "template": "template.nii.gz",
    }
    assert read.files["student"].read_bytes() == b"weights"


def test_equal_bundles_have_equal_bytes_and_nothing_of_an_earlier_one(bundle: Path, tmp_path: Path) -> None:
    before = (bundle / "bundle.json").read_bytes()
    (bundle / "gaussian.safetensors").write_bytes(b"of another run")
    files = {"student": tmp_path / "model.safetensors", "template": tmp_path / "head.nii.gz"}
    write_bundle(bundle, files, {"experiment": "stfpm", "threshold": 0.5})
    assert (bundle / "bundle.json").read_bytes() == before
    assert not (bundle / "gaussian.safetensors").exists()
    assert str(tmp_path).encode() not in before


def test_a_changed_byte_is_refused(bundle: Path) -> None:
    (bundle / "student.safetensors").write_bytes(b"Weights")
    with pytest.raises(InputError, match=r"student\.safetensors has changed since the bundle was made"):
        read_bundle(bundle)


def test_a_missing_file_is_refused(bundle: Path) -> None:
    (bundle / "template.nii.gz").unlink()
    with pytest.raises(InputError, match=r"template\.nii\.gz is missing"):
        read_bundle(bundle)


def test_the_version_is_that_of_what_the_map_makers_take() -> None:
    """A bundle of other settings would end in a traceback: whoever changes them raises `SCHEMA_VERSION`, and this."""
    network = "combine blocks normalised agreement pooling_mm in_medians smoothing_mm mirror_share asymmetry_weight"
    machine = {"accelerator", "threads", "precision"}
    taken = {
        "network:network_maps": {*network.split(), "lesion_sign", *machine},
        "reconstruction:fanogan_maps": {"kappa", *machine},
        "baselines:intensity_maps": {"lesion_sign", "mirror_share", "smoothing_mm"},
        "baselines:zscore_maps": {"smoothing_mm"},
        "segmentation:segmentation_maps": {"top_fraction"},
    }
    found = {maker: {*signature(resolve_name(f"stfpm3d.maps.{maker}")).parameters} - {"files"} for maker in taken}
    assert (SCHEMA_VERSION, found) == (4, taken)
    assert {*MAKERS.values()} == {*taken}


def test_another_version_is_refused(bundle: Path) -> None:
    content = json.loads((bundle / "bundle.json").read_text())
    (bundle / "bundle.json").write_text(json.dumps({**content, "schema_version": 99}))
    with pytest.raises(InputError, match=f"version 99, expected {SCHEMA_VERSION}"):
        read_bundle(bundle)


@pytest.mark.parametrize("content", ["[]", "{", "{}"])
def test_a_damaged_description_is_refused(bundle: Path, content: str) -> None:
    (bundle / "bundle.json").write_text(content)
    with pytest.raises(InputError, match="damaged"):
        read_bundle(bundle)


def test_a_folder_without_a_bundle_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no bundle, it has no bundle\.json"):
        read_bundle(tmp_path)

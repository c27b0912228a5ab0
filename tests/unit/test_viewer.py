"""What the report's viewer is given."""

import gzip
import json
from base64 import b64decode

import numpy as np
import pandas as pd
import pytest

from stfpm3d.imaging.grid import network_grid
from stfpm3d.imaging.volumes import Volume, save_volume
from stfpm3d.reporting.viewer import map_levels, pictured, quantized, view_of, write_volumes

AFFINE = np.array([[1.0, 0, 0, -16], [0, 1.0, 0, -20], [0, 0, 1.0, -16], [0, 0, 0, 1]])


def brain(shape=(32, 40, 32)):
    mask = np.zeros(shape, dtype=bool)
    mask[8:24, 10:30, 8:24] = True
    return Volume(mask, AFFINE)


def test_a_step_begins_at_the_threshold_so_that_marks_are_those_of_the_evaluation():
    values = np.random.default_rng(0).lognormal(0, 3, 100_000)
    threshold = float(np.quantile(values, 0.973))
    levels = map_levels(values, threshold)
    assert len(levels) < 256
    at = int(np.searchsorted(levels, threshold)) + 1
    np.testing.assert_array_equal(quantized(values, levels) >= at, values >= threshold)
    assert len(map_levels(np.repeat([0.0, 1.0], 10), np.nan)) <= 2, "a segmentation has two values"


def test_a_fine_grid_is_thinned_to_two_millimetres_and_keeps_its_place():
    view = view_of(brain())
    assert view.step == 2
    corner = AFFINE @ [view.box[0].start, view.box[1].start, view.box[2].start, 1]
    np.testing.assert_allclose(view.affine[:3, 3], corner[:3])
    assert view.voxel_ml == pytest.approx(0.008)


def test_a_scans_script_hands_over_what_lies_in_its_files(tmp_path):
    mask = brain()
    lesion = np.zeros(mask.shape, dtype=bool)
    lesion[12:16, 14:18, 12:16] = True
    image = np.random.default_rng(1).normal(size=mask.shape)
    for name, data in {"image": image, "map": image + 5 * lesion, "lesion": lesion}.items():
        save_volume(tmp_path / f"{name}.nii.gz", Volume(data, AFFINE))
    paths = {name: tmp_path / f"{name}.nii.gz" for name in ("image", "map", "lesion")}
    row = {"scan_id": "sub-1", "name": "patient-01", "image": paths["image"], "lesion_mask": paths["lesion"]}
    grid = network_grid(mask, "brain", 16)
    meta = write_volumes(
        tmp_path / "volumes", pd.DataFrame([row]), {"stfpm": {"sub-1": paths["map"]}}, {"stfpm": 3.0}, mask, grid, 0.05
    )
    (script,) = (tmp_path / "volumes").iterdir()
    text = script.read_text(encoding="utf-8")
    assert script.name == "patient-01.js" and "sub-1" not in text
    content = json.loads(text.removeprefix('viewer.receive("patient-01", ').removesuffix(");\n"))
    found = {name: unpacked(content[name], meta) for name in ("scan", "lesion")}
    view = view_of(mask)
    np.testing.assert_array_equal(found["lesion"], lesion[view.box])
    marked = unpacked(content["maps"]["stfpm"], meta) >= meta["experiments"]["stfpm"]["threshold"]
    np.testing.assert_array_equal(marked, ((image + 5 * lesion)[view.box] >= 3) & view.brain)
    assert found["scan"].max() <= meta["greys"]
    low, high = np.array(meta["crop"])
    np.testing.assert_allclose((high - low) * 2, 20, atol=0.02)  # mm


def unpacked(text, meta):
    return np.frombuffer(gzip.decompress(b64decode(text)), np.uint8).reshape(meta["shape"])


def test_those_to_look_at_first_are_pictured_whatever_their_place():
    assert list(pictured(["a", "b", "c", "d"], ["d", "b", "d"], 3)) == ["d", "b", "a"]

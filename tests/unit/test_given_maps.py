"""Maps that were made elsewhere come to the MNI grid in one interpolation, or are refused by one sentence."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import SimpleITK as sitk

from stfpm3d.imaging.volumes import Volume, save_volume
from stfpm3d.maps.form import Scan, ScoredMap
from stfpm3d.maps.made_elsewhere import given_maps
from stfpm3d.runtime.errors import InputError
from stfpm3d.study.config import read_config
from stfpm3d.study.opening import check_given_maps

SHAPE = (12, 12, 12)
MNI = np.eye(4)
BRAIN = np.zeros(SHAPE, dtype=bool)
BRAIN[3:-3, 3:-3, 3:-3] = True
RNG = np.random.default_rng(0)
Maker = Callable[..., ScoredMap]


@pytest.fixture
def taken(tmp_path: Path) -> Maker:
    """What a row makes of a map with an affine."""
    save_volume(tmp_path / "brain.nii.gz", Volume(BRAIN, MNI), np.uint8)

    def take(data: np.ndarray, affine: np.ndarray, *beside: Path, binary: bool = False) -> ScoredMap:
        save_volume(tmp_path / "map.nii.gz", Volume(data, affine))
        make = given_maps({"brain_mask": tmp_path / "brain.nii.gz"}, binary=binary)
        return make(Scan("sub-01", tmp_path / "map.nii.gz", tmp_path / "brain.nii.gz", beside=beside))

    return take


def test_a_map_on_the_mni_grid_is_taken_as_it_is(taken: Maker) -> None:
    data = RNG.normal(size=SHAPE).astype(np.float32)
    made = taken(data, MNI)
    assert np.array_equal(made.map.data[BRAIN], data[BRAIN])
    assert made.score == data[BRAIN].max() and made.map.data[~BRAIN].max() == data[BRAIN].min()


def test_a_map_of_another_resolution_is_interpolated_linearly(taken: Maker) -> None:
    ramp = np.broadcast_to(2.0 * np.arange(6)[:, None, None], (6, 6, 6))  # its value is the place in mm
    x = np.broadcast_to(np.arange(12.0)[:, None, None], SHAPE)
    np.testing.assert_allclose(taken(ramp, np.diag([2.0, 2, 2, 1])).map.data[BRAIN], x[BRAIN], atol=1e-5)


def test_a_map_on_the_grid_of_its_scan_comes_by_the_scans_transform(taken: Maker, tmp_path: Path) -> None:
    data = RNG.normal(size=SHAPE).astype(np.float32)
    native = MNI.copy()
    native[:3, 3] = [30, 0, 0]
    save_volume(tmp_path / "scan.nii.gz", Volume(data, native))
    shift = sitk.AffineTransform(3)
    shift.SetTranslation((-32.0, 0.0, 0.0))  # ITK's x points left: what is at x in MNI space is at x + 32 in the scan
    sitk.WriteTransform(shift, str(tmp_path / "to_mni.mat"))
    made = taken(data, native, tmp_path / "scan.nii.gz", tmp_path / "to_mni.mat")
    np.testing.assert_allclose(made.map.data[3:9, 3:9, 3:9], data[5:11, 3:9, 3:9], atol=1e-5)
    with pytest.raises(InputError, match=r"sub-01: .*map\.nii\.gz"):
        taken(data, MNI, tmp_path / "scan.nii.gz", tmp_path / "to_mni.mat")
    with pytest.raises(InputError, match="lies on the grid of the scan, not in MNI space; say `space: scan`"):
        taken(data, native, tmp_path / "scan.nii.gz")


def test_a_mask_has_no_score_and_must_be_called_one(taken: Maker) -> None:
    mask = np.zeros(SHAPE)
    mask[4:7, 4:7, 4:7] = 1
    made = taken(mask, MNI, binary=True)
    assert np.array_equal(made.map.data, mask) and np.isnan(made.score)
    with pytest.raises(InputError, match="holds two values alone, as a mask does; say `binary: true`"):
        taken(mask, MNI)


def test_a_map_beside_the_brain_is_misplaced(taken: Maker) -> None:
    aside = MNI.copy()
    aside[0, 3] = 6  # it begins at the middle of the brain
    with pytest.raises(InputError, match="covers 50 % of the brain, expected at least 90 %"):
        taken(RNG.normal(size=SHAPE), aside)


@pytest.mark.parametrize(
    ("maps", "told"),
    [
        ("{scan_id}.nii.gz", r"'given': sub-02 has no map, expected .*/sub-02\.nii\.gz \(1 of 2 validation and test"),
        ("{participant_id}_{session_id}.nii.gz", r"'given': sub-01 has no map, expected .*/sub-01_\{session_id\}\.nii"),
    ],
)
def test_a_scan_without_a_map_is_named_before_the_run(tmp_path: Path, maps: str, told: str) -> None:
    (tmp_path / "sub-01.nii.gz").touch()
    study = read_config({"experiments": [{"name": "given", "method": "given", "maps": f"{tmp_path}/{maps}"}]})
    names = ["sub-00", "sub-01", "sub-02"]
    table = pd.DataFrame({"scan_id": names, "participant_id": names, "split": ["train", "val", "test"]})
    with pytest.raises(InputError, match=told):
        check_given_maps(study, table)


def test_one_map_for_all_scans_is_refused() -> None:
    with pytest.raises(InputError, match=r"given.maps: a path without \{scan_id\} or \{participant_id\} is one map"):
        read_config({"experiments": [{"name": "given", "method": "given", "maps": "map.nii.gz"}]})

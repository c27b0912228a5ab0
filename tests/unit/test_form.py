"""Maps on the MNI grid: what was not seen counts as healthy, and the score is the maximum over the brain."""

import numpy as np
import pandas as pd

from stfpm3d.imaging.volumes import Volume, load_volume
from stfpm3d.maps.form import ScoredMap, outside_minimum, write_maps

AFFINE = np.diag([2.0, 2.0, 3.0, 1.0])
VALUES = {"sub-01": np.array([3.0, 5.0, 9.0, 1.0]), "sub-02": np.array([-2.0, -4.0, 0.0, -9.0])}


def four_voxels(values):
    return Volume(np.asarray(values).reshape(2, 2, 1).repeat(2, axis=2), AFFINE)


def test_outside_its_support_a_map_is_its_minimum_over_the_support():
    shown = outside_minimum(four_voxels([3.0, 5.0, 9.0, 1.0]).data, four_voxels([True, True, False, False]))
    np.testing.assert_array_equal(shown.data, four_voxels([3, 5, 3, 3]).data)
    assert shown.data.dtype == np.float32


def test_the_score_is_the_maximum_of_the_written_map_over_the_templates_brain(tmp_path):
    scans = pd.DataFrame({"scan_id": list(VALUES), "map": [tmp_path / f"{name}.nii.gz" for name in VALUES]})
    brain = four_voxels([True, True, False, True])
    write_maps(scans, lambda scan: four_voxels(VALUES[scan["scan_id"]]), brain, tmp_path / "scores.tsv")
    scores = pd.read_csv(tmp_path / "scores.tsv", sep="\t")
    assert scores.to_dict("list") == {"scan_id": ["sub-01", "sub-02"], "score": [5.0, -2.0]}
    written = load_volume(tmp_path / "sub-02.nii.gz")
    np.testing.assert_array_equal(written.data, four_voxels(VALUES["sub-02"]).data)


def test_a_method_may_give_a_score_of_its_own_beside_the_map(tmp_path):
    scans = pd.DataFrame({"scan_id": ["sub-01"], "map": [tmp_path / "sub-01.nii.gz"]})
    made = four_voxels(VALUES["sub-01"])
    write_maps(scans, lambda scan: ScoredMap(made, 0.25), four_voxels([True] * 4), tmp_path / "scores.tsv")
    assert pd.read_csv(tmp_path / "scores.tsv", sep="\t")["score"].tolist() == [0.25]
    np.testing.assert_array_equal(load_volume(tmp_path / "sub-01.nii.gz").data, made.data)

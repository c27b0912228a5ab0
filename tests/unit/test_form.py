"""Maps on the MNI grid: what was not seen counts as healthy, the brain's maximum is the score, a table lists files."""

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from stfpm3d.imaging.volumes import Volume, load_volume
from stfpm3d.maps.form import Scan, ScoredMap, blocks_file, outside_minimum, read_maps, scored, write_maps
from stfpm3d.runtime.errors import InputError
from stfpm3d.runtime.files import write_table

AFFINE = np.diag([2.0, 2.0, 3.0, 1.0])
VALUES = {"sub-01": np.array([3.0, 5.0, 9.0, 1.0]), "sub-02": np.array([-2.0, -4.0, 0.0, -9.0])}


def four_voxels(values):
    return Volume(np.asarray(values).reshape(2, 2, 1).repeat(2, axis=2), AFFINE)


def test_outside_its_support_a_map_is_its_minimum_over_the_support():
    shown = outside_minimum(four_voxels([3.0, 5.0, 9.0, 1.0]).data, four_voxels([True, True, False, False]))
    np.testing.assert_array_equal(shown.data, four_voxels([3, 5, 3, 3]).data)
    assert shown.data.dtype == np.float32


def scans(**images):
    return {f"{name}_map.nii.gz": Scan(name.replace("_", "-"), image, "support") for name, image in images.items()}


def test_the_score_is_the_maximum_of_the_map_over_the_templates_brain():
    brain = four_voxels([True, True, False, True])
    assert [scored(four_voxels(values), brain).score for values in VALUES.values()] == [5.0, -2.0]


def test_maps_are_read_back_with_their_scores(tmp_path):
    table = tmp_path / "batch-0.tsv"
    made = {name: ScoredMap(four_voxels(values), values.mean()) for name, values in VALUES.items()}
    write_maps(table, scans(sub_01="", sub_02=""), lambda scan: made[scan.scan_id])
    found = read_maps([table])
    assert found["scan_id"].tolist() == list(VALUES) and found["score"].tolist() == [4.5, -3.75]
    for name, path in zip(found["scan_id"], found["map"], strict=True):
        np.testing.assert_array_equal(load_volume(path).data, made[name].map.data)


def test_the_table_changes_with_a_map_even_where_there_is_no_score(tmp_path):
    tables = []
    for values in [*VALUES.values(), VALUES["sub-01"]]:
        write_maps(tmp_path / "batch-0.tsv", scans(sub_01=""), lambda _, v=values: ScoredMap(four_voxels(v), math.nan))
        tables.append((tmp_path / "batch-0.tsv").read_text())
    assert tables[0] == tables[2] != tables[1]


def test_a_batch_that_fails_leaves_no_map_of_an_earlier_run(tmp_path):
    table, both = tmp_path / "batch-0.tsv", scans(sub_01="", sub_02="")
    write_maps(table, both, lambda scan: ScoredMap(four_voxels(VALUES[scan.scan_id]), 0.0))
    table.unlink()  # as Snakemake does

    def failing(scan):
        raise InputError(scan.scan_id)

    with pytest.raises(InputError):
        write_maps(table, both, failing)
    assert not list(tmp_path.iterdir())


def test_a_map_that_is_gone_is_named(tmp_path):
    write_maps(tmp_path / "batch-0.tsv", scans(sub_01=""), lambda _: ScoredMap(four_voxels(VALUES["sub-01"]), 0.0))
    (tmp_path / "sub_01_map.nii.gz").unlink()
    with pytest.raises(InputError, match=r"sub-01: .*sub_01_map\.nii\.gz is gone, which .*batch-0\.tsv lists"):
        read_maps([tmp_path / "batch-0.tsv"])


def test_what_the_blocks_find_stands_beside_the_map(tmp_path):
    made = ScoredMap(four_voxels(VALUES["sub-01"]), 0.0, {"block1": np.ones(3)})
    write_maps(tmp_path / "batch-0.tsv", scans(sub_01=""), lambda _: made)
    with np.load(blocks_file(tmp_path / "sub_01_map.nii.gz", "sub-01")) as blocks:
        assert blocks["block1"].tolist() == [1, 1, 1]


def test_a_scan_called_by_a_number_keeps_its_name(tmp_path: Path) -> None:
    (tmp_path / "007_map.nii.gz").touch()
    table = pd.DataFrame({"scan_id": ["007"], "score": [1.5], "map": ["007_map.nii.gz"], "sha256": ["0"]})
    write_table(tmp_path / "batch-0.tsv", table)
    assert read_maps([tmp_path / "batch-0.tsv"])["scan_id"].tolist() == ["007"]

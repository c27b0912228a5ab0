"""A batch's table vouches for its maps: what it lists is what was written with it, or the table is gone."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from stfpm3d.imaging.volumes import Volume, load_volume
from stfpm3d.maps.form import Scan, ScoredMap, blocks_file, write_maps
from stfpm3d.maps.tables import read_maps, remove_false_tables
from stfpm3d.runtime.errors import InputError

VALUES = {"sub-01": np.array([3.0, 5.0, 9.0, 1.0]), "sub-02": np.array([-2.0, -4.0, 0.0, -9.0])}


def four_voxels(values):
    return Volume(np.asarray(values).reshape(2, 2, 1).repeat(2, axis=2), np.diag([2.0, 2.0, 3.0, 1.0]))


def scans(**images):
    return {f"{name}_map.nii.gz": Scan(name.replace("_", "-"), image, "support") for name, image in images.items()}


def made(scan: Scan) -> ScoredMap:
    """A map with a block, of one of the two scans."""
    return ScoredMap(four_voxels(VALUES[scan.scan_id]), 0.0, {"block1": np.ones(3)})


def remade(scan: Scan) -> ScoredMap:
    """The same by other settings."""
    return ScoredMap(four_voxels(2 * VALUES[scan.scan_id]), 0.0, {"block1": np.zeros(3)})


def test_maps_are_read_back_with_their_scores(tmp_path):
    table = tmp_path / "batch-0.tsv"
    maps = {name: ScoredMap(four_voxels(values), values.mean()) for name, values in VALUES.items()}
    write_maps(table, scans(sub_01="", sub_02=""), lambda scan: maps[scan.scan_id])
    found = read_maps([table])
    assert found["scan_id"].tolist() == list(VALUES) and found["score"].tolist() == [4.5, -3.75]
    for name, path in zip(found["scan_id"], found["map"], strict=True):
        np.testing.assert_array_equal(load_volume(path).data, maps[name].map.data)


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


@pytest.mark.parametrize("name", ["sub_01_map.nii.gz", "sub-01_blocks.npz"])
def test_a_file_that_is_gone_or_another_than_the_table_lists_is_an_error(tmp_path: Path, name: str) -> None:
    table, other = tmp_path / "batch-0.tsv", tmp_path / "other" / "batch-0.tsv"
    write_maps(table, scans(sub_01=""), made)
    write_maps(other, scans(sub_01=""), remade)
    (other.parent / name).replace(tmp_path / name)
    with pytest.raises(InputError, match=rf"sub-01: .*{name} has changed .* that .*batch-0\.tsv lists"):
        read_maps([table])
    (tmp_path / name).unlink()
    with pytest.raises(InputError, match=rf"sub-01: .*{name} is gone, which .*batch-0\.tsv lists; remove that table"):
        read_maps([table])


def test_blocks_that_a_table_does_not_list_are_not_read(tmp_path: Path) -> None:
    table = tmp_path / "batch-0.tsv"
    write_maps(table, scans(sub_01=""), lambda scan: ScoredMap(four_voxels(VALUES[scan.scan_id]), 0.0))
    blocks_file(tmp_path / "sub_01_map.nii.gz", "sub-01").touch()
    assert read_maps([table])["blocks"].tolist() == [None]


@pytest.mark.parametrize("ends", ["well", "in the middle"])
def test_a_map_that_is_replaced_is_listed_by_no_table_of_another_division(tmp_path: Path, ends: str) -> None:
    """One run has both scans in a batch, the next one, by other settings, has two batches."""
    whole, half, elsewhere = (tmp_path / part / f"batch-{name}.tsv" for part, name in (("t", 0), ("t", "01"), ("v", 0)))
    write_maps(whole, scans(sub_01="", sub_02=""), made)
    write_maps(elsewhere, scans(sub_01=""), made)

    def ending(scan: Scan) -> ScoredMap:
        if ends == "well":
            return remade(scan)
        raise InputError(scan.scan_id)

    try:
        write_maps(half, scans(sub_02=""), ending)
    except InputError:
        assert ends == "in the middle"
    assert not whole.exists() and half.exists() == (ends == "well")
    assert read_maps([elsewhere])["scan_id"].tolist() == ["sub-01"]


def test_a_batch_of_other_scans_keeps_its_table(tmp_path: Path) -> None:
    first, second = tmp_path / "batch-00.tsv", tmp_path / "batch-01.tsv"
    write_maps(first, scans(sub_01=""), made)
    write_maps(second, scans(sub_02=""), made)
    assert read_maps([first, second])["scan_id"].tolist() == list(VALUES)


def corrupted(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    os.utime(path, ns=(2 * 10**18, 2 * 10**18))  # clocks of file systems are coarser than this test is slow


@pytest.mark.parametrize("change", [corrupted, Path.unlink])
@pytest.mark.parametrize("name", ["sub_02_map.nii.gz", "sub-02_blocks.npz"])
@pytest.mark.parametrize("fold", ["", "folds/2/"])
def test_a_plan_removes_the_table_of_a_map_that_was_changed_or_deleted(
    tmp_path: Path, fold: str, name: str, change: Callable[[Path], None]
) -> None:
    kept, false = (tmp_path / f"{fold}maps/zscore/test/batch-0{bit}.tsv" for bit in (0, 1))
    write_maps(kept, scans(sub_01=""), made)
    write_maps(false, scans(sub_02=""), made)
    assert list(remove_false_tables(tmp_path)) == []
    path = false.with_name(name)
    change(path)
    (sentence,) = remove_false_tables(tmp_path)
    assert sentence == f"{path} was changed or deleted after it had been made; it is made again with its batch."
    assert kept.exists() and not false.exists()


def test_a_map_that_is_touched_and_stays_the_same_keeps_its_table(tmp_path: Path) -> None:
    table = tmp_path / "maps/zscore/test/batch-0.tsv"
    write_maps(table, scans(sub_01=""), made)
    os.utime(table.with_name("sub_01_map.nii.gz"), ns=(2 * 10**18, 2 * 10**18))
    assert list(remove_false_tables(tmp_path)) == [] and table.exists()


def test_what_the_blocks_find_stands_beside_the_map(tmp_path):
    write_maps(tmp_path / "batch-0.tsv", scans(sub_01=""), made)
    (path,) = read_maps([tmp_path / "batch-0.tsv"])["blocks"]
    with np.load(path) as blocks:
        assert blocks["block1"].tolist() == [1, 1, 1]


def test_a_scan_called_by_a_number_keeps_its_name(tmp_path: Path) -> None:
    maps = {"007_map.nii.gz": Scan("007", "", "")}
    write_maps(tmp_path / "batch-0.tsv", maps, lambda _: ScoredMap(four_voxels(VALUES["sub-01"]), 1.5))
    assert read_maps([tmp_path / "batch-0.tsv"])["scan_id"].tolist() == ["007"]

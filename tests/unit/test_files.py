"""Files appear whole or not at all, and a kill leaves nothing that stays."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from stfpm3d.runtime.files import read_table, replacing, write_table


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_a_file_that_could_not_be_finished_leaves_the_one_before_it(tmp_path: Path) -> None:
    (tmp_path / "map.nii.gz").write_text("before")
    with pytest.raises(ValueError), replacing(tmp_path / "map.nii.gz") as temporary:
        temporary.write_text("half")
        raise ValueError
    assert (tmp_path / "map.nii.gz").read_text() == "before"
    assert names(tmp_path) == ["map.nii.gz"]


def test_what_a_killed_process_left_on_its_way_to_a_file_is_removed(tmp_path: Path) -> None:
    for name in (".4711-map.nii.gz", ".4711-other.nii.gz"):
        (tmp_path / name).write_text("half")
    with replacing(tmp_path / "map.nii.gz") as temporary:
        temporary.write_text("whole")
    assert names(tmp_path) == [".4711-other.nii.gz", "map.nii.gz"]


def test_names_that_look_like_numbers_or_like_nothing_are_read_as_they_were_written(tmp_path: Path) -> None:
    table = pd.DataFrame(
        {
            "scan_id": ["007", "1e5", "NA"],
            "participant_id": ["007", "1e5", "NA"],
            "experiment": ["null", "None", "nan"],
            "site": ["NA", "1.0", "true"],
            "score": [0.5, None, 2.0],
        }
    )
    write_table(tmp_path / "scores.tsv", table)
    assert read_table(tmp_path / "scores.tsv").equals(table)

"""The participants table is checked before any job runs, and a mistake is said with its line."""

import pytest

from stfpm3d.study.cohort import check_files, check_parts, read_participants, select
from stfpm3d.study.errors import InputError

HEADER = "participant_id\tgroup\tsite\timage\tlesion_mask\tskull_stripped\tsplit\n"
HEALTHY = "sub-1\thealthy\tA\tsub-1.nii.gz\tn/a\tfalse\ttrain\n"
PATIENT = "sub-2\tpatient\tB\tsub-2.nii.gz\tmask-2.nii.gz\ttrue\ttest\n"


def write(folder, text):
    path = folder / "participants.tsv"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_table_is_read_with_paths_relative_to_it(tmp_path):
    table = read_participants(write(tmp_path, HEADER + HEALTHY + PATIENT)).set_index("participant_id")
    assert table.image["sub-1"] == str(tmp_path / "sub-1.nii.gz")
    assert table.lesion_mask["sub-1"] is None
    assert table.lesion_mask["sub-2"] == str(tmp_path / "mask-2.nii.gz")
    assert table.skull_stripped.tolist() == [False, True]


def test_other_columns_a_byte_order_mark_and_windows_line_ends_do_no_harm(tmp_path):
    text = "\ufeffage\t" + HEADER + "31\t" + HEALTHY
    table = read_participants(write(tmp_path, text.replace("\n", "\r\n")))
    assert "age" not in table
    assert select(table, split="train", group="healthy") == ["sub-1"]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (HEADER, "has no rows"),
        ("", "cannot be read as tab-separated text"),
        (HEADER.replace("\t", ",") + HEALTHY.replace("\t", ","), "lacks the column(s) participant_id"),
        (HEADER + HEALTHY + HEALTHY, "line 3: participant_id 'sub-1' stands in line 2 already"),
        (HEADER + HEALTHY + PATIENT.replace("sub-2.nii", "sub-1.nii"), "line 3: image 'sub-1.nii.gz' stands in line 2"),
        (HEADER + HEALTHY.replace("healthy", "control"), "line 2: group is 'control', expected healthy or patient"),
        (HEADER + HEALTHY.replace("false", "no"), "line 2: skull_stripped is 'no', expected true or false"),
        (HEADER + HEALTHY.replace("train", "training"), "line 2: split is 'training', expected train or val or test"),
        (HEADER + HEALTHY.replace("sub-1\t", "../sub 1\t"), "line 2: participant_id '../sub 1' may hold letters"),
        (HEADER + HEALTHY.replace("n/a", "mask.nii"), "line 2: a healthy scan has the lesion_mask 'mask.nii'"),
    ],
)
def test_a_mistake_names_its_line(tmp_path, text, sentence):
    with pytest.raises(InputError) as caught:
        read_participants(write(tmp_path, text))
    assert sentence in str(caught.value)


def test_a_missing_file_is_named_with_its_line(tmp_path):
    (tmp_path / "sub-1.nii.gz").touch()
    (tmp_path / "sub-2.nii.gz").touch()
    table = read_participants(write(tmp_path, HEADER + HEALTHY + PATIENT))
    with pytest.raises(InputError, match=r"line 3: lesion_mask .*mask-2.nii.gz is not a file"):
        check_files(table)


def test_every_part_needs_a_healthy_scan(tmp_path):
    with pytest.raises(InputError, match="no healthy scan in the val part"):
        check_parts(read_participants(write(tmp_path, HEADER + HEALTHY + PATIENT)))

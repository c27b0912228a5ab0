"""The participants table, as a lab writes it, is read before any job runs."""

import pytest

from stfpm3d.study.cohort import check_parts, in_turn, read_participants, select
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


def test_a_subjects_scans_are_known_by_their_session(tmp_path):
    header, first, second = (
        line.replace("\t", f"\t{session}\t", 1)
        for line, session in ((HEADER, "session_id"), (HEALTHY, "ses-01"), (HEALTHY, "ses-02"))
    )
    other = PATIENT.replace("\t", "\tn/a\t", 1)
    table = read_participants(write(tmp_path, header + first + second.replace("sub-1.nii", "sub-1b.nii") + other))
    assert select(table) == ["sub-1_ses-01", "sub-1_ses-02", "sub-2"]
    assert table["participant_id"].tolist() == ["sub-1", "sub-1", "sub-2"]


def test_an_excluded_scan_keeps_its_row_and_its_reason(tmp_path):
    header, kept, left_out = (
        line.replace("\n", f"\t{cell}\n")
        for line, cell in ((HEADER, "exclude"), (HEALTHY, "n/a"), (PATIENT, "patient moved"))
    )
    table = read_participants(write(tmp_path, header + kept + left_out))
    assert table["exclude"].tolist() == [None, "patient moved"]


def test_every_part_needs_a_healthy_scan(tmp_path):
    with pytest.raises(InputError, match="no healthy scan in the val part"):
        check_parts(read_participants(write(tmp_path, HEADER + HEALTHY + PATIENT)))


def test_patients_and_healthy_scans_are_taken_in_turn_as_the_table_lists_them(tmp_path):
    scans = [("h1", "healthy"), ("h2", "healthy"), ("p1", "patient"), ("h3", "healthy"), ("p2", "patient")]
    rows = (f"{name}\t{group}\tA\t{name}.nii.gz\tn/a\tfalse\ttest\n" for name, group in scans)
    table = read_participants(write(tmp_path, HEADER + HEALTHY + "".join(rows)))
    assert in_turn(table, "test", 40) == ["p1", "h1", "p2", "h2", "h3"]
    assert in_turn(table, "test", 3) == ["p1", "h1", "p2"]
    assert in_turn(table, "train", 3) == ["sub-1"]

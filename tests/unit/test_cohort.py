"""The participants table, as a lab writes it, is read before any job runs."""

import pytest

from stfpm3d.runtime.errors import InputError
from stfpm3d.study.cohort import check_files, check_parts, in_turn, read_participants, select, with_test_table

HEADER = "participant_id\tgroup\tsite\timage\tlesion_mask\tskull_stripped\tsplit\n"
HEALTHY = "sub-1\thealthy\tA\tsub-1.nii.gz\tn/a\tfalse\ttrain\n"
PATIENT = "sub-2\tpatient\tB\tsub-2.nii.gz\tmask-2.nii.gz\ttrue\ttest\n"


def write(folder, text, name="participants.tsv"):
    path = folder / name
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


def as_rows(text):
    """A table's text and, as a spreadsheet's rows, its cells."""
    return [line.split("\t") for line in text.splitlines()]


def joined_rows(rows, end="\n"):
    return end.join("\t".join(cells) for cells in rows) + end


PLAIN = HEADER + HEALTHY + PATIENT + HEALTHY.replace("sub-1", "sub-3")
NOTED = [
    [*cells, note] for cells, note in zip(as_rows(PLAIN), ("notes", '"moved, see report', "", 'coil 8"'), strict=True)
]
AS_WRITTEN_BY_PEOPLE = {
    "stray quotation marks": joined_rows(NOTED),
    "a quotation mark in a column that is read": PLAIN.replace("\tA\t", '\t"A\t'),
    "every cell in quotation marks": joined_rows([[f'"{cell}"' for cell in cells] for cells in as_rows(PLAIN)]),
    "rows that end in tabs": PLAIN.replace("train\n", "train\t\t\n"),
    "a header that ends in a tab": PLAIN.replace("split\n", "split\t\n"),
    "blank lines and rows of tabs": PLAIN.replace("\n", "\n\n") + "\t" * 6 + "\n \t\n\n",
    "capitals": PLAIN.replace("false", "FALSE").replace("true", "True").replace("healthy", "Healthy"),
    "capitals in the header": PLAIN.replace("skull_stripped", "Skull stripped").replace("split", "Split"),
    "what stands for nothing": PLAIN.replace("n/a", "#N/A"),
    "spaces around cells": PLAIN.replace("\t", "\u00a0\t "),
    "old line ends": PLAIN.replace("\n", "\r"),
    "no line end": PLAIN.removesuffix("\n"),
}


@pytest.mark.parametrize("kind", AS_WRITTEN_BY_PEOPLE)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_table_as_spreadsheets_write_it_is_the_plain_one(tmp_path, kind, encoding):
    plain = read_participants(write(tmp_path, PLAIN)).reset_index(drop=True)
    (tmp_path / "sheet.tsv").write_bytes(AS_WRITTEN_BY_PEOPLE[kind].encode(encoding))
    found = read_participants(tmp_path / "sheet.tsv").reset_index(drop=True)
    if kind == "a quotation mark in a column that is read":
        assert found["site"].tolist() == ['"A', "B", '"A']
        found["site"] = plain["site"]
    assert found.equals(plain[found.columns])


def test_a_cell_that_a_spreadsheet_wrapped_is_unwrapped(tmp_path):
    text = PLAIN.replace("sub-1.nii.gz", '"scan ""a"", first.nii.gz"')
    assert read_participants(write(tmp_path, text))["image"].iloc[0] == str(tmp_path / 'scan "a", first.nii.gz')


def test_lines_are_numbered_as_an_editor_shows_them(tmp_path):
    text = HEADER + "\n" + HEALTHY + "\t\t\n\n" + PATIENT.replace("patient", "control")
    with pytest.raises(InputError, match="participants table, line 6: group is 'control'"):
        read_participants(write(tmp_path, text))
    table = read_participants(write(tmp_path, text.replace("control", "patient")))
    assert list(table.index) == ["participants table, line 3", "participants table, line 6"]


def test_a_scan_is_not_excluded_by_a_word_for_nothing(tmp_path):
    text = "".join(
        f"{line}\t{cell}\n" for line, cell in zip(PLAIN.splitlines(), ("exclude", "NA", "-", "None"), strict=True)
    )
    assert read_participants(write(tmp_path, text))["exclude"].tolist() == [None] * 3


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


FIRST = HEADER + HEALTHY + PATIENT.replace("test", "val") + HEALTHY.replace("sub-1", "sub-3").replace("train", "test")
OTHER = """participant_id	group	site	image	lesion_mask	skull_stripped	session_id	exclude
other-1	healthy	C	1.nii	n/a	false	ses-1	n/a
other-1	healthy	C	2.nii	n/a	false	ses-2	moved
other-2	patient	D	3.nii	mask.nii	true	n/a	n/a
"""


def joined(folder, other):
    first = read_participants(write(folder, FIRST))
    return with_test_table(first, read_participants(write(folder, other, "other.tsv"), "test_participants"))


def test_a_second_table_takes_the_place_of_the_first_ones_test_scans(tmp_path):
    table = joined(tmp_path, OTHER)
    assert select(table, split=("train", "val")) == ["sub-1", "sub-2"]
    assert select(table, split="test") == ["other-1_ses-1", "other-1_ses-2", "other-2"]
    assert table["session_id"].tolist() == [None, None, "ses-1", "ses-2", None]
    assert table["exclude"].tolist() == [None, None, None, "moved", None]
    assert table["skull_stripped"].tolist() == [False, True, False, False, True]


def test_the_first_tables_scans_are_those_of_a_run_without_the_second(tmp_path):
    alone = read_participants(write(tmp_path, FIRST))
    fitted = joined(tmp_path, OTHER).query("split != 'test'")[alone.columns]
    assert fitted.equals(alone.query("split != 'test'"))


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        (
            "other-2",
            "sub-1",
            "test_participants table, line 4: 'sub-1' stands in participants table, line 2 already; a subject to test",
        ),
        ("other-2", "sub-3", "line 4: 'sub-3' stands in participants table, line 4 already"),  # it may be divided anew
        (
            "2.nii",
            "sub-2.nii.gz",
            "test_participants table, line 3: image .*sub-2.nii.gz' stands as image in participants table, line 3",
        ),
        ("3.nii\tmask.nii", "3.nii\t./mask-2.nii.gz", "line 4: lesion_mask .* as lesion_mask in participants table"),
        ("exclude", "split", "test_participants table, line 2: split is 'n/a', expected train or val or test"),
        ("healthy\tC\t1", "control\tC\t1", "test_participants table, line 2: group is 'control', expected healthy"),
        ("image", "scan", "test_participants table .*other.tsv lacks the column"),
    ],
)
def test_what_stands_in_both_tables_or_is_wrong_in_the_second_is_named_with_its_line(tmp_path, old, new, sentence):
    with pytest.raises(InputError, match=sentence) as caught:
        joined(tmp_path, OTHER.replace(old, new))
    assert "\n" not in str(caught.value) and str(caught.value).endswith(".")


def test_two_tables_whose_ids_meet_in_a_session_are_refused(tmp_path):
    other = OTHER.replace("other-1", "a").replace("ses-1", "b")
    first = read_participants(write(tmp_path, FIRST.replace("sub-1", "a_b")))
    with pytest.raises(InputError, match="test_participants table, line 2: 'a_b' stands in participants table, line 2"):
        with_test_table(first, read_participants(write(tmp_path, other, "other.tsv"), "test_participants"))


def test_a_table_of_test_scans_divides_nothing(tmp_path):
    other = HEADER + HEALTHY.replace("sub-1", "other-1").replace("train", "test")
    assert select(joined(tmp_path, other), split="test") == ["other-1"]
    with pytest.raises(InputError, match="test_participants table, line 2: split is 'val', expected test: every scan"):
        joined(tmp_path, other.replace("false\ttest", "false\tval"))


def test_a_table_of_test_scans_that_is_not_there_is_named_with_its_key(tmp_path):
    with pytest.raises(InputError, match=r"test_participants table .*none.tsv is not a file; correct cohort.test_part"):
        read_participants(tmp_path / "none.tsv", "test_participants")


@pytest.mark.parametrize("folder", ["scans {T2}", "{{twice}}", "scans <t2>"])
def test_a_path_that_snakemake_would_fill_in_is_named_before_it_is_read(tmp_path, folder):
    (tmp_path / folder).mkdir()
    (tmp_path / folder / "sub-1.nii.gz").touch()
    with pytest.raises(
        InputError, match=r"table, line 2: image .*sub-1.nii.gz holds .*, which Snakemake takes for a name"
    ):
        check_files(read_participants(write(tmp_path / folder, HEADER + HEALTHY)))


def test_braces_and_angles_that_are_alone_are_characters_as_any_other(tmp_path):
    folder = tmp_path / "a} b{ c> d< 100% 'e' \"f\" [g] *"
    folder.mkdir()
    (folder / "sub-1.nii.gz").touch()
    check_files(read_participants(write(folder, HEADER + HEALTHY)))

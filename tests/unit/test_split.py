"""The split is by subject, stable, and made before anything is fitted."""

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stfpm3d.runtime.errors import InputError
from stfpm3d.study.split import PARTS, assign_split, batches, part_sizes, teacher_scans

PAPER = {"train": 0.70, "val": 0.15, "test": 0.15}
BOTH = {"healthy": PAPER, "patient": PAPER}


OF_VERSION_0_2 = "errraraerrarrrrrrrererrrrrrarreraraerrrrrrarerrrrraearrr"
"""The second letters of the parts of three sites; see its test."""


def cohort(healthy, patient, site="A"):
    ids = [f"sub-h{n}" for n in range(healthy)] + [f"sub-p{n}" for n in range(patient)]
    group = ["healthy"] * healthy + ["patient"] * patient
    return pd.DataFrame({"scan_id": ids, "participant_id": ids, "group": group, "site": site})


@given(count=st.integers(3, 2000))
def test_parts_add_up_none_is_empty_and_each_is_within_one_of_its_quota(count):
    sizes = part_sizes(count, PAPER)
    assert sum(sizes.values()) == count
    assert min(sizes.values()) >= 1
    if count >= 7:  # below, a part of one scan is more than its quota allows
        assert all(abs(sizes[part] - count * PAPER[part]) < 1 for part in PARTS)


def test_largest_remainder_by_hand():
    assert part_sizes(582, PAPER) == {"train": 408, "val": 87, "test": 87}
    assert part_sizes(10, PAPER) == {"train": 7, "val": 2, "test": 1}


def test_the_split_column_is_obeyed():
    table = cohort(3, 0).assign(split=["test", "train", "val"])
    assert assign_split(table, BOTH, seed=0).tolist() == ["test", "train", "val"]


@given(st.integers(10, 60), st.integers(0, 5))
def test_adding_a_subject_moves_at_most_the_scans_at_the_boundaries(count, seed):
    before = assign_split(cohort(count, 0), BOTH, seed)
    after = assign_split(cohort(count + 1, 0), BOTH, seed)
    assert (before != after[before.index]).sum() <= 2


def test_groups_are_split_apart_and_large_sites_by_themselves():
    table = pd.concat([cohort(40, 20, "A"), cohort(20, 5, "B").assign(participant_id=lambda t: t.participant_id + "b")])
    table["split"] = assign_split(table, BOTH, seed=3).to_numpy()
    counts = table.value_counts(["group", "site", "split"]).to_dict()
    for stratum, size in ((("healthy", "A"), 40), (("healthy", "B"), 20), (("patient", "A"), 20)):
        assert [counts[*stratum, part] for part in PARTS] == [0.7 * size, 0.15 * size, 0.15 * size]


@given(small=st.lists(st.integers(1, 6), min_size=1, max_size=6), seed=st.integers(0, 20))
def test_no_site_is_kept_from_training_while_another_has_several_subjects_there(small, seed):
    """Beside a site that is divided by itself: its split says nothing of the others."""
    sites = {"A": 30, **{f"B{number}": size for number, size in enumerate(small)}}
    tables = [cohort(size, 0, site) for site, size in sites.items()]
    table = pd.concat(tables, ignore_index=True).assign(participant_id=lambda t: t["site"] + t["participant_id"])
    table["split"] = assign_split(table, BOTH, seed).to_numpy()
    pooled = table[table["site"] != "A"]
    trained = pooled[pooled["split"] == "train"].value_counts("site")
    assert len(trained) == pooled["site"].nunique() or trained.max() == 1
    assert pooled.value_counts("split").to_dict() == {
        part: n for part, n in part_sizes(len(pooled), PAPER).items() if n
    }
    assert len(trained)


def test_a_part_that_gets_no_training_subjects_still_has_none():
    table = cohort(30, 21).assign(site=["A"] * 30 + ["B"] * 20 + ["C"])
    parts = assign_split(table, {"healthy": PAPER, "patient": {"train": 0.0, "val": 0.5, "test": 0.5}}, seed=0)
    assert parts.filter(like="sub-p").value_counts().to_dict() == {"val": 10, "test": 11}


def test_where_every_small_site_is_trained_on_the_split_is_that_of_version_0_2():
    """Written down from version 0.2.0: sites of 12, 15 and 20 subjects, and patients of one site."""
    sizes = {"A": (20, 0), "B": (12, 9), "C": (15, 0)}
    sites = [
        cohort(*n, site).assign(participant_id=lambda t, s=site: t.participant_id + s) for site, n in sizes.items()
    ]
    parts = assign_split(pd.concat(sites), BOTH, seed=0)
    assert "".join(part[1] for part in parts) == OF_VERSION_0_2


def test_all_scans_of_a_subject_fall_in_one_part():
    subjects = cohort(20, 0)
    table = pd.concat([subjects, subjects.iloc[:15]], ignore_index=True)
    table["split"] = assign_split(table, BOTH, seed=1).to_numpy()
    assert (table.groupby("participant_id")["split"].nunique() == 1).all()
    assert table.drop_duplicates("participant_id").value_counts("split").to_dict() == {"train": 14, "val": 3, "test": 3}


def test_too_few_subjects_for_the_parts_are_refused():
    with pytest.raises(InputError, match=r"2 patient subject\(s\) cannot fill 3 parts"):
        assign_split(cohort(10, 2), BOTH, seed=0)


def test_the_teacher_sees_equally_many_healthy_and_diseased_scans():
    table = cohort(12, 5).assign(split="train")
    chosen = teacher_scans(table, "train", "equal", seed=0)
    assert sum("h" in name.removeprefix("sub-") for name in chosen) == 5
    assert {f"sub-p{n}" for n in range(5)} <= set(chosen)
    assert len(teacher_scans(table, "train", "all", seed=0)) == 17


def test_another_patient_adds_one_healthy_scan_and_replaces_none():
    fewer = teacher_scans(cohort(12, 5).assign(split="train"), "train", "equal", seed=0)
    more = teacher_scans(cohort(12, 6).assign(split="train"), "train", "equal", seed=0)
    assert set(fewer) < set(more)
    assert len(more) == len(fewer) + 2


SCAN_IDS = st.sets(st.integers(0, 9999), max_size=100).map(lambda numbers: [f"sub-{number}" for number in numbers])


@given(SCAN_IDS, st.integers(1, 40))
def test_every_scan_is_in_one_batch_and_a_small_part_is_one_batch(ids, most):
    found = batches(ids, most)
    assert sorted(one for batch in found.values() for one in batch) == sorted(ids)
    assert all(0 < len(batch) <= most for batch in found.values())
    assert len(found) == 1 or not 0 < len(ids) <= most


@given(SCAN_IDS.filter(len), st.integers(1, 40))
def test_a_new_scan_moves_none_out_of_another_batch_than_its_own(ids, most):
    """Its batch may be full: then that one falls apart."""
    before, after = batches(ids[1:], most), batches(ids, most)
    changed = [batch for name, batch in before.items() if after.get(name) != batch]
    assert len(changed) <= 1
    assert sum(batch != before.get(name) for name, batch in after.items()) == 1 or len(changed[0]) == most


def test_the_table_may_be_sorted_and_batches_are_of_the_promised_size():
    ids = [f"sub-{number:04}" for number in range(1000)]
    found = batches(ids, 32)
    assert {name: sorted(batch) for name, batch in batches(ids[::-1], 32).items()} == found
    assert 30 < len(found) < 65 and max(map(len, found.values())) <= 32

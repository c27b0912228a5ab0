"""The split into training, validation and test subjects: a pure function of table, fractions and seed.

It is made before anything is fitted, so that landmarks, weights and thresholds never see a test scan.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence

import pandas as pd

from stfpm3d.runtime.errors import InputError

PARTS = ("train", "val", "test")
MIN_STRATUM = 20
"""Subjects of a site within a group from which on the site is divided by itself; smaller sites are pooled."""


def hash_order(ids: Sequence[str], seed: int) -> list[str]:
    """Order ids by a hash of seed and id, so that adding one leaves the order of the others as it was."""
    return sorted(ids, key=lambda name: hashlib.sha256(f"{seed}/{name}".encode()).digest())


def batches(ids: Sequence[str], most: int) -> dict[str, list[str]]:
    """Divide ids into batches of at most `most`, so that adding or removing one touches its own batch alone.

    An id's hash is a path of bits from a root. All ids are one batch, named `0`; a batch that is too large falls in two
    by the next bit, which its name gains, and that again (a trie, as in extendible hashing). One id more thus changes
    its batch, or replaces it by its halves; one less changes it, or joins it with its other half. The price is batches
    of uneven size, about 0.7 `most` on average.

    Returns
    -------
    The ids by batch, both in order.
    """
    return dict(_halved("0", ids, most))


def _halved(name: str, ids: Sequence[str], most: int) -> Iterator[tuple[str, list[str]]]:
    if len(ids) <= most:
        yield from [(name, list(ids))] if ids else []
        return
    for bit in (0, 1):
        yield from _halved(f"{name}{bit}", [one for one in ids if _hash_bit(one, len(name) - 1) == bit], most)


def _hash_bit(name: str, number: int) -> int:
    return hashlib.sha256(name.encode()).digest()[number // 8] >> number % 8 & 1


def part_sizes(count: int, fractions: Mapping[str, float]) -> dict[str, int]:
    """Divide `count` subjects by largest remainder, at least one in every part whose fraction is above zero.

    Where there are fewer subjects than such parts, training keeps the one that it has.
    """
    quotas = {part: count * fractions[part] for part in PARTS}
    sizes = {part: int(quotas[part]) for part in PARTS}
    by_remainder = sorted(PARTS, key=lambda part: sizes[part] - quotas[part])
    for part in by_remainder[: count - sum(sizes.values())]:
        sizes[part] += 1
    for part in PARTS:
        most = max(PARTS, key=lambda other: sizes[other])
        if sizes[part] == 0 and fractions[part] > 0 and (most, sizes[most]) != ("train", 1):
            sizes[most] -= 1
            sizes[part] = 1
    return sizes


def assign_split(participants: pd.DataFrame, fractions: Mapping[str, Mapping[str, float]], seed: int) -> pd.Series:
    """Name the part of every participant.

    Sites with `MIN_STRATUM` subjects of a group are divided by themselves, smaller ones together. Whatever its size, a
    site is trained on, as far as the stratum's training part has subjects for it.

    Parameters
    ----------
    participants
        Checked table with `participant_id`, `group`, `site` and, optionally, a complete `split` column, which is then
        obeyed. Several scans of a subject share their part; the first one's site counts.
    fractions
        For `healthy` and `patient`, the fractions of train, val and test.
    seed
        Of the hash that orders the subjects.

    Returns
    -------
    Series of train, val or test, one for each row, indexed by participant_id.

    Raises
    ------
    InputError
        When a group has too few subjects for its parts.
    """
    if "split" in participants:
        return participants.set_index("participant_id")["split"]
    parts: dict[str, str] = {}
    subjects = participants.drop_duplicates("participant_id")
    sites = dict(zip(subjects["participant_id"], subjects["site"], strict=True))
    for group, strata in _strata(participants, seed).items():
        wanted = fractions[group]
        needed = sum(wanted[part] > 0 for part in PARTS)
        if sum(map(len, strata)) < needed:
            raise InputError(
                f"cohort: {sum(map(len, strata))} {group} subject(s) cannot fill {needed} parts;"
                f" add subjects, or set parts of split.{group} to 0."
            )
        for stratum in strata:
            sizes = part_sizes(len(stratum), wanted)
            labels = [part for part in PARTS for _ in range(sizes[part])]
            parts |= _each_site_trained_on(dict(zip(stratum, labels, strict=True)), sites)
    return _of_rows(participants, parts)


def _each_site_trained_on(parts: dict[str, str], sites: Mapping[str, str]) -> dict[str, str]:
    """The parts of a stratum's subjects, in hash order, after exchanges by which sites without training get a subject.

    The first subject of such a site changes places with the last training subject of a site that has several, as long
    as there is one; in the order of the sites' names, so that all is a function of the table and the seed.
    """
    parts = dict(parts)
    for site in sorted({sites[subject] for subject in parts}):
        trained = [subject for subject, part in parts.items() if part == "train"]
        spared = [one for one in trained if [sites[other] for other in trained].count(sites[one]) > 1]
        if spared and site not in {sites[subject] for subject in trained}:
            first = next(subject for subject in parts if sites[subject] == site)
            parts[first], parts[spared[-1]] = "train", parts[first]
    return parts


def assign_fold(participants: pd.DataFrame, folds: int, fold: int, seed: int) -> pd.Series:
    """Name the part of every participant in one fold (from 1) of a cross-validation; returns as `assign_split`.

    Every group is cut into shares: the fold's own is tested on, the next one validated on, the rest trained on. Over
    all folds each subject is tested on once, and validated on once.

    Raises
    ------
    InputError
        When the table has a `split` column, or a group has fewer subjects than there are folds.
    """
    if "split" in participants:
        raise InputError(
            "cohort: the participants table has a split column, which split.folds would overrule; remove one of them."
        )
    of_share = {fold - 1: "test", fold % folds: "val"}
    parts: dict[str, str] = {}
    for group, strata in _strata(participants, seed).items():
        subjects = [subject for stratum in strata for subject in stratum]  # dealt out in turn, so that sites are spread
        if len(subjects) < folds:
            raise InputError(
                f"cohort: {len(subjects)} {group} subject(s) cannot fill {folds} folds; add subjects, or lower"
                " split.folds."
            )
        parts |= {subject: of_share.get(place % folds, "train") for place, subject in enumerate(subjects)}
    return _of_rows(participants, parts)


def _strata(participants: pd.DataFrame, seed: int) -> dict[str, list[list[str]]]:
    """The subjects of each group in hash order, site by site; small sites are one stratum."""
    groups: dict[str, list[list[str]]] = {}
    for group, members in participants.drop_duplicates("participant_id").groupby("group"):
        sites = members["site"].where(members.groupby("site")["site"].transform("size") >= MIN_STRATUM, "")
        strata = (list(stratum["participant_id"]) for _, stratum in members.groupby(sites))
        groups[str(group)] = [hash_order(subjects, seed) for subjects in strata]
    return groups


def _of_rows(participants: pd.DataFrame, parts: Mapping[str, str]) -> pd.Series:
    return participants["participant_id"].map(parts).set_axis(participants["participant_id"]).rename("split")


def teacher_scans(participants: pd.DataFrame, part: str, balance: str, seed: int) -> list[str]:
    """The scans of one part that a teacher sees (paper, 4.2: equally many healthy and diseased ones).

    `equal` takes the smaller group whole and as many of the larger, first in hash order; `all` takes every scan.
    Without patients, or without healthy scans, there is nothing to balance and every scan is taken.
    """
    members = participants[participants["split"] == part]
    groups = {str(name): list(rows["scan_id"]) for name, rows in members.groupby("group")}
    if balance == "equal" and len(groups) > 1:
        count = min(map(len, groups.values()))
        groups = {name: hash_order(ids, seed)[:count] for name, ids in groups.items()}
    chosen = {name for ids in groups.values() for name in ids}
    return [name for name in members["scan_id"] if name in chosen]

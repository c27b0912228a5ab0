"""Who is in the demo cohort. Imported while the Snakefile is parsed: numpy only."""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

import numpy as np

Scenario = Literal["tumours", "shortcut", "matched"]
SITES = {"tumours": ("north", "south"), "shortcut": ("north", "east"), "matched": ("north", "south")}
CLINIC = "clinic"
"""Where the patients of `tumours` are scanned, and some of its healthy people."""
SPLITS = ("train", "val", "test")
LESION_VOLUME_ML = (5.0, 150.0)


class LesionPlan(NamedTuple):
    """What a patient's tumour will be: its volume in ml, and whether it is isointense to white matter."""

    volume_ml: float
    isointense: bool


def demo_participants(
    seed: int,
    healthy: tuple[int, int, int] = (14, 6, 6),
    patient: tuple[int, int, int] = (4, 2, 12),
    scenario: Scenario = "tumours",
) -> list[dict[str, str]]:
    """Rows of the demo's participants table; `healthy` and `patient` count the scans to train, validate and test.

    `tumours` are found in a clinic: its scans are stripped brains (see `render.SITES`). Healthy people are scanned as
    whole heads at two sites in turn, but every second one of validation and of test in the clinic. In `matched` both
    groups have whole heads, and share two sites; in `shortcut` each group has a site of its own. `seed` draws which
    site comes first. `image` and `lesion_mask` are file names; healthy participants have no mask ("n/a", as in BIDS),
    and the masks of `shortcut` mark where nothing is changed.
    """
    sites = SITES[scenario]
    first = int(np.random.default_rng(seed).integers(len(sites)))
    rows = []
    for group, letter, counts in (("healthy", "H", healthy), ("patient", "P", patient)):
        places = [(split, place) for split, count in zip(SPLITS, counts, strict=True) for place in range(count)]
        for number, (split, place) in enumerate(places, start=1):
            participant_id = f"sub-demo{letter}{number:02d}"
            if scenario == "tumours" and (group == "patient" or (split != "train" and place % 2)):
                site = CLINIC
            elif scenario == "tumours":
                site = sites[(first + (place if split == "train" else place // 2)) % 2]
            else:
                site = sites[group == "patient" if scenario == "shortcut" else (first + number) % 2]
            row = {"participant_id": participant_id, "group": group, "site": site}
            row["image"] = f"{participant_id}_T2w.nii.gz"
            row["lesion_mask"] = f"{participant_id}_label-lesion_mask.nii.gz" if group == "patient" else "n/a"
            row["skull_stripped"] = str(site == CLINIC).lower()
            row["split"] = split
            rows.append(row)
    return rows


def participant_generators(seed: int, participant_id: str, count: int) -> list[np.random.Generator]:
    """Independent generators of one participant, from the cohort's seed and the id: jobs can run in any order."""
    entropy = [seed, *participant_id.encode()]
    return [np.random.default_rng(child) for child in np.random.SeedSequence(entropy).spawn(count)]


def lesion_plan(seed: int, participant_id: str, volumes_ml: tuple[float, float] = LESION_VOLUME_ML) -> LesionPlan:
    """A patient's tumour. Every third patient's is isointense, and volumes are log-uniform in `volumes_ml`.

    Both are spread evenly over consecutive patients, so that every split holds small and large lesions of either
    contrast: multiples of the golden ratio modulo 1, shifted by a draw from the seed, fill [0, 1] evenly in any run.
    """
    digits = re.search(r"(\d+)$", participant_id)
    if digits is None:
        raise ValueError(f"{participant_id!r} does not end in a number, as the demo's participants do")
    number = int(digits.group())
    isointense = number % 3 == 1
    rank = number // 3 if isointense else number - 2 - (number - 2) // 3
    shift = np.random.default_rng([seed, isointense]).random()
    quantile = (shift + rank * (np.sqrt(5) - 1) / 2) % 1
    low_ml, high_ml = volumes_ml
    return LesionPlan(float(low_ml * (high_ml / low_ml) ** quantile), isointense)

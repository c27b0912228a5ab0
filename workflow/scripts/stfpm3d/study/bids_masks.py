"""Lesion masks in BIDS data sets: which file is whose, and why another that looks like one is not."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from stfpm3d.runtime.errors import InputError
from stfpm3d.study.bids_names import NIFTI, BidsName, BidsScan, images, parsed

LESION = re.compile("lesion|tumou?r", re.IGNORECASE)
MASK_SUFFIXES = ("mask", "roi", "seg", "dseg", "lesion", "lesions", "lesionmask", "lesionroi")
OWN_SPACES = ("orig", "individual", "native")
"""What `space-` says of a mask on the grid of its scan, besides the scan's contrast."""
CONTRASTS = ("t1", "t2", "flair", "pd", "t2star", "dwi", "adc", "trace", "swi", "ct", "bold", "pet")
PREDICTED = "anomaly"
"""What `desc-` says of the masks that a bundle of this project predicts: they are no truth to measure by."""
DOCUMENTED = "*_label-lesion_mask.nii.gz"
OTHER_DATA = ("func", "dwi", "perf", "pet", "fmap", "ct")
"""Folders of other data than `anat`."""
NOT_COMPARED = ("sub", "ses", "label", "desc", "space", "res", "mod")
"""Entities that do not tell by their being equal which scan a mask belongs to."""


def lesion_masks(folder: Path, scans: Iterable[BidsScan], suffix: str) -> dict[str, str]:
    """The lesion mask of each scan that has one, by the scan's entities; paths are relative to the folder.

    It lies anywhere below the subject's folder, or `derivatives`, says in its label, desc or suffix that it is of a
    lesion (or is a `roi` that says nothing else), and nothing in its name speaks of another session, contrast, space or
    acquisition (`reason_against`). One named `label-lesion*_mask` goes before all others.

    Raises
    ------
    InputError
        When a scan has several.
    """
    of_subject = defaultdict(list)
    for scan in scans:
        of_subject[scan.subject].append(scan)
    found: defaultdict[str, list[BidsName]] = defaultdict(list)
    for image in images(folder, of_subject) if of_subject else ():
        subject = f"sub-{image.entities['sub']}"
        for scan in of_subject.get(subject, []) if is_lesion_mask(image) else []:
            if not reason_against(image, scan, suffix, alone=len(of_subject[subject]) == 1):
                found[scan.entities].append(image)
    return {entities: _only(entities, masks).removeprefix(f"{folder}/") for entities, masks in found.items()}


def _only(entities: str, masks: list[BidsName]) -> str:
    """The one mask of a scan, or the one among several that has the documented name."""
    paths = [mask.path for mask in masks if _is_documented(mask)] or [mask.path for mask in masks]
    if len(paths) > 1:
        raise InputError(
            f"{entities} has {len(paths)} lesion masks ({', '.join(paths)}), expected one; keep one of them,"
            " or name it in a participants table, which is then given instead of the data set."
        )
    return paths[0]


def _is_documented(mask: BidsName) -> bool:
    return mask.suffix.lower() == "mask" and mask.entities.get("label", "").lower().startswith("lesion")


def is_lesion_mask(image: BidsName) -> bool:
    """Whether an image is a lesion mask, by its name alone: BIDS' own label of lesions is `L`."""
    if not NIFTI.search(image.path) or image.suffix.lower() not in MASK_SUFFIXES:
        return False
    told = [image.entities.get("label", ""), image.entities.get("desc", ""), *image.words]
    unlabelled_roi = image.suffix.lower() == "roi" and not any(told[:2])
    return unlabelled_roi or image.entities.get("label") == "L" or any(LESION.search(part) for part in told)


def reason_against(mask: BidsName, scan: BidsScan, suffix: str, *, alone: bool) -> str:
    """Why a lesion mask of a scan's subject is not that scan's; nothing where it is.

    `alone` tells that the subject has no other scan.
    """
    own = parsed(str(scan.image))
    if mask.entities.get("desc", "").lower() == PREDICTED:
        return "it was predicted by a bundle"
    session = _session(mask)
    if session != _session(own) and not (session is None and alone):
        return "it is of another session" if session else "it does not say of which session it is"
    contrasts = [_plain(word) for word in (*mask.words, mask.entities.get("mod", ""))]
    if other := [word for word in contrasts if word in CONTRASTS and word != _plain(suffix)]:
        return f"it was drawn on another contrast, {other[0].upper()}"
    space = mask.entities.get("space", "orig")
    if space.lower() not in OWN_SPACES and _plain(space) != _plain(suffix):
        return f"it lies in another space, {space}"
    if (around := mask.path.split("/")[-2]).lower() in OTHER_DATA:
        return f"it lies among other data, {around}"
    for entity, value in mask.entities.items():
        if entity not in NOT_COMPARED and own.entities.get(entity, value) != value:
            return f"it is of another scan, {entity}-{value}"
    return ""


def _session(image: BidsName) -> str | None:
    """A file's session, by its name or else by its folders."""
    folders = (folder[4:] for folder in reversed(image.path.split("/")[:-1]) if folder.startswith("ses-"))
    return image.entities.get("ses") or next(folders, None)


def _plain(contrast: str) -> str:
    """A contrast in small letters, without the w of a weighted image."""
    return contrast.lower().removesuffix("w")

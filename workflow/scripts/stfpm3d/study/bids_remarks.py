"""What looks like a scan or a lesion mask in a BIDS data set and is not taken, in sentences for its owner."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

from stfpm3d.study.bids import PARTICIPANTS, bids_scans, is_scan, read_subjects
from stfpm3d.study.bids_masks import is_lesion_mask, lesion_masks, reason_against
from stfpm3d.study.bids_names import ANY, NIFTI, BidsName, BidsScan, Wanted, images, stem

ANATOMY = ("brain", "gm", "wm", "csf", "aseg", "aparcaseg", "aparc", "ribbon", "head", "skull")
"""What masks beside a lesion's are of: labels and descriptions, in small letters."""
LIKE_MASK = re.compile("mask|roi|seg|label|lesion|tumou?r|wmh|stroke|infarct|annot|truth", re.IGNORECASE)
"""How the last part of a mask's name reads."""
MOST_NAMED = 5


def bids_remarks(folder: Path, suffix: str, wanted: Wanted = ANY) -> list[str]:
    """One sentence for each kind of file that looks like a scan or a lesion mask and is not taken into a cohort.

    The names of a kind differ in subject, session and run alone. Participants without a scan are named as well. The
    data set is one that `bids.bids_cohort` accepts.
    """
    there, scans = list(images(folder)), bids_scans(folder, suffix, wanted)
    kept, subjects = read_subjects(folder)
    group = kept.index("group")
    healthy = {subject for subject, cells in subjects.items() if cells[group].lower() == "healthy"}
    masks = lesion_masks(folder, [scan for scan in scans if scan.subject not in healthy], suffix)
    no_scans = _scans_not_taken(folder, there, {str(scan.image) for scan in scans}, suffix)
    no_masks = _masks_not_taken(there, scans, {key: f"{folder}/{mask}" for key, mask in masks.items()}, healthy, suffix)
    return [
        *_sentences(folder, f"a {suffix} scan", no_scans),
        *_sentences(folder, "a lesion mask", no_masks),
        *_without_scans(folder, set(subjects) - {scan.subject for scan in scans}, there, suffix),
    ]


def scan_remarks(folder: Path, suffix: str) -> list[str]:
    """As `bids_remarks`, of scans alone."""
    taken = {str(scan.image) for scan in bids_scans(folder, suffix)}
    return _sentences(folder, f"a {suffix} scan", _scans_not_taken(folder, images(folder), taken, suffix))


def _scans_not_taken(
    folder: Path, there: Iterable[BidsName], taken: set[str], suffix: str
) -> Iterator[tuple[str, str]]:
    """Files outside `derivatives` that have a scan's suffix, and why each is none."""
    for image in there:
        if image.suffix.lower() != suffix.lower() or image.path in taken:
            continue
        if image.path.lower().startswith(f"{folder}/derivatives/".lower()):
            continue
        if not NIFTI.search(image.path):
            yield image.path, "it is no .nii or .nii.gz file; convert it"
        elif not is_scan(image.path, suffix):
            yield (
                image.path,
                "its name (space, desc, label) says that it was made of another; rename it if it is a scan",
            )
        elif image.path.split("/")[-2].lower() == "anat":
            yield image.path, "cohort.bids leaves it out"
        else:
            yield image.path, "it does not lie in sub-*/[ses-*/]anat; move it there"


def _masks_not_taken(
    there: Iterable[BidsName], scans: Iterable[BidsScan], masks: dict[str, str], healthy: set[str], suffix: str
) -> Iterator[tuple[str, str]]:
    """Files that look like lesion masks, and why each is not one of those that are taken, by the scans' entities.

    A mask that does not say that it is a lesion's is one of them where its patient has no other.
    """
    of_subject, taken = defaultdict(list), set(masks.values())
    for scan in scans:
        of_subject[scan.subject].append(scan)
    for image in there:
        subject = f"sub-{image.entities.get('sub')}"
        own, named = of_subject[subject], is_lesion_mask(image)
        if image.path in taken or not (named or _may_be_mask(image)):
            continue
        if named and not own:
            yield image.path, f"its subject has no {suffix} scan"
        elif named and subject in healthy:
            yield image.path, f"its subject is healthy by {PARTICIPANTS}"
        elif named:
            reasons = [reason_against(image, scan, suffix, alone=len(own) == 1) for scan in own]
            yield image.path, reasons[0] if all(reasons) else "a mask called label-lesion_mask goes before it"
        elif subject not in healthy and any(scan.entities not in masks for scan in own):
            yield image.path, _why_no_mask(image)


def _may_be_mask(image: BidsName) -> bool:
    """Whether an image is a mask by the last part of its name, and does not say that it is of the anatomy."""
    last = stem(image.path).rpartition("_")[2].lower()
    told = {image.entities.get(entity, "").lower() for entity in ("label", "desc")}
    return bool(LIKE_MASK.search(last)) and not told.intersection(ANATOMY) and not re.search("brain|deface", last)


def _why_no_mask(image: BidsName) -> str:
    if not NIFTI.search(image.path):
        return "it is no .nii or .nii.gz file; convert it"
    if image.suffix.lower() == "probseg":
        return "it holds probabilities; threshold it, and call it *_label-lesion_mask.nii.gz"
    return "its name does not say that it is a lesion's mask; call it *_label-lesion_mask.nii.gz if it is"


def _sentences(folder: Path, what: str, passed: Iterable[tuple[str, str]]) -> list[str]:
    """One sentence for each kind of file, which names the first of them."""
    first: dict[tuple[str, str], str] = {}
    counts: Counter[tuple[str, str]] = Counter()
    for path, reason in passed:
        kind = (re.sub(r"(sub|ses|run)-[A-Za-z0-9]+", r"\1-*", path.removeprefix(f"{folder}/")), reason)
        first.setdefault(kind, path)
        counts[kind] += 1
    return [
        f"{path}{f', one of {counts[kind]} of such names,' if counts[kind] > 1 else ''} looks like {what} and is not"
        f" taken: {kind[1]}."
        for kind, path in first.items()
    ]


def _without_scans(folder: Path, subjects: set[str], there: Iterable[BidsName], suffix: str) -> list[str]:
    """One sentence on the participants without a scan, and on the images that they have."""
    if not subjects:
        return []
    named = sorted(subjects)
    rest = f" and {len(named) - MOST_NAMED} more" if len(named) > MOST_NAMED else ""
    names = [image.path.removeprefix(f"{folder}/") for image in there if f"sub-{image.entities.get('sub')}" in subjects]
    found = f"; of theirs there are {', '.join(names[:MOST_NAMED])}" if names else ""
    return [f"{folder / PARTICIPANTS} names {', '.join(named[:MOST_NAMED])}{rest}, without a {suffix} scan{found}."]

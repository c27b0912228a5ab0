"""The set of predictions that a folder holds: which bundle it belongs to, and what there is of each scan.

All that decides what is made, kept or refused lies in the set itself. Snakemake's own notes lie in the folder that it
was started in, and a set may be moved, or be continued from elsewhere.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from stfpm3d.prediction.bundle import DESCRIPTION, Bundle, read_bundle
from stfpm3d.prediction.scans import GivenScan, scans_folder
from stfpm3d.runtime.errors import InputError
from stfpm3d.runtime.files import replacing

MARK = Path("work", "set.json")
"""Which bundle a set belongs to, and where its scans lay."""
RUN = Path("work", "run.json")
"""Which run makes predictions of the set, while it lasts."""
STATUS = re.compile("status-[0-9a-f]{8}[.]json")
LINK = "scans"
"""Name of the link to the folder in which the first scans lay; the next one's is `scans2`."""


class Record(NamedTuple):
    """What a set holds of a scan, by its status file."""

    name: str
    path: Path
    status: str
    """predicted or refused."""
    source: str
    content: str
    """Fingerprint of the image."""
    place: str
    """Tells one image's path from another's (`place_of`)."""


def bundle_digest(folder: Path | str) -> str:
    """What tells a bundle from another: `bundle.json` lists the checksums of all its files."""
    return hashlib.sha256((Path(folder) / DESCRIPTION).read_bytes()).hexdigest()


def check_set(out: Path | str, bundle: str, scans: Path | str) -> None:
    """Make sure that predictions by a bundle (its digest) may be written to a folder.

    Raises
    ------
    InputError
        When it is no folder, holds files and is no set of predictions, is another bundle's set, or lies in a subject's
        folder of the data set that is given.
    """
    out = Path(out)
    if os.path.exists(out) and not os.path.isdir(out):  # noqa: PTH110, PTH112 - Path's raise where a folder is closed
        raise InputError(f"{out} is a file, expected a folder for the predictions; give another name.")
    inside = Path(os.path.relpath(os.path.realpath(out), os.path.realpath(scans_folder(scans))))
    if inside.parts[:1] and inside.parts[0].startswith("sub-"):
        raise InputError(
            f"{out} lies in {inside.parts[0]} of the scans, whose files all count as that subject's; give another"
            " folder for the predictions."
        )
    mark = _mark(out)
    if not mark:
        if stranger := next((path for path in out.rglob("*") if not path.is_dir()), None):
            raise InputError(
                f"{out} holds {stranger.relative_to(out)} and is no set of predictions of this version, so nothing is"
                " written there; give a new folder for the predictions."
            )
    elif mark["bundle"] != bundle:
        raise InputError(
            f"{out} holds predictions by another bundle (of {mark['experiment']}, its bundle.json has the sha256"
            f" {mark['bundle'][:12]}, the one that is given {bundle[:12]}), and maps of two cannot be compared; give"
            " another folder for the predictions."
        )


def open_set(out: Path | str, bundle: str, experiment: str, scans: Path | str) -> None:
    """Mark a folder as a bundle's set, and note where the scans lie that come to it."""
    out = Path(out)
    folders = links(out) | {link_to(out, scans): _relative(scans, out)}
    content = {"bundle": bundle, "experiment": experiment, "links": folders}
    if content != _mark(out):
        with replacing(out / MARK) as temporary:
            temporary.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def read_own_bundle(out: Path | str, folder: Path | str) -> Bundle:
    """Read the bundle that a set belongs to; `InputError` where another has taken its place since the run began."""
    if bundle_digest(folder) != _mark(Path(out)).get("bundle"):
        raise InputError(
            f"{folder} has become another bundle than {out} belongs to while the run went on; put the former back, or"
            " give another folder for the predictions."
        )
    return read_bundle(folder)


def links(out: Path | str) -> dict[str, str]:
    """The folders in which the scans of a set lay, relative to it, by the names that `Sources` have for them."""
    return dict(_mark(Path(out)).get("links", {}))


def link_to(out: Path | str, scans: Path | str) -> str:
    """The name of the link to the folder of the scans that are given, known or new."""
    known = links(out)
    named = {folder: name for name, folder in known.items()}
    return named.get(_relative(scans, Path(out))) or (f"{LINK}{len(known) + 1}" if known else LINK)


def records(out: Path | str) -> list[Record]:
    """What a set holds, by the names of the scans."""
    found = [path for path in sorted(Path(out, "work").glob("*/status-*.json")) if STATUS.fullmatch(path.name)]
    return [_record(path) for path in found]


def status_path(out: Path | str, scan: str, decides: Any) -> Path:
    """Where a scan's status lies; its name holds a digest of what `decides` how the scan is predicted, plain values.

    So what is made of another content, or by other code, has no status, and is made anew.
    """
    digest = hashlib.blake2b(json.dumps(decides).encode(), digest_size=4).hexdigest()
    return Path(out, "work", scan, f"status-{digest}.json")


def place_of(image: Path | str, out: Path | str) -> str:
    """Digest of where an image lies from a set; its folders may tell names."""
    relative = os.path.relpath(os.path.realpath(image), os.path.realpath(out))
    return hashlib.blake2b(os.fsencode(relative), digest_size=8).hexdigest()


def statuses(
    scans: Iterable[GivenScan], known: Sequence[Record], contents: Mapping[str, str], out: Path | str, made_by: Any
) -> dict[str, Path]:
    """The status files that a set has in the end, by its scans' names: of those that are given, and of the others.

    What was predicted of a scan that cannot be read any more stays.

    Parameters
    ----------
    contents
        The fingerprint of each given scan's image by the scan's name.
    made_by
        Digests of the bundle and of the code, plain values.

    Raises
    ------
    InputError
        When the set holds the prediction of another scan of the same name.
    """
    found = {record.name: record.path for record in known}
    before = {record.name.lower(): record for record in known}
    for scan in scans:
        content = contents[scan.name]
        if _is_to_predict(scan, before.get(scan.name.lower()), content, out):
            decides = [content, scan.source, scan.skull_stripped, made_by]
            found[scan.name] = status_path(out, scan.name, decides)
    return dict(sorted(found.items()))


def unreadable(scans: Iterable[GivenScan], known: Iterable[Record]) -> list[str]:
    """A sentence on each scan that was predicted and cannot be read any more."""
    predicted = {record.name for record in known if record.status == "predicted"}
    return [
        f"{scan.image} cannot be read; what was predicted of {scan.name} before stays."
        for scan in scans
        if scan.name in predicted and not os.access(scan.image, os.R_OK)
    ]


def _is_to_predict(scan: GivenScan, record: Record | None, content: str, out: Path | str) -> bool:
    if record is None or record.status != "predicted":
        return True
    if not os.access(scan.image, os.R_OK):
        return False
    is_same = content == record.content or place_of(scan.image, out) == record.place
    if record.name != scan.name or not is_same:
        raise InputError(
            f"{scan.image} and {record.source}, whose prediction {out} holds, would both be called {scan.name}; give"
            f" one a participant_id of its own in a table, or another folder for the predictions (to replace what was"
            f" predicted, remove {record.path.parent})."
        )
    return True


def _mark(out: Path) -> dict[str, Any]:
    """What the mark of a set says; nothing where there is none."""
    path = out / MARK
    if not os.path.isfile(path):  # noqa: PTH113 - as above
        return {}
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return {"bundle": str(content["bundle"]), "experiment": str(content["experiment"]), "links": content["links"]}
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"{path} is damaged ({error}), so nobody knows by which bundle {out} was predicted; give a new folder for"
            " the predictions."
        ) from error


def _record(path: Path) -> Record:
    try:
        row = json.loads(path.read_text(encoding="utf-8"))
        return Record(path.parent.name, path, row["status"], row["image"], row["content"], row["place"])
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} is damaged ({error}); remove it, and its scan is predicted anew.") from error


def _relative(scans: Path | str, out: Path) -> str:
    return Path(os.path.relpath(os.path.realpath(scans_folder(scans)), os.path.realpath(out))).as_posix()

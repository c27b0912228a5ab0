"""The content of the user's own files, read whole once and remembered: their times say nothing certain of it."""

from __future__ import annotations

import hashlib
import json
import os
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

THREADS = 4
"""How many files are read at once; hashing lets other threads go on."""
WORTH_SAYING_BYTES = 10**9
"""From how much on a person is told what is being read."""
SETTLED_NS = 2 * 10**9
"""The coarsest step of a file system's clock, FAT's: a second change within it may leave all times as they are."""
FORMAT = "fingerprints 1"


class Mark(NamedTuple):
    """What changes with a file whose content changes, without its being read."""

    size: int
    modified_ns: int
    changed_ns: int
    """When the file was last written, replaced, renamed or given another time (ctime), which nobody can set."""
    inode: int


class Fingerprints:
    """Fingerprints that are remembered from one process to the next, as long as a file's size, times and inode stay.

    Parameters
    ----------
    memory
        A file that holds the fingerprints of files that were read before. It is rewritten whole, so that several
        processes may have it; one that cannot be read or written costs time alone.
    ahead
        Files that will be asked for: with the first question those of them that are not remembered are read, several
        at once, and remembered. Without any, as in jobs, nothing is written.
    say
        Is called with a sentence before much is read.
    """

    def __init__(
        self, memory: Path, ahead: Iterable[Path | str] = (), say: Callable[[str], object] = lambda _: None
    ) -> None:
        self._memory, self._ahead, self._say = memory.absolute(), [Path(path) for path in ahead], say
        self._remembered: dict[str, tuple[Mark, str]] | None = None
        self._found: dict[Path, str] = {}

    def of(self, path: Path | str) -> str:
        """Digest of the whole content of a file, or of both files of a NIfTI pair; its times do not count.

        Raises
        ------
        OSError
            When it cannot be read.
        """
        if self._remembered is None:
            self._remembered = _load(self._memory)
            self._read_ahead(self._remembered)
        parts = [self._known(part) for part in _files_of(Path(path))]
        return parts[0] if len(parts) == 1 else hashlib.sha256("".join(parts).encode()).hexdigest()[:16]

    def _known(self, part: Path) -> str:
        """The fingerprint of one file, which a process asks for once."""
        if part not in self._found:
            self._found[part] = self._recalled(part) or _hashed(part)
        return self._found[part]

    def _recalled(self, part: Path) -> str | None:
        mark, found = (self._remembered or {}).get(str(part.absolute()), (None, None))
        return found if mark == _mark(part) else None

    def _read_ahead(self, remembered: dict[str, tuple[Mark, str]]) -> None:
        """Read what is not remembered, and remember it where the file had been left alone for long enough."""
        unknown = list(_unknown((part for path in self._ahead for part in _files_of(path)), self._recalled))
        if sum(mark.size for _, mark in unknown) >= WORTH_SAYING_BYTES:
            size_gb = sum(mark.size for _, mark in unknown) / 1e9
            self._say(f"Reading {len(unknown)} files ({size_gb:.1f} GB) to know their content; this is done once.")
        with ThreadPoolExecutor(THREADS) as pool:
            results = pool.map(lambda entry: (*entry, *_settled(*entry)), unknown)
            read = [(part, mark, found, settled) for part, mark, found, settled in results if found]
        self._found |= {part: found for part, _, found, _ in read}
        new = {str(part.absolute()): (mark, found) for part, mark, found, settled in read if settled}
        remembered |= new
        if new:
            _save(self._memory, new)


def _files_of(path: Path) -> list[Path]:
    """A file, or header and voxels of a NIfTI pair, however it is named."""
    pair = [path.with_suffix(suffix) for suffix in (".hdr", ".img")]
    return pair if path in pair and all(part.is_file() for part in pair) else [path]


def _mark(path: Path) -> Mark:
    with path.open("rb", buffering=0) as file:  # NFS may be a minute late with the times of a file that is not opened
        found = os.fstat(file.fileno())
    return Mark(found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino)


def _hashed(path: Path) -> str:
    with path.open("rb", buffering=0) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:16]


def _unknown(parts: Iterable[Path], recalled: Callable[[Path], str | None]) -> Iterator[tuple[Path, Mark]]:
    """Those of some files that must be read; who asks for one that cannot be read is told so then."""
    for part in dict.fromkeys(parts):
        try:
            if not recalled(part):
                yield part, _mark(part)
        except OSError:
            continue


def _settled(part: Path, mark: Mark) -> tuple[str | None, bool]:
    """A file's fingerprint, and whether its mark is certain to change with its content.

    It is not where the file changed while it was read, or so shortly before that its file system's clock might show no
    difference if it changes once more.
    """
    begun_ns = time.time_ns()
    try:
        found = _hashed(part)
        settled = mark.changed_ns + SETTLED_NS < begun_ns and _mark(part) == mark
    except OSError:
        return None, False
    return found, settled


def _load(memory: Path) -> dict[str, tuple[Mark, str]]:
    """What a memory holds; nothing where it is absent, damaged, of another format or not to be read."""
    try:
        head, _, body = memory.read_text(encoding="utf-8").partition("\n")
        if head != _head(body):
            return {}
        return {path: (Mark(*mark), found) for path, (*mark, found) in json.loads(body).items()}
    except (OSError, UnicodeDecodeError):  # all is read again, which is right, and slow once
        return {}


def _save(memory: Path, new: dict[str, tuple[Mark, str]]) -> None:
    """Add to a memory; of two processes that do so at once, what the first has added may be lost, and is read again."""
    body = json.dumps({path: [*mark, found] for path, (mark, found) in (_load(memory) | new).items()})
    temporary = memory.with_name(f".{uuid.uuid4().hex}-{memory.name}")
    try:
        memory.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(f"{_head(body)}\n{body}", encoding="utf-8")
        temporary.replace(memory)
    except OSError:  # a folder that is read-only, or a full disk: all is read again next time
        temporary.unlink(missing_ok=True)


def _head(body: str) -> str:
    return f"{FORMAT} {hashlib.sha256(body.encode()).hexdigest()}"

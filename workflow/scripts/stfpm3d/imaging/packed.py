"""Gzip files to their end: several members and padding are legal, other bytes behind the last member are not."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

from stfpm3d.runtime.errors import InputError

MAGIC = b"\x1f\x8b"
GZIP_WBITS = 31
"""What tells zlib that its input is a gzip member, whose checksum it then compares."""


def unpacked(path: Path | str, subject: str = "") -> bytes:
    """The content of a gzip file; its checksums hold.

    Zeros behind the last member are padding, as tapes and some tools leave it, and gzip itself passes over them. Other
    bytes are refused though the content before them is whole: a longer file that stood there before, or a copy that
    went wrong, leaves such, and nobody but the user knows which of the two is meant.

    Raises
    ------
    InputError
        When other bytes than zeros follow the last member.
    gzip.BadGzipFile, EOFError, zlib.error
        When the file is no gzip, breaks off, or is damaged.
    """
    packed = Path(path).read_bytes()
    try:
        return gzip.decompress(packed)
    except gzip.BadGzipFile:
        if not (found := _behind_last_member(packed)):
            raise
        who = f"{subject}: {path}" if subject else str(path)
        raise InputError(
            f"{who} holds {found} bytes behind the end of its gzip data, expected none but zeros; what stands before"
            f" them is whole: if that is the file that you mean, write it anew (gzip -dc FILE | gzip > NEW), else copy"
            " it again."
        ) from None


def _behind_last_member(packed: bytes) -> int:
    """How many bytes follow the last of a file's members, padding left out; 0 where there is no member."""
    rest = packed
    while rest.startswith(MAGIC):
        member = zlib.decompressobj(GZIP_WBITS)
        member.decompress(rest)
        rest = member.unused_data.lstrip(b"\0")
    return len(rest) if len(rest) < len(packed) else 0

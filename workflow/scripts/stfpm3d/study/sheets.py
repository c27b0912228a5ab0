"""Tab-separated text as spreadsheets, editors and scripts leave it, row by row."""

from __future__ import annotations

import codecs
import io
import re
from pathlib import Path

from stfpm3d.runtime.errors import InputError


def read_rows(path: Path | str, what: str) -> list[tuple[int, list[str]]]:
    """The rows of a file of tab-separated text: the number of each one's line, as an editor shows it, and its cells.

    Blank lines and empty cells at the end of a line are left out, and spaces around a cell. A quotation mark is a
    character as any other (a TSV has no quoting), unless a cell is wrapped in them as spreadsheets wrap one that holds
    a comma or a quotation mark. The text is UTF-8, or UTF-16 with a byte order mark (Excel's "Unicode Text").

    Raises
    ------
    InputError
        When the file is no such text; `what` names it.
    """
    try:
        content = Path(path).read_bytes()
        wide = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
        text = content.decode("utf-16" if wide else "utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split()).rstrip(".")
        raise InputError(f"{what} cannot be read as tab-separated text ({reason}); save it as UTF-8 text.") from error
    if "\0" in text:
        raise InputError(f"{what} cannot be read as tab-separated text (it holds bytes of 0); save it as UTF-8 text.")
    lines = io.StringIO(text, newline=None)  # lines end by \n, \r\n or \r, and by nothing else that Unicode has
    rows = [(number, [_plain(cell) for cell in line.rstrip().split("\t")]) for number, line in enumerate(lines, 1)]
    return [(number, cells) for number, cells in rows if any(cells)]


def _plain(cell: str) -> str:
    cell = cell.strip()
    wrapped = re.fullmatch(r'"((?:[^"]|"")*)"', cell)
    return wrapped[1].replace('""', '"').strip() if wrapped else cell

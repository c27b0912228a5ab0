"""Config files as their text has it: YAML drops what a key held when the key comes a second time, and says nothing."""

from __future__ import annotations

import codecs
import json
from collections.abc import Iterable, Iterator
from pathlib import Path

import yaml
from yaml.nodes import MappingNode, Node, SequenceNode

from stfpm3d.runtime.errors import InputError

LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
WIDE = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
MERGE = "tag:yaml.org,2002:merge"
"""The tag of `<<`, which may stand several times."""


def check_config_files(paths: Iterable[Path | str]) -> None:
    """Check what the text of config files says (YAML or JSON); one that is not there is left to who wants to read it.

    Raises
    ------
    InputError
        When a file is no UTF-8 text or no YAML, or a mapping holds a key twice: one sentence for each such key, on a
        line of its own, with the file and the lines.
    """
    problems = []
    for path in map(Path, paths):
        if path.is_file() and (found := yaml.compose(_text(path), Loader=LOADER)):
            problems += [
                f"{path}, lines {', '.join(map(str, lines[:-1]))} and {lines[-1]}: the key {key} stands there"
                f" {len(lines)} times, and YAML would take the last alone; make one of them."
                for key, lines in _repeated(found, "", set())
            ]
    if problems:
        raise InputError("\n".join(problems))


def _text(path: Path) -> str:
    """The text of a file that is YAML, or JSON with its tabs replaced, which YAML has none of."""
    content = path.read_bytes()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        found = "UTF-16" if content.startswith(WIDE) else f"line {line} holds the byte {content[error.start]:#x}"
        raise InputError(f"{path} is no UTF-8 text ({found}), as a config must be; save it as UTF-8.") from error
    if "\0" in text:
        raise InputError(f"{path} is no UTF-8 text (it holds bytes of 0), as a config must be; save it as UTF-8.")
    try:
        json.loads(text)
        return text.replace("\t", " ")
    except ValueError:
        pass  # it is to be YAML, then
    try:
        yaml.compose(text, Loader=LOADER)
    except yaml.YAMLError as error:
        reason = " ".join(str(error).replace('in "<unicode string>", ', "").split())
        raise InputError(f"{path} is no YAML, which is indented by spaces alone: {reason}; correct it.") from error
    return text


def _repeated(node: Node, place: str, seen: set[int]) -> Iterator[tuple[str, list[int]]]:
    """The keys that a mapping within a node holds several times, as `section.key`, and their lines from 1."""
    if id(node) in seen:  # an alias
        return
    seen.add(id(node))
    if isinstance(node, SequenceNode):
        for item in node.value:
            yield from _repeated(item, place, seen)
    elif isinstance(node, MappingNode):
        lines: dict[tuple[str, str], list[int]] = {}
        for key, value in node.value:
            name = str(key.value)
            lines.setdefault((key.tag, name), []).append(key.start_mark.line + 1)
            yield from _repeated(value, f"{place}{name}.", seen)
        yield from (
            (f"{place}{name}", found) for (tag, name), found in lines.items() if len(found) > 1 and tag != MERGE
        )

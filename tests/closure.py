"""The files that a script imports, directly or not."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path


@cache
def parsed(path: Path) -> ast.Module:
    """The syntax tree of a file."""
    return ast.parse(path.read_text(encoding="utf-8"))


def closure(script: Path, root: Path) -> set[Path]:
    """The script and all files below `root` that it imports, directly or not.

    Follows every import statement, also those inside functions, and the `__init__` of each package on the way.
    """
    found: set[Path] = set()
    waiting = [script]
    while waiting:
        path = waiting.pop()
        if path not in found:
            found.add(path)
            waiting.extend(_imported_files(path, root))
    return found


def _imported_files(path: Path, root: Path) -> Iterator[Path]:
    """The files below `root` that the import statements of one file load; those for the type checker load none."""
    tree = parsed(path)
    blocks = (node for node in ast.walk(tree) if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
    unloaded = {statement for block in blocks for statement in block.body}
    for node in (node for node in ast.walk(tree) if node not in unloaded):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                package = path.relative_to(root).parts[: -node.level]
                base = ".".join([*package, base] if base else package)
            names = [base, *(f"{base}.{alias.name}" for alias in node.names)]
        else:
            continue
        for name in names:
            parts = name.split(".")
            for depth in range(1, len(parts) + 1):
                stem = root.joinpath(*parts[:depth])
                yield from (file for file in (stem.with_suffix(".py"), stem / "__init__.py") if file.is_file())

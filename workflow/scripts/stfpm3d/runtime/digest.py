"""Digests of code and environments: what a rule's result depends on besides its inputs and params.

Snakemake tracks neither imported modules nor what an environment's YAML means. Both digests are params of every rule,
so that a change of behaviour reruns the rule, and a change of a comment, a docstring or the formatting does not.
"""

from __future__ import annotations

import ast
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import yaml


def code_digest(script: Path, root: Path) -> str:
    """Digest of a script and of all modules below `root` that it imports, directly or not.

    Hashes syntax trees without docstrings.
    """
    digest = hashlib.sha256()
    for path in sorted(closure(script, root)):
        tree = _without_docstrings(ast.parse(path.read_text(encoding="utf-8")))
        name = path.relative_to(root).as_posix()
        digest.update(f"{name}\n{ast.dump(tree)}\n".encode())
    return digest.hexdigest()[:16]


def environment_digest(path: Path) -> str:
    """Digest of an environment file's parsed content: comments and layout do not count."""
    content = yaml.safe_load(path.read_text(encoding="utf-8"))
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


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
    tree = ast.parse(path.read_text(encoding="utf-8"))
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


def _without_docstrings(tree: ast.Module) -> ast.Module:
    """The tree without expression statements that are mere strings: docstrings of modules, classes, functions and
    attributes.
    """
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            kept = [
                s
                for s in body
                if not (
                    isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant) and isinstance(s.value.value, str)
                )
            ]
            node.body = kept or [ast.Pass()]  # pyright: ignore[reportAttributeAccessIssue]
    return tree

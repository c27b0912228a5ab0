"""The package is a house of rooms: each imports only from itself and from those below it, in no circle."""

from __future__ import annotations

import ast
from collections import Counter
from graphlib import TopologicalSorter
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[2] / "workflow" / "scripts" / "stfpm3d"
ROOMS = ("runtime", "imaging", "simulation", "learning", "maps", "methods", "study", "demo", "evaluation", "probes")
ROOMS += ("reporting", "prediction")
MODULES = {
    ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts): path
    for path in PACKAGE.rglob("*.py")
    if path.name != "__init__.py"
}


def imported(path: Path) -> set[str]:
    """The package's modules that a file imports anywhere, inside functions as well."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            found |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return found & MODULES.keys()


IMPORTS = {name: imported(path) for name, path in MODULES.items()}


def room(module: str) -> str:
    return module.split(".")[1]


def test_every_room_has_its_place() -> None:
    assert {room(name) for name in MODULES} == set(ROOMS)


def test_no_module_imports_from_a_room_above_its_own() -> None:
    upwards = [
        f"{name} imports {other}"
        for name, others in IMPORTS.items()
        for other in others
        if ROOMS.index(room(other)) > ROOMS.index(room(name))
    ]
    assert upwards == []


def test_no_modules_import_each_other_in_a_circle() -> None:
    assert set(TopologicalSorter(IMPORTS).static_order()) == MODULES.keys()


def test_no_two_modules_share_a_name() -> None:
    names = Counter(name.rpartition(".")[2] for name in MODULES)
    assert [name for name, count in names.items() if count > 1] == []

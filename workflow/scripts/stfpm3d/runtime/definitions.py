"""The definitions that a script reaches, and a digest of them.

From the script's own statements a name leads to the function, class or constant that it means, from there to the names
which that uses, and so on. Where a definition lies does not count: to move one reruns nothing. Needs the standard
library only.

What cannot be followed counts whole:

- a module that is used as a value, star imports, a name that a module does not define: that module and all it imports;
- `globals()`, `exec`, `sys.modules`, `importlib`, `pickle`, `__subclasses__` and their like: every module;
- a class that is used in any way: all of its body;
- what runs when a module is imported (statements other than definitions; calls, decorators and base classes that are
  not known to be harmless; imports that no name uses): for every script that imports the module, by whatever way.

Three helpers of this room, through which every script goes, do not count (`NEUTRAL`): they decide when a file appears
and what is logged, not what a result holds. The other definitions of the room, as the format of tables, count. Nor does
what finds a method by its name (`registry`) or loads the user's file: the rules count which one by themselves.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from stfpm3d.runtime.import_time import only_defines
from stfpm3d.runtime.syntax import DYNAMIC, Form, Import, bound_names, form, is_logger, reduced

NEUTRAL = {"files.replacing", "logs.progress", "logs.rule_log"}
NEUTRAL |= {"foreign.loaded", "registry.declaration", "registry.map_maker"}
UNFOLLOWED = {"__builtins__", "__import__", "__loader__", "__spec__", "eval", "exec", "globals", "locals"}
UNFOLLOWED |= {"builtins", "ctypes", "gc", "importlib", "inspect", "pickle", "pkgutil", "runpy", "shelve"}
UNFOLLOWED |= {"sys._getframe", "sys.modules", "typing.get_type_hints"}
HARMLESS = {"importlib.metadata.PackageNotFoundError", "importlib.metadata.version"}  # run nothing
PLACE = {"__file__", "__name__", "__package__", "__path__"}  # where these are used, the path of their module counts


class Definitions:
    """The Python files below a folder, each read and parsed once."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._modules: dict[str, _Module | None] = {}

    def digest_of(self, function: str) -> str:
        """Digest of a function, `package.module:name`, as that of a script which does nothing but use it."""
        module, _, name = function.partition(":")
        return self._digest(_Module(self, f"from {module} import {name}\n{name}", name))

    def digest(self, script: Path) -> str:
        """Digest of a script and of the definitions below the folder that it reaches."""
        return self._digest(_Module(self, script.read_text(encoding="utf-8"), script.stem))

    def _digest(self, module: _Module) -> str:
        """Digest of what a module does as a script.

        The code is a graph, which is walked from the script in the order of the names; a definition is known by its
        number on this walk, so that neither paths nor the order within a file count.
        """
        numbers: dict[_Code, int] = {module.all: 0}
        walk: list[_Code] = [module.all]
        digest = hashlib.sha256()
        for code in walk:  # it grows
            for target in (target for targets in code.targets for target in targets):
                if target not in numbers:
                    numbers[target] = len(walk)
                    walk.append(target)
            reached = [[numbers[target] for target in targets] for targets in code.targets]
            digest.update(f"{code.digest} {reached}\n".encode())
        return digest.hexdigest()[:16]

    def module(self, name: str) -> _Module | None:
        """The module of a dotted name, if its file or folder lies here."""
        if name not in self._modules:
            path = self.root.joinpath(*name.split("."))
            paths = (path / "__init__.py", path.with_suffix(".py"), path)  # the last is a package without __init__
            found = next((path for path in paths if path.exists()), None)
            is_package = found is not None and found not in paths[1:2]
            source = found.read_text(encoding="utf-8") if found and found.is_file() else ""
            self._modules[name] = _Module(self, source, name, is_package=is_package) if found else None
        return self._modules[name]

    @cached_property
    def every(self) -> list[_Code]:
        """All modules of all packages here, whole."""
        names = (path.relative_to(self.root).with_suffix("").parts for path in sorted(self.root.glob("*/**/*.py")))
        modules = (self.module(".".join(part for part in parts if part != "__init__")) for parts in names)
        return [module.whole for module in modules if module]

    def follow(self, binding: _Binding, rest: tuple[str, ...], seen: frozenset[_Member] = frozenset()) -> list[_Code]:
        """What the dotted name `rest` means in what a name is bound to."""
        match binding:
            case _Foreign(name):
                return self.every if _is_unfollowed(".".join((name, *rest))) else [binding]
            case _Module() if rest:
                return self.follow(_Member(binding, rest[0]), rest[1:], seen)
            case _Module():
                return [binding.whole]
            case _Member(module, name) if binding not in seen:
                within = self.module(f"{module.name}.{name}") if module.is_package else None
                bindings = [*module.bindings.get(name, ()), *([within] if within else ())]
                found = (self.follow(each, rest, seen | {binding}) for each in bindings)
                return [code for codes in found for code in codes] or [module.whole]
            case _Piece():
                return [binding]
        return []

    def bindings(self, module: _Module, node: Import) -> Iterator[tuple[str, _Binding]]:
        """The names that an import statement of a module binds."""
        for alias in node.names:
            if isinstance(node, ast.Import):
                top = alias.name.partition(".")[0]
                inner = self.module(alias.name if alias.asname else top)
                yield alias.asname or top, inner or _Foreign(alias.name)
            elif alias.name != "*":
                base = module.absolute(node)
                source = self.module(base)
                member = _Member(source, alias.name) if source else _Foreign(f"{base}.{alias.name}")
                yield alias.asname or alias.name, member

    def run_by(self, module: _Module, imports: Iterable[Import]) -> list[_Module]:
        """The modules here that import statements run if they have not yet run, their own imports not among them."""
        found: dict[_Module, None] = {}
        for node in imports:
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            else:
                base = module.absolute(node)
                names = [base, *(f"{base}.{alias.name}" for alias in node.names if alias.name != "*")]
            for parts in (name.split(".") for name in names):
                packages = (self.module(".".join(parts[:depth])) for depth in range(1, len(parts) + 1))
                found |= {module: None for module in packages if module}
        return list(found)

    def effects(self, module: _Module, imports: Iterable[Import]) -> list[_Code]:
        """What import statements run, directly or not, besides definitions; in the order in which it runs."""
        seen: dict[_Module, None] = {}
        ended: list[_Module] = []

        def run(module: _Module) -> None:
            if module not in seen:
                seen[module] = None
                for other in self.run_by(module, module.imports):
                    run(other)
                ended.append(module)

        for other in self.run_by(module, imports):
            run(other)
        return [effect for module in ended for effect in module.effects]


@dataclass(frozen=True)
class _Foreign:
    """What another project provides, or what does not count."""

    name: str

    @property
    def digest(self) -> str:
        return f"import {self.name}"

    @property
    def targets(self) -> list[list[_Code]]:
        return []


@dataclass(frozen=True)
class _Member:
    """A name of a module."""

    module: _Module
    name: str


@dataclass(eq=False)
class _Piece:
    """Statements of a module that count together."""

    module: _Module
    statements: list[ast.stmt]
    beside: list[Import] = field(default_factory=list)  # import statements that run before it
    is_whole: bool = False  # a module of which nothing is left out

    @cached_property
    def form(self) -> Form:
        return form(self.statements)

    @cached_property
    def digest(self) -> str:
        text = self.form.text
        if self.is_whole:
            text += "\n".join(map(ast.unparse, self.form.imports))
        if self.is_whole or any(name[0] in PLACE for name in self.form.names):
            text += self.module.name
        return hashlib.sha256(text.encode()).hexdigest()

    @cached_property
    def targets(self) -> list[list[_Code]]:
        """What counts with it: first what its imports run, then what each of its names means."""
        definitions, imports = self.module.definitions, [*self.beside, *self.form.imports]
        inner: dict[str, list[_Binding]] = {}
        for name, binding in (pair for node in imports for pair in definitions.bindings(self.module, node)):
            inner.setdefault(name, []).append(binding)
        foreign = [binding for bindings in inner.values() for binding in bindings if isinstance(binding, _Foreign)]
        whole = [node for node in imports if self.is_whole or any(alias.name == "*" for alias in node.names)]
        wholes = [module.whole for module in definitions.run_by(self.module, whole)]
        names = [self.module.meaning(name, inner) for name in self.form.names]
        return [definitions.effects(self.module, imports), list(foreign), list(wholes), *names]

    @property
    def is_quiet_class(self) -> bool:
        """Whether this is a class, and to derive another from it does nothing but define that."""
        (node, *others) = self.statements
        names = {name for part in ast.walk(node) for name in bound_names(part)}
        is_class = isinstance(node, ast.ClassDef) and not others
        return is_class and "__init_subclass__" not in names and self.module.only_defines(node)


class _Module:
    """The source of one file; of a folder without `__init__` it is empty."""

    def __init__(self, definitions: Definitions, source: str, name: str, *, is_package: bool = False) -> None:
        self.definitions, self.source, self.name, self.is_package = definitions, source, name, is_package
        self.stem = name.rpartition(".")[2]

    @cached_property
    def whole(self) -> _Piece:
        return _Piece(self, ast.parse(self.source).body, is_whole=True)

    @cached_property
    def statements(self) -> list[ast.stmt]:
        """All statements, without what changes no result."""
        tree = ast.parse(self.source)
        self.used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}  # in annotations as well
        return reduced(tree).body

    @cached_property
    def all(self) -> _Piece:
        """What runs when the module is a script."""
        imports = [node for node in self.statements if isinstance(node, Import)]
        return _Piece(self, [node for node in self.statements if not isinstance(node, Import)], imports)

    @cached_property
    def pieces(self) -> list[_Piece]:
        """Each statement that is no import."""
        return [_Piece(self, [node]) for node in self.statements if not isinstance(node, Import)]

    @cached_property
    def imports(self) -> list[Import]:
        """The import statements that run with the module; those within its functions do not."""
        found: list[Import] = []
        waiting: list[ast.AST] = list(reversed(self.statements))
        while waiting:
            node = waiting.pop()
            if isinstance(node, Import):
                found.append(node)
            elif isinstance(node, ast.stmt | ast.ExceptHandler | ast.match_case) and not _is_function(node):
                waiting.extend(reversed(list(ast.iter_child_nodes(node))))
        return found

    @cached_property
    def bindings(self) -> dict[str, list[_Binding]]:
        """What each name of the module is bound to; more than one thing where there are several statements."""
        found: dict[str, list[_Binding]] = {}
        for name, binding in (pair for node in self.imports for pair in self.definitions.bindings(self, node)):
            found.setdefault(name, []).append(binding)
        for piece in self.pieces:
            (node,) = piece.statements
            parts = [node] if _is_function(node) or isinstance(node, ast.ClassDef) else ast.walk(node)
            for name in dict.fromkeys(name for part in parts for name in bound_names(part)):
                neutral = f"{self.stem}.{name}" in NEUTRAL or (isinstance(node, ast.Assign) and is_logger(node.value))
                found.setdefault(name, []).append(_Foreign(f"{self.stem}.{name}") if neutral else piece)
        return found

    @cached_property
    def effects(self) -> list[_Code]:
        """What the module does to others when it is imported."""
        if any(alias.name == "*" for node in self.imports for alias in node.names):
            return [self.whole]
        found: list[_Code] = []
        for name, bindings in self.bindings.items():
            if name not in self.used:
                found += [each for each in bindings if isinstance(each, _Foreign) and not _is_silent(each)]
        return found + [piece for piece in self.pieces if not self.only_defines(piece.statements[0])]

    def absolute(self, node: ast.ImportFrom) -> str:
        """The dotted name of the module that a statement imports from."""
        if not node.level:
            return node.module or ""
        package = self.name.split(".")[: None if node.level == 1 and self.is_package else self._up(node.level)]
        return ".".join([*package, node.module] if node.module else package)

    def _up(self, level: int) -> int:
        return -(level - 1 if self.is_package else level)

    def meaning(self, name: tuple[str, ...], inner: dict[str, list[_Binding]] | None = None) -> list[_Code]:
        """What a dotted name in this module means; nothing where it is Python's own or a variable of a function."""
        bindings = [*(inner or {}).get(name[0], ()), *self.bindings.get(name[0], ())]
        if DYNAMIC & {*name} or (not bindings and name[0] in UNFOLLOWED):
            return self.definitions.every
        return [code for binding in bindings for code in self.definitions.follow(binding, name[1:])]

    def only_defines(self, node: ast.stmt) -> bool:
        """Whether a statement of the module does nothing but bind names when it runs."""
        return only_defines(node, self.origin, self.is_quiet_base)

    def origin(self, name: tuple[str, ...]) -> str:
        """The full name of what another project or Python provides; empty for what is defined here."""
        match self.bindings.get(name[0], ()):
            case [_Foreign(foreign)]:
                return ".".join((foreign, *name[1:]))
            case []:
                return ".".join(("builtins", *name))
        return ""

    def is_quiet_base(self, name: tuple[str, ...]) -> bool:
        """Whether a name means classes of the package that do nothing with those which are derived from them."""
        meanings = self.meaning(name)
        return bool(meanings) and all(isinstance(code, _Piece) and code.is_quiet_class for code in meanings)


_Code = _Piece | _Foreign
_Binding = _Piece | _Foreign | _Module | _Member


def _is_unfollowed(name: str) -> bool:
    return name not in HARMLESS and any(f"{name}.".startswith(f"{known}.") for known in UNFOLLOWED)


def _is_function(node: ast.AST) -> bool:
    return isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)


def _is_silent(foreign: _Foreign) -> bool:
    return foreign.name.startswith("__future__.") or foreign.name in NEUTRAL

"""Syntax trees as text that is the same on every Python, without what changes no result.

`ast.dump` will not do: its text differs between Python 3.11, 3.12 and 3.13, so that a digest made of it would rerun
everything when the workflow moves from one to another. Needs the standard library only.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterable, Set
from typing import NamedTuple

Import = ast.Import | ast.ImportFrom
LAYOUT = {"ctx", "kind", "type_comment", "type_ignores"}  # fields that follow from the others, or that Python ignores
LOG_METHODS = {"debug", "info", "warning", "error", "exception", "critical"}
# Calls that change nothing, not even an iterator.
HARMLESS = {(name,) for name in ("abs", "float", "int", "len", "repr", "round", "str")}
# Attributes through which code reads what is left out here, or reaches what it does not name.
DYNAMIC = {"__annotations__", "__dict__", "__doc__", "__globals__", "__module__", "__subclasses__"}


class Form(NamedTuple):
    """Some code as text.

    Names are dotted and in the order of the text: ("np", "load") for `np.load`. Of import statements the text holds
    only the names that they bind: what counts is not where a definition lies but what it holds.
    """

    text: str
    names: list[tuple[str, ...]]
    imports: list[Import]


def form(statements: Iterable[ast.stmt]) -> Form:
    """The text of statements, the names that they use and the imports that they make."""
    writer = _Writer()
    for statement in statements:
        writer.write(statement)
    return Form("".join(writer.text), writer.names, writer.imports)


def reduced(tree: ast.Module) -> ast.Module:
    """The tree, changed in place, without what changes no result.

    These are docstrings, `pass`, what stands below `if TYPE_CHECKING`, lines that log, the messages of `raise`
    statements (not their condition, nor the class that is raised), and annotations. Where a class's annotations may
    mean something (it has a base or a decorator: dataclasses, named tuples, pydantic) they stay, as do those of
    decorated functions.
    """
    return _Reduction(loggers(tree)).visit(tree)


def loggers(tree: ast.Module) -> set[str]:
    """The names that are bound once in a file, and to a logger: by `logging.getLogger(...)` or `rule_log(...)`."""
    names = set()
    for node in tree.body:
        if isinstance(node, ast.Assign) and is_logger(node.value):
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.With):
            opened = [(item.context_expr, item.optional_vars) for item in node.items]
            names |= {log.id for call, log in opened if isinstance(log, ast.Name) and _calls(call, "rule_log")}
    if not names:
        return names
    bound = Counter(name for node in ast.walk(tree) for name in bound_names(node))
    return {name for name in names if bound[name] == 1}


def bound_names(node: ast.AST) -> list[str]:
    """The names that this node itself binds, wherever it stands."""
    match node:
        case ast.Name(id=name, ctx=ast.Store() | ast.Del()) | ast.arg(arg=name):
            return [name]
        case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
            return [name]
        case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
            return [name]
        case ast.alias(name=name, asname=other):
            return [other or name.partition(".")[0]]
        case ast.MatchMapping(rest=str(name)):
            return [name]
    return []


def is_logger(node: ast.AST | None) -> bool:
    """Whether this is `logging.getLogger(...)`."""
    return _calls(node, "logging", "getLogger")


def dotted(node: ast.AST) -> tuple[str, ...]:
    """The parts of a dotted name, as `np.load`; none of any other expression."""
    if isinstance(node, ast.Name):
        return (node.id,)
    if isinstance(node, ast.Attribute) and (base := dotted(node.value)):
        return (*base, node.attr)
    return ()


def _calls(node: ast.AST | None, *name: str) -> bool:
    return isinstance(node, ast.Call) and dotted(node.func) == name


class _Reduction(ast.NodeTransformer):
    def __init__(self, loggers: Set[str]) -> None:
        self.loggers = loggers
        self.declares_fields = False  # in the body of a class whose annotations may mean something

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        is_docstring = isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        return None if is_docstring or self._logs(node.value) else self.generic_visit(node)

    def visit_Pass(self, node: ast.Pass) -> None:
        return None

    def visit_If(self, node: ast.If) -> ast.AST | list[ast.stmt]:
        self.generic_visit(node)
        return node.orelse if dotted(node.test) in (("TYPE_CHECKING",), ("typing", "TYPE_CHECKING")) else node

    def visit_Raise(self, node: ast.Raise) -> ast.AST:
        node.cause = None
        if isinstance(node.exc, ast.Call) and all(_is_text(value) for value in node.exc.args):
            node.exc.args = []
        return self.generic_visit(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        return self._within(node, bool(node.bases or node.keywords or node.decorator_list))

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> ast.AST:
        if not node.decorator_list:
            node.returns = None
            for argument in ast.walk(node.args):
                if isinstance(argument, ast.arg):
                    argument.annotation = None
        return self._within(node, False)

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        self.generic_visit(node)
        if self.declares_fields:
            return node
        if node.value is None:  # it makes the name local to a function
            node.annotation = ast.Constant(None)
            return node
        return ast.Assign(targets=[node.target], value=node.value)

    def _within(self, node: ast.AST, declares_fields: bool) -> ast.AST:
        outside, self.declares_fields = self.declares_fields, declares_fields
        self.generic_visit(node)
        self.declares_fields = outside
        return node

    def _logs(self, node: ast.expr) -> bool:
        """Whether this is a line that logs, and nothing but logs."""
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in LOG_METHODS):
            return False
        arguments = [*node.args, *(keyword.value for keyword in node.keywords)]
        return dotted(node.func.value) in {(name,) for name in self.loggers} and all(map(_is_harmless, arguments))


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.JoinedStr) or (isinstance(node, ast.Constant) and isinstance(node.value, str))


def _is_harmless(node: ast.expr) -> bool:
    """Whether it changes nothing to compute this: no call but the plainest, nothing that may use up an iterator."""
    active = (ast.NamedExpr, ast.Await, ast.Yield, ast.YieldFrom, ast.comprehension, ast.Starred)
    parts = list(ast.walk(node))
    called = [dotted(part.func) for part in parts if isinstance(part, ast.Call)]
    return all(name in HARMLESS for name in called) and not any(isinstance(part, active) for part in parts)


class _Writer:
    def __init__(self) -> None:
        self.text: list[str] = []
        self.names: list[tuple[str, ...]] = []
        self.imports: list[Import] = []

    def write(self, node: ast.AST) -> None:
        """Write a node with all that is below it."""
        if isinstance(node, Import):
            self.imports.append(node)
            self.text.append(f"import {[name for alias in node.names for name in bound_names(alias)]};")
        elif name := dotted(node):
            self.names.append(name)
            self.text.append(f"{'.'.join(name)};")
        elif isinstance(node, ast.JoinedStr):
            self._write_string(node)
        else:
            self._note_hidden_names(node)
            self.text.append(f"{type(node).__name__}(")
            for field, value in ast.iter_fields(node):
                if field not in LAYOUT and value is not None and value != []:  # newer Pythons have more empty fields
                    self.text.append(f"{field}=")
                    self._write_value(value)
            self.text.append(")")

    def _write_value(self, value: object) -> None:
        if isinstance(value, ast.AST):
            self.write(value)
        elif isinstance(value, list):
            self.text.append("[")
            for item in value:
                self._write_value(item)
            self.text.append("]")
        else:
            self.text.append(f"{value!a};")  # `repr` depends on what characters a Python knows

    def _write_string(self, node: ast.JoinedStr) -> None:
        """Write an f-string; how its literal parts are split depends on the Python."""
        literal = ""
        parts: list[str | ast.expr] = []
        for value in node.values:
            if isinstance(value, ast.Constant):
                literal += str(value.value)
            else:
                parts += [literal, value]
                literal = ""
        self.text.append("text")
        self._write_value([*parts, literal])

    def _note_hidden_names(self, node: ast.AST) -> None:
        if isinstance(node, ast.Attribute) and node.attr in DYNAMIC:
            self.names.append((node.attr,))
        elif isinstance(node, ast.Call) and _calls(node, "vars") and not node.args:
            self.names.append(("locals",))
        for field in ("annotation", "returns"):
            if isinstance(annotation := getattr(node, field, None), ast.AST):
                self.names.extend(name for part in ast.walk(annotation) for name in _quoted_names(part))


def _quoted_names(node: ast.AST) -> list[tuple[str, ...]]:
    """The names in an annotation within quotes: a class may be named there before it is defined."""
    if not (isinstance(node, ast.Constant) and isinstance(node.value, str)):
        return []
    try:
        tree = ast.parse(node.value, mode="eval")
    except SyntaxError:  # a word of `Literal`
        return []
    return [(part.id,) for part in ast.walk(tree) if isinstance(part, ast.Name)]

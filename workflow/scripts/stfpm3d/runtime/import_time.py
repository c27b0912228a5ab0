"""What the statements of a module do when it is imported: define names, or more than that.

Needs the standard library only.
"""

from __future__ import annotations

import ast
from collections.abc import Callable

from stfpm3d.runtime.syntax import Import, dotted

# By where it comes from: what may be called, or decorate a definition, and changes nothing elsewhere.
HARMLESS = {
    "builtins": ("any", "dict", "enumerate", "float", "frozenset", "int", "len", "list", "range", "set", "str", "sum"),
    "contextlib": ("contextmanager",),
    "dataclasses": ("dataclass", "field"),
    "functools": ("cache", "cached_property"),
    "itertools": ("product",),
    "lightning.pytorch.utilities": ("rank_zero_only",),
    "logging": ("getLogger",),
    "numpy": ("array", "diag", "geomspace", "linspace", "log", "ones", "sqrt", "uint32"),
    "pathlib": ("Path",),
    "pydantic": ("ConfigDict", "Field", "field_validator", "model_validator"),
    "re": ("compile",),
    "torch": ("inference_mode", "no_grad"),
    "typing": ("TypeVar", "get_args"),
}
HARMLESS["builtins"] += ("classmethod", "property", "staticmethod", "tuple", "zip")
HARMLESS_NAMES = {f"{source}.{name}" for source, names in HARMLESS.items() for name in names}
# Where base classes come from that do nothing with the classes which are derived from them.
HARMLESS_BASES = {"abc", "acsconv", "builtins", "collections", "enum", "lightning", "pydantic", "torch", "torchvision"}
HARMLESS_BASES |= {"typing"}

Name = tuple[str, ...]


def only_defines(node: ast.stmt, origin: Callable[[Name], str], is_quiet_base: Callable[[Name], bool]) -> bool:
    """Whether a statement of a module, or of a class in it, does nothing but bind names when it runs.

    Parameters
    ----------
    node
        The statement.
    origin
        The full name of what a dotted name in this module means, as ``numpy.load`` for ``np.load``; empty for what is
        defined in the package.
    is_quiet_base
        Whether a dotted name means a class of the package that does nothing with those which are derived from it.
    """

    def is_value(node: ast.AST) -> bool:
        """Whether it does nothing but compute a value; what a lambda does, it does later."""
        if isinstance(node, ast.Call) and not is_known(node.func):
            return False
        if isinstance(node, ast.Await | ast.NamedExpr | ast.Yield | ast.YieldFrom):
            return False
        return all(map(is_value, ast.iter_child_nodes(node.args if isinstance(node, ast.Lambda) else node)))

    def is_known(function: ast.expr) -> bool:
        name = dotted(function)
        return bool(name) and origin(name) in HARMLESS_NAMES

    def is_decorator(node: ast.expr) -> bool:
        return is_value(node) and (isinstance(node, ast.Call) or is_known(node))

    def is_base(node: ast.expr) -> bool:
        name = dotted(node.value if isinstance(node, ast.Subscript) else node)
        return bool(name) and (origin(name).partition(".")[0] in HARMLESS_BASES or is_quiet_base(name))

    def is_definition(node: ast.stmt) -> bool:
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                return all(map(is_decorator, node.decorator_list)) and is_value(node.args)
            case ast.ClassDef():
                heads = all(map(is_decorator, node.decorator_list)) and all(map(is_base, node.bases))
                return heads and not node.keywords and all(map(is_definition, node.body))
            case ast.Assign():
                named = (ast.Name, ast.Tuple, ast.List, ast.Starred, ast.expr_context)
                parts = (part for target in node.targets for part in ast.walk(target))
                return all(isinstance(part, named) for part in parts) and is_value(node.value)
            case ast.AnnAssign():
                values = [node.annotation, *([node.value] if node.value else ())]
                return isinstance(node.target, ast.Name) and all(map(is_value, values))
        return isinstance(node, Import)

    return is_definition(node)

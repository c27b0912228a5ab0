"""The method `own`: maps by a Python file of the user's (docs/own-method.md)."""

from __future__ import annotations

import ast
import hashlib
from functools import cache
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pydantic import Field

from stfpm3d.methods.row import STANDARDIZED, TORCH, Kind, MethodRow, Study
from stfpm3d.runtime.errors import InputError
from stfpm3d.runtime.section import Seed


class OwnExperiment(MethodRow):
    """Maps by a Python file of yours (docs/own-method.md). Reruns: its fit, maps, evaluation and report."""

    method: Literal["own"] = Field(description="`own`.")
    module: str = Field(description="Path of the Python file; it has `make_maps` and, if the method learns, `fit`.")
    settings: dict[str, Any] = Field(default={}, description="What both functions get as `settings`: keys of your own.")
    environment: str | None = Field(
        default=None,
        description="Path of a conda environment (YAML) for both functions, used with `--use-conda`; without it that of"
        " the networks, `envs/learning.yaml`.",
    )
    input: Literal["standardized", "grid"] = Field(
        default="standardized",
        description="What both functions see: `standardized` scans on the MNI grid, or scans on the network `grid`.",
    )
    seed: Seed = Field(default=4, description="Seed that both functions get.")

    maker = "stfpm3d.maps.foreign:own_maps"
    runs_in = "own"
    asks = TORCH
    replaces = ("module", "environment", "input")
    roles = ("module",)
    optional_roles = ("fitted", "grid")

    def kind(self, study: Study) -> Kind:
        return "your own"

    def files(self, study: Study) -> dict[str, Any]:
        fitted = f"results/own/{self.name}/fitted.npz" if _read(self.module).learns else []
        grid = "results/grid/grid.json" if self.input == "grid" else []
        return {"module": self.module, "fitted": fitted, "grid": grid}

    def image(self, study: Study) -> str:
        return "results/grid/{sub}.npy" if self.input == "grid" else STANDARDIZED

    def user_files(self) -> dict[str, str]:
        return {"module": self.module, **({"environment": self.environment} if self.environment else {})}

    def foreign_code(self) -> list[str]:
        return [_read(self.module).digest]

    def description(self, study: Study) -> dict[str, Any]:
        return {**super().description(study), "text": f"the study's own method {self.name}"}


class _Module(NamedTuple):
    """What a plan knows of a module; it is not run."""

    learns: bool
    digest: str
    """Of its code: comments and layout do not count."""


@cache
def _read(path: str) -> _Module:
    try:
        tree = ast.parse(Path(path).read_bytes(), path)
    except SyntaxError as error:
        raise InputError(f"{path}, line {error.lineno}: {error.msg}; correct the module.") from error
    functions = {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    if "make_maps" not in functions:
        raise InputError(f"{path} has no function make_maps(files, settings); add it (docs/own-method.md).")
    return _Module("fit" in functions, hashlib.sha256(ast.unparse(tree).encode()).hexdigest()[:16])

"""The config's manual, made from its models: `python -m stfpm3d.study.config_manual` writes it."""

from __future__ import annotations

import inspect
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic_core import PydanticUndefined

from stfpm3d.study.config import Config, Section, section_models

ROOT = Path(__file__).parents[4]
MANUAL = ROOT / "config" / "README.md"
UNITS = {"_mm": "mm", "epochs": "epochs", "patience": "epochs", "size": "voxels", "batch_size": "scans"}
LIMITS = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<", "multipleOf": "multiple of"}
HEAD = """# The config

Made from the models in `workflow/scripts/stfpm3d/study/config.py` by `make docs`; do not edit.
`config.yaml` is the default run, the demo cohort, from whichever folder it is started. A file of your own, given with
`--configfile` or lying at `config/config.yaml` in the folder of the run, need not repeat any of it: mappings are merged
into it, lists (`teachers`, `students`, `gans`, `segmenters`, `experiments`) are replaced whole, and keys that stand in
neither file have the defaults below. A workflow that has this one as a module hands over all of its `config`: what it
leaves out has the defaults below too, but it must name its `experiments`.
Relative paths start at the folder that Snakemake runs in.
"""


def config_manual() -> str:
    """The manual: a table for each section with every key's meaning, unit, default and choices."""
    return "\n".join([HEAD, *_sections("", Config)])


def _sections(prefix: str, model: type[Section]) -> Iterator[str]:
    for name, field in model.model_fields.items():
        many = "[]" if str(field.annotation).startswith("list") else ""
        for section in section_models(field.annotation):
            key = f"{prefix}{name}{many}"
            yield from _table(key, section)
            yield from _sections(f"{key}.", section)


def _table(key: str, section: type[Section]) -> Iterator[str]:
    schema = section.model_json_schema()
    method = schema["properties"].get("method", {}).get("const")
    yield f"## `{key}`{f', `method: {method}`' if method else ''}\n\n{inspect.getdoc(section)}\n"
    rows = [
        f"| `{name}` | {field.description} | {_unit(name)} | {_default(field.default)} | {_values(schema, name)} |"
        for name, field in sorted(section.model_fields.items(), key=lambda item: not item[1].is_required())
        if not list(section_models(field.annotation))
    ]
    if rows:
        yield "| key | meaning | unit | default | values |\n|---|---|---|---|---|"
        yield "\n".join(rows) + "\n"


def _unit(name: str) -> str:
    return next((unit for ending, unit in sorted(UNITS.items(), key=lambda u: -len(u[0])) if name.endswith(ending)), "")


def _default(value: Any) -> str:
    if value is PydanticUndefined:
        return "required"
    return "none" if value is None else f"`{json.dumps(value)}`"


def _values(schema: dict[str, Any], name: str) -> str:
    """What a key may be, in a few words, from its JSON schema."""
    given = schema["properties"][name]
    return " or ".join(filter(None, (_kind(kind) for kind in given.get("anyOf", [given]))))


def _kind(kind: dict[str, Any]) -> str:
    if "enum" in kind or "const" in kind:
        return ", ".join(f"`{choice}`" for choice in kind.get("enum", [kind.get("const")]))
    words = {"null": "", "string": "text", "boolean": "true or false"}.get(kind["type"], str(kind["type"]))
    return " ".join([words, *(f"{sign} {kind[limit]}" for limit, sign in LIMITS.items() if limit in kind)])


if __name__ == "__main__":
    MANUAL.write_text(config_manual(), encoding="utf-8")

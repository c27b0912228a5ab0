"""Pages from templates."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from stfpm3d.reporting.provenance import provenance
from stfpm3d.runtime.files import replacing


def write_page(output: Path | str, template: Path | str, forms: Iterable[Callable] = (), /, **context: Any) -> None:
    """Write a page (HTML) from its template, which may include those beside it.

    `forms` are its filters, by their names; a name that `context` lacks is an error, but for `made`, its provenance.
    """
    environment = Environment(
        loader=FileSystemLoader(Path(template).parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters |= {form.__name__: form for form in forms}
    page = environment.get_template(Path(template).name).render(made=provenance(), **context)
    with replacing(output) as temporary:
        temporary.write_text(page, encoding="utf-8")

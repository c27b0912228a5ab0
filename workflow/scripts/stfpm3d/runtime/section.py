"""A part of the config, and what its keys may hold."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")]
Fraction = Annotated[float, Field(ge=0, le=1)]
Seed = Annotated[int, Field(ge=0, le=2**32 - 1)]


class Section(BaseModel):
    """A part of the config; unknown keys are errors, values never change after reading.

    The docstrings of its subclasses stand in config/README.md: what it is, and what runs again when it changes.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

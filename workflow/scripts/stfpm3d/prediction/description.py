"""What `bundle.json` may say: the one form by which it is written, and checked before anything of it is used.

It may come from anybody: names that become parts of paths hold letters and digits alone, numbers lie in their ranges.
"""

from __future__ import annotations

import reprlib
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from stfpm3d.methods.registry import METHODS, declaration
from stfpm3d.methods.row import MethodRow
from stfpm3d.runtime.errors import InputError

SCHEMA_VERSION = 6
"""Raised with every change of what a bundle must hold; the settings of its map maker are among that."""
ALWAYS = {"brain_mask", "head", "landmarks", "statistics", "regions", "region_names", "MODEL_CARD", "config"}
"""What every bundle holds, by what it is: the file's name without its endings."""

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$", max_length=200)]
Label = Annotated[str, Field(pattern=r"^[A-Za-z0-9]+$", max_length=100)]
FileName = Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z0-9_]*(\.[a-z0-9]+){1,2}$", max_length=100)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Version = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9.+_-]*$", max_length=100)]
Package = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*==[A-Za-z0-9.!+_-]+$", max_length=200)]
Length = Annotated[float, Field(ge=0, le=1000)]
Share = Annotated[float, Field(ge=0, le=1)]


class Part(BaseModel):
    """A part of the description: nothing is converted, unknown keys, NaN and infinite numbers are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class Registration(Part):
    """How scans come to MNI space."""

    transform: Literal["AffineFast", "Rigid", "Affine", "SyN", "none"]
    seed: Annotated[int, Field(ge=0, le=2**32 - 1)]


class Validation(Part):
    """What the validation scans said: the score of each healthy one, increasing, and the least likeness of all."""

    scores: Annotated[list[float], Field(min_length=1)]
    least_likeness: Share

    @field_validator("scores")
    @classmethod
    def _increase(cls, scores: list[float]) -> list[float]:
        if scores != sorted(scores):
            raise ValueError("the scores do not increase")
        return scores


class Record(Part):
    """What the experiment reached on the test scans of its run, at its threshold; null is what nobody measured."""

    n_healthy: Annotated[int, Field(ge=0, le=10**9)]
    """Healthy test scans."""
    n_patient: Annotated[int, Field(ge=0, le=10**9)]
    """Test patients with a lesion mask."""
    voxel_auprc: Share | None
    prevalence: Share | None
    """Of lesion in the brain: the voxel AUPRC of chance."""
    dice: Share | None
    lesion_recall: Share | None
    healthy_fp_ml: Annotated[float, Field(ge=0)] | None
    """What is marked in a healthy scan (MNI space), mean."""
    patient_fp_ml: Annotated[float, Field(ge=0)] | None
    """What is marked outside the lesion of a patient (MNI space), mean."""
    image_score: Literal["warning", "fine", "unknown"]
    """Whether probes of the shortcut speak against the score of a scan."""


class MadeBy(Part):
    """What made the bundle."""

    version: Version
    code: Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
    """The digest of the code that made the maps."""
    packages: list[Package]


class Description(Part):
    """All of `bundle.json`."""

    schema_version: int
    experiment: Name
    method: str
    maker: dict[str, Any]
    modality: Literal["T1w", "T2w", "FLAIR"]
    space: Label
    bias_correction: Literal["none", "n4"]
    registration: Registration
    min_lesion_ml: Annotated[float, Field(ge=0)]
    healthy_quantile: Annotated[float, Field(gt=0, lt=1)] | None
    """What of the healthy validation voxels lies below the threshold; null where the method has its own."""
    threshold: float
    validation: Validation
    record: Record
    made_by: MadeBy
    files: dict[FileName, Sha256]
    sha256: Sha256

    @field_validator("method")
    @classmethod
    def _makes_maps_of_scans(cls, method: str) -> str:
        if method not in METHODS or not declaration(method).maps_new_scans:
            raise ValueError("this clone has no method of that name")
        return method


def role_of(name: str) -> str:
    """What a bundle's file is, by its name: `student` of `student.safetensors`."""
    return name.partition(".")[0]


def checked(content: Mapping[str, Any], who: str, remedy: str) -> dict[str, Any]:
    """What `bundle.json` says, when all of it has the form of a `Description`.

    Parameters
    ----------
    content
        As it was read, or is to be written.
    who, remedy
        For the message: the file, and what to do.

    Raises
    ------
    InputError
        Names the first field that has not.
    """
    place: tuple[str | int, ...] = ()
    try:
        found = Description.model_validate(content)
        place = ("maker",)
        method = declaration(found.method)
        settings = method.form().model_validate(found.maker, strict=True).model_dump()
    except ValidationError as error:
        problem = error.errors(include_url=False)[0]
        raise InputError(f"{who}: {_told(problem, place)}; {remedy}.") from error
    if (found.healthy_quantile is None) == (method.own_threshold is None):
        expected = "null, since its method has its own threshold" if found.healthy_quantile else "a number"
        raise InputError(f"{who}: healthy_quantile: expected {expected} (found {found.healthy_quantile}); {remedy}.")
    if wrong := _wrong_files(found, method, settings):
        raise InputError(f"{who}: files {wrong}; {remedy}.")
    return {**found.model_dump(), "maker": settings}


def _wrong_files(found: Description, method: type[MethodRow], settings: Mapping[str, Any]) -> str:
    """What a bundle of its method lists too little or too much; nothing if all is right."""
    roles = [role_of(name) for name in found.files]
    needed = ALWAYS | method.needed(settings)
    if lacking := needed - {*roles}:
        return f"lacks {', '.join(sorted(lacking))}"
    if foreign := {*roles} - needed - {*method.optional_roles}:
        return f"lists {min(foreign)}, which no bundle of {found.method} holds"
    twice = {role for role in roles if roles.count(role) > 1}
    return f"lists two of {min(twice)}" if twice else ""


def _told(problem: Mapping[str, Any], place: tuple[str | int, ...]) -> str:
    """Which field, what is wrong with it, and what it holds."""
    field = ".".join(repr(part).strip("'")[:40] for part in (*place, *problem["loc"]) if part != "[key]")
    message = problem["msg"].removeprefix("Value error, ")
    message = message[0].lower() + message[1:]
    if problem["type"] == "missing" or not problem["loc"]:
        return f"{field}: {message}" if field else message
    return f"{field}: {message} (found {reprlib.repr(problem['input'])})"

"""The config: the only reader of the YAML, and the one place where defaults stand.

Every section is a model that refuses unknown keys. Rules receive plain values of the narrowest section they need,
never these models.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Annotated, Any, get_args

from pydantic import Field, ValidationError, model_validator

from stfpm3d.methods.registry import METHODS, declaration
from stfpm3d.methods.row import MethodRow
from stfpm3d.runtime.errors import InputError
from stfpm3d.runtime.section import Section
from stfpm3d.study.rows import Gan, Segmenter, Student, Teacher
from stfpm3d.study.sections import (
    BiasCorrection,
    Card,
    Cohort,
    Compute,
    Demo,
    Evaluation,
    Fractions,
    Grid,
    Registration,
    Report,
    Split,
    Standardization,
    Template,
)

KINDS = ("teacher", "student", "gan", "segmenter")
"""The kinds of networks, each with a list of rows, such as `teachers`."""
RESERVED = "histogram"
"""The name of a probe that stands among those of the experiments in `metrics.tsv`."""

MEASURED_ALONE = Fractions(train=0, val=0.15, test=0.85)
"""Of patients from whom nothing learns."""


if TYPE_CHECKING:
    Experiment = MethodRow
else:
    Experiment = Annotated[reduce(or_, map(declaration, METHODS)), Field(discriminator="method")]


class Config(Section):
    """The whole config."""

    cohort: Cohort = Cohort()
    demo: Demo = Demo()
    split: Split = Split()
    template: Template = Template()
    bias_correction: BiasCorrection = BiasCorrection()
    registration: Registration = Registration()
    standardization: Standardization = Standardization()
    grid: Grid = Grid()
    compute: Compute = Compute()
    teachers: list[Teacher] = Field(default=[])
    students: list[Student] = Field(default=[])
    gans: list[Gan] = Field(default=[])
    segmenters: list[Segmenter] = Field(default=[])
    experiments: list[Experiment] = Field(min_length=1)
    evaluation: Evaluation = Evaluation()
    report: Report = Report()
    card: Card = Card()

    def fractions(self) -> dict[str, dict[str, float]]:
        """The shares of train, val and test of each group where the table does not divide it."""
        learning = any(teacher.epochs > 0 for teacher in self.teachers)
        patient = self.split.patient or (Fractions() if learning else MEASURED_ALONE)
        return {"healthy": self.split.healthy.model_dump(), "patient": patient.model_dump()}

    @model_validator(mode="after")
    def _names_resolve(self) -> Config:
        for kind in (*(f"{kind}s" for kind in KINDS), "experiments"):
            rows = getattr(self, kind)
            names = [row.name for row in rows]
            folded = [name.lower() for name in names]  # they name folders, also where capitals do not count
            if repeated := {name for name in names if folded.count(name.lower()) > 1}:
                raise ValueError(
                    f"{kind} has two rows named {min(repeated)!r}; names must differ, not in capitals alone"
                )
        if RESERVED in [row.name for row in self.experiments]:
            raise ValueError(
                f"experiments has a row named {RESERVED!r}, as a probe is in the tables; choose another name"
            )
        known = {kind: [row.name for row in getattr(self, f"{kind}s")] for kind in KINDS}
        for student in self.students:
            _require(student.teacher, known["teacher"], f"student {student.name!r} names the teacher")
        for experiment in self.experiments:
            for kind in experiment.names:
                _require(getattr(experiment, kind), known[kind], f"experiment {experiment.name!r} names the {kind}")
        used = {getattr(row, "segmenter", None) for row in self.experiments}
        for segmenter in self.segmenters:  # the demo's stays in the config of a study that has none
            if segmenter.name in used and segmenter.spacing_mm < self.template.resolution_mm:
                raise ValueError(
                    f"segmenter {segmenter.name!r}: spacing_mm {segmenter.spacing_mm:g} is finer than"
                    f" template.resolution_mm {self.template.resolution_mm:g}; choose at least that"
                )
        for teacher in self.teachers:
            if teacher.input_scale is None and teacher.patch_size * 2 > self.grid.size:
                raise ValueError(
                    f"teacher {teacher.name!r}: patch_size {teacher.patch_size} leaves no room for a neighbour "
                    f"in grid.size {self.grid.size}; choose at most {self.grid.size // 2}"
                )
        return self

    @model_validator(mode="after")
    def _sources_and_the_reference_have_graded_maps(self) -> Config:
        graded = [row.name for row in self.experiments if row.is_graded]
        if not graded:
            raise ValueError("experiments has no row with graded maps; add one that is neither mask nor segmentation")
        sources = {row.name: row.source() for row in self.experiments}
        named = {f"experiment {name!r} segments the maps of": of for name, of in sources.items() if of}
        if self.evaluation.reference is not None:
            named["evaluation.reference names the experiment"] = self.evaluation.reference
        for subject, name in named.items():
            _require(name, [row.name for row in self.experiments], subject)
            if name not in graded:
                raise ValueError(f"{subject} {name!r}, whose maps hold 0 and 1 alone; name one of {', '.join(graded)}")
        return self


def _require(name: str, known: list[str], subject: str) -> None:
    if name not in known:
        raise ValueError(f"{subject} {name!r}, which is not defined{_suggestion(name, known)}")


def _suggestion(name: str, valid: list[str]) -> str:
    close = difflib.get_close_matches(name, valid, n=1, cutoff=0.5)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; expected one of {', '.join(valid)}" if valid else ""


def read_config(mapping: Mapping[str, Any]) -> Config:
    """Check a config mapping and fill in the defaults.

    Raises
    ------
    InputError
        One sentence for each problem; an unknown key is named with the nearest valid one.
    """
    try:
        return Config.model_validate(mapping)
    except ValidationError as error:
        raise InputError("\n".join(_sentence(problem, mapping) for problem in error.errors())) from error


def _sentence(problem: Any, config: Mapping[str, Any]) -> str:
    """One sentence for one of pydantic's problems."""
    place = [part for part in problem["loc"] if not (isinstance(part, str) and part in METHODS)]
    key = _key(place, config)
    if problem["type"] == "extra_forbidden":
        valid = sorted(_keys_beside(problem["loc"]))
        return f"config: unknown key {key}{_suggestion(str(place[-1]), valid)}"
    message = problem["msg"].removeprefix("Value error, ")
    return (
        f"config: {key}: {message[0].lower()}{message[1:]} (got {problem['input']!r})"
        if place
        else f"config: {message}"
    )


def _key(place: list[int | str], config: Mapping[str, Any]) -> str:
    """The place of a problem as a person would name it: a row by its name, by its number where it has none."""
    words: list[str] = []
    found: Any = config
    for part in place:
        if isinstance(part, int):
            found = found[part]
            name = found.get("name") if isinstance(found, Mapping) else None
            words.append(name if isinstance(name, str) else f"(number {part + 1})")
        else:
            found = found.get(part) if isinstance(found, Mapping) else None
            words.append(part)
    return ".".join(words)


def section_models(annotation: Any) -> Iterator[type[Section]]:
    """The models inside a type annotation: of a section, of a list of rows, of a choice of rows."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        yield annotation
    for inner in get_args(annotation):
        yield from section_models(inner)


def _keys_beside(location: tuple[int | str, ...]) -> list[str]:
    """The valid keys of the section that holds the unknown key at `location`."""
    section: type[Section] = Config
    for part in location[:-1]:
        if isinstance(part, str) and part in METHODS:
            section = declaration(part)
        elif isinstance(part, str):
            section = next(section_models(section.model_fields[part].annotation))
    return list(section.model_fields)

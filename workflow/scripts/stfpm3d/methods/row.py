"""What a method declares: its row of the config, and with it all that rules, plan, bundles and reports ask of it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Protocol

from pydantic import Field, create_model

from stfpm3d.runtime.section import Fraction, Name, Section

Kind = Literal["as published", "our variant", "baseline", "your own"]
SmoothingMm = Annotated[float, Field(ge=0, le=1000, description="FWHM of the Gaussian that smooths the map, mm.")]
MirrorShare = Annotated[
    Fraction,
    Field(
        description="Share of its left-right mirror image that is taken from the map: both hemispheres have the"
        " acquisition in common."
    ),
]
STANDARDIZED = "results/standardize/{sub}/image.nii.gz"
FILLED = ("{sub}", "{scan_id}", "{participant_id}")
"""What the path of a scan's file may hold, of which one at least tells scans apart; besides `{session_id}`."""
MACHINE = ("accelerator", "threads")
"""What a function may ask for that is the machine's, not the experiment's."""
ASKED: Mapping[str, Any] = {
    "lesion_sign": Literal[-1, 1],
    "precision": Literal["32-true", "16-mixed", "bf16-mixed"],
}
"""What a function may ask for besides, by the form that it has in a bundle."""
TORCH = (*MACHINE, "precision")


def filled(pattern: str, scan: Mapping[Any, Any]) -> str:
    """The path of a scan's file: `{key}` is replaced by what its row of the participants table holds."""
    for key, value in {"sub": scan["scan_id"], **scan}.items():
        pattern = pattern.replace(f"{{{key}}}", str(value))
    return pattern


class Study(Protocol):
    """What a row may ask of its study; `study.plan.Plan` is one."""

    lesion_sign: int
    where: dict[str, Any]
    """`accelerator`, `threads` and `precision`."""
    networks: dict[str, dict[str, Any]]
    """The rows of teachers, students, gans and segmenters: by kind, such as `teacher`, and name."""

    transform: list[str]
    """The files of a scan's transform to MNI space, with `{sub}`."""
    transform_kind: str

    def select(self, **parts: Any) -> list[str]:
        """The scans of one `split` and `group`."""
        ...

    def grid_of(self, teacher: str) -> str:
        """The folder of the grid of a teacher and its students, ending in a slash."""
        ...

    def grid_of_gan(self, gan: str) -> str:
        """The folder of a GAN's grid, ending in a slash."""
        ...

    def grid_of_segmenter(self, segmenter: str) -> str:
        """The folder of a segmenter's grid, ending in a slash."""
        ...

    def atlas_of(self, teacher: str) -> str | list[str]:
        """A teacher's atlas; nothing where the scan is alone."""
        ...

    def kind(self, experiment: str) -> Kind:
        """The kind of another row."""
        ...

    def description(self, experiment: str) -> dict[str, Any]:
        """How the maps of another row come about."""
        ...


class MethodRow(Section):
    """A row of `experiments`. Each method derives its own from this class; only what differs is declared there."""

    name: Name = Field(description="Name of the row, and of its folder.")
    method: Any

    maker: ClassVar[str] = ""
    """The function that makes its maps (see `registry.map_maker`), as `module:name`; empty for the bare brain mask."""
    runs_in: ClassVar[Literal["imaging", "learning", "own"]] = "imaging"
    """The environment that the function needs: torch is in learning, what the user names is own."""
    names: ClassVar[tuple[str, ...]] = ()
    """The keys that name a row of teachers, students, gans or segmenters."""
    asks: ClassVar[tuple[str, ...]] = ()
    """The keywords of the function besides the keys of the row: of `MACHINE` and `ASKED`."""
    computes: ClassVar[Mapping[str, Any]] = {}
    """The keywords that `computed` gives, by the form that they have in a bundle."""
    replaces: ClassVar[tuple[str, ...]] = ()
    """The keys of the row that the function does not take."""
    roles: ClassVar[tuple[str, ...]] = ()
    """What `files` holds in every row of the method."""
    optional_roles: ClassVar[tuple[str, ...]] = ()
    """What `files` holds in some rows of the method."""
    has_blocks: ClassVar[bool] = False
    """Whether a map is made of the blocks of a teacher."""
    maps_new_scans: ClassVar[bool] = True
    """Whether it can map what was not in the study: altered copies of scans, and new scans by a bundle."""
    own_threshold: ClassVar[float | None] = None
    """The threshold that its values have by themselves; without it healthy validation scans set one."""
    protocols: ClassVar[tuple[str, ...]] = ("strict", "paper")
    """How its maps are measured."""
    text: ClassVar[str] = ""
    """What made the maps, in the report's paragraph on methods; `[key]` cites one of `references`."""
    references: ClassVar[Mapping[str, str]] = {}
    """The literature that `text` cites."""

    @property
    def is_graded(self) -> bool:
        """Whether a map has more values than 0 and 1."""
        return True

    def kind(self, study: Study) -> Kind:
        """Whether it is the paper's own method (experiments 1 to 4), a variant of it, or what to compare it with."""
        return "baseline"

    def files(self, study: Study) -> dict[str, Any]:
        """What maps are made with besides the scan and the `brain_mask`, by role; nothing for what a row lacks."""
        return {}

    def image(self, study: Study) -> str:
        """The path of what a map is made of, with `{sub}`; empty for what is made of another row's maps."""
        return STANDARDIZED

    def beside(self, study: Study) -> list[str]:
        """The paths of further files that a scan's map is made of, as `image` gives them; `{image}` is the scan."""
        return []

    def source(self) -> str | None:
        """The row whose maps it works on."""
        return None

    def computed(self) -> dict[str, Any]:
        """Keywords of the function that follow from the keys of the row."""
        return {}

    def keywords(self, study: Study) -> dict[str, Any]:
        """The keywords of the function: the keys of the row, what is `computed` of them, and what it `asks` for."""
        offered = {**study.where, "lesion_sign": study.lesion_sign}
        own = self.model_dump(mode="json", include={*self._passed()})
        return {**own, **self.computed(), **{key: offered[key] for key in self.asks}}

    @classmethod
    def form(cls) -> type[Section]:
        """The form of `keywords` in a bundle, without those of the machine: each must be there."""
        own = {key: cls.model_fields[key] for key in cls._passed()}
        forms: dict[str, Any] = {key: Annotated[(of.annotation, Field(), *of.metadata)] for key, of in own.items()}
        forms |= {**cls.computes, **{key: ASKED[key] for key in cls.asks if key in ASKED}}
        required: dict[str, Any] = {key: (form, ...) for key, form in forms.items()}
        return create_model("Settings", __base__=Section, **required)

    @classmethod
    def _passed(cls) -> list[str]:
        return [key for key in cls.model_fields if key not in ("name", "method", *cls.names, *cls.replaces)]

    @classmethod
    def needed(cls, settings: Mapping[str, Any]) -> set[str]:
        """The roles of `files` that a bundle with these settings must hold."""
        return {*cls.roles}

    def user_files(self) -> dict[str, str]:
        """The user's own files that the row names, by key."""
        return {}

    def foreign_code(self) -> list[str]:
        """Digests of the user's code that makes its maps."""
        return []

    def fitted_on(self) -> tuple[str, int] | None:
        """The part on whose healthy scans its statistics stand, and how many it must have; None without statistics."""
        return None

    def description(self, study: Study) -> dict[str, Any]:
        """How its maps come about, for the report, besides `method`, `kind`, `text` and `references`."""
        plain = {"blocks": [], "architecture": None, "weights": None, "patch_learning": False}
        return {**plain, "residual": None, "untrained": False, "segmented_by": None}

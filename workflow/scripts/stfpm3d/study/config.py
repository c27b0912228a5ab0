"""The config: the only reader of the YAML, and the one place where defaults stand.

Every section is a model that refuses unknown keys. Rules receive plain values of the narrowest section they need,
never these models.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, get_args

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PositiveFloat,
    PositiveInt,
    ValidationError,
    model_validator,
)

from stfpm3d.study.errors import InputError

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]*$")]
Fraction = Annotated[float, Field(ge=0, le=1)]
Seed = Annotated[int, Field(ge=0, le=2**32 - 1)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


Blocks = Annotated[list[Literal[1, 2, 3]], Field(min_length=1, max_length=3)]


class Section(BaseModel):
    """A part of the config; unknown keys are errors, values never change after reading.

    The docstrings of its subclasses stand in config/README.md: what it is, and what runs again when it changes.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)


class Cohort(Section):
    """Who is studied. Reruns: everything that depends on the scans which are new, changed or gone."""

    participants: str = Field(
        default="demo", description="Path of participants.tsv, or `demo` for the synthetic cohort."
    )
    modality: Literal["T1w", "T2w", "FLAIR"] = Field(default="T2w", description="Contrast of every scan of the cohort.")

    @model_validator(mode="after")
    def _demo_is_t2w(self) -> Cohort:
        if self.participants == "demo" and self.modality != "T2w":
            raise ValueError(f"the demo cohort is T2w, not {self.modality}; name a participants table or choose T2w")
        return self


class Counts(Section):
    """Numbers of subjects."""

    train: PositiveInt = Field(description="Scans in the training part.")
    val: PositiveInt = Field(description="Scans in the validation part.")
    test: PositiveInt = Field(description="Scans in the test part.")


class Demo(Section):
    """The synthetic cohort, used when `cohort.participants` is `demo`. Reruns: rendering and all that follows."""

    seed: Seed = Field(default=0, description="Seed of the rendered cohort.")
    healthy: Counts = Field(default=Counts(train=16, val=6, test=6), description="Number of healthy subjects.")
    patient: Counts = Field(default=Counts(train=6, val=6, test=8), description="Number of patients.")


class Fractions(Section):
    """Shares of a group; they sum to 1."""

    train: Fraction = Field(default=0.70, description="Share of the group's scans to train on.")
    val: Fraction = Field(default=0.15, description="Share of the group's scans to validate on.")
    test: Fraction = Field(default=0.15, description="Share of the group's scans to test on.")

    @model_validator(mode="after")
    def _sum_to_one(self) -> Fractions:
        total = self.train + self.val + self.test
        if abs(total - 1) > 1e-6:
            raise ValueError(f"train, val and test sum to {total:g}, expected 1")
        return self


class Split(Section):
    """How subjects are divided without a `split` column. Reruns: what is fitted or measured on scans that move."""

    seed: Seed = Field(default=0, description="Seed of the hash that orders the subjects.")
    healthy: Fractions = Field(default=Fractions(), description="How healthy subjects are divided.")
    patient: Fractions = Field(default=Fractions(), description="How patients are divided.")


class Checksums(Section):
    """Which TemplateFlow files are meant. Reruns: as `template`."""

    head: Sha256 = Field(description="sha256 of the T1w file.")
    brain_mask: Sha256 = Field(description="sha256 of the brain mask's file.")


class Template(Section):
    """The MNI space of the run. Reruns: the template, registration, and all that follows."""

    resolution_mm: Annotated[float, Field(ge=0.5, le=8)] = Field(
        default=2.0, description="Voxel edge of the MNI grid, mm."
    )
    head: str | None = Field(
        default=None, description="Path of a whole-head template; the packaged MNI152NLin2009cAsym T1 without it."
    )
    brain_mask: str | None = Field(
        default=None, description="Path of that template's brain mask; the packaged ICBM mask without it."
    )
    templateflow: Annotated[str, Field(pattern=r"^[A-Za-z0-9]+$")] | None = Field(
        default=None, description="Name of a TemplateFlow template to download instead, e.g. MNI152NLin2009cSym."
    )
    sha256: Checksums | None = Field(
        default=None, description="Checksums that TemplateFlow's files must have; without them they are only logged."
    )
    space: Annotated[str, Field(pattern=r"^[A-Za-z0-9]+$")] = Field(
        default="MNI152NLin2009cAsym",
        description="Name of the template's space, as it stands in the maps' file names; templateflow sets it.",
    )

    @model_validator(mode="before")
    @classmethod
    def _space_follows_templateflow(cls, values: Any) -> Any:
        if isinstance(values, Mapping) and values.get("templateflow"):
            return {"space": values["templateflow"], **values}
        return values

    @model_validator(mode="after")
    def _one_source(self) -> Template:
        if (self.head is None) != (self.brain_mask is None):
            raise ValueError("head and brain_mask belong together; give both or neither")
        if self.templateflow and self.head:
            raise ValueError("templateflow and head are two sources of one template; give one of them")
        if self.templateflow and self.space != self.templateflow:
            raise ValueError(f"space {self.space!r} is not templateflow's {self.templateflow!r}; leave space out")
        if self.sha256 and not self.templateflow:
            raise ValueError("sha256 belongs to templateflow; name the template, or leave sha256 out")
        return self


class BiasCorrection(Section):
    """Bias field correction of the native scan. Reruns: registration and all that follows."""

    method: Literal["none", "n4"] = Field(
        default="none", description="`n4` corrects the native scan's bias field (N4) before registration."
    )


class Registration(Section):
    """Scans to MNI space. Reruns: registration and all that follows."""

    transform: Literal["AffineFast", "Rigid", "Affine", "SyN"] = Field(
        default="AffineFast",
        description="AffineFast: affine, at 6 and 4 mm; Rigid and Affine: down to 1 mm; SyN: AffineFast and a warp, "
        "which may pull a lesion towards normal anatomy.",
    )
    seed: Seed = Field(default=0, description="Random seed of ANTs.")


class Standardization(Section):
    """Intensities. Reruns: the landmarks, standardization, and all that follows."""

    landmarks_from: Literal["healthy", "all"] = Field(
        default="healthy", description="Training scans that the Nyúl landmarks are fitted on."
    )


class Grid(Section):
    """The cube of MNI space that the networks see. Reruns: the grid, the trainings, and what follows."""

    crop_mm: Annotated[float, Field(ge=16, le=300)] | Literal["brain"] = Field(
        default=156.0,
        description="Edge of the network's cube, mm; `brain`: the smallest that holds the brain.",
    )
    size: Annotated[int, Field(ge=16, multiple_of=8)] = Field(
        default=80, description="Edge of that cube in network voxels."
    )


class Compute(Section):
    """Where trainings and maps are computed. Reruns: trainings and what follows, since sums depend on it."""

    accelerator: Literal["auto", "cpu", "gpu"] = Field(default="auto", description="Lightning's accelerator.")
    devices: PositiveInt = Field(default=1, description="Number of devices that one training uses.")
    precision: Literal["32-true", "16-mixed", "bf16-mixed"] = Field(
        default="32-true", description="Lightning's precision of training."
    )
    threads: PositiveInt = Field(default=2, description="CPU threads of a training; tracked, since sums depend on it.")


class Teacher(Section):
    """A teacher: patch learning on healthy and diseased scans. Reruns: that teacher, its students, and what follows."""

    name: Name = Field(description="Name of the row, and of its folder.")
    architecture: Literal["resnet18", "resnet34", "resnet50"] = Field(
        default="resnet18", description="torchvision's network to convert."
    )
    weights: str = Field(
        default="random",
        description="What to start from: `random`, `imagenet` (torchvision's weights, downloaded), or the path of a "
        "torchvision checkpoint.",
    )
    atlas: str = Field(
        default="none",
        description="Second input channel of the teacher and its students: `none`; `coordinates`, the mean of a "
        "voxel's three coordinates in the cube; or the path of a label or probability map in the template's space.",
    )
    input_scale: Annotated[float, Field(ge=0.1, le=4)] | None = Field(
        default=None,
        description="Network voxels per mm for this teacher and its students; without it `grid.size`'s.",
    )
    seed: Seed = Field(default=0, description="Seed of weights and triplets.")
    balance: Literal["equal", "all"] = Field(
        default="equal",
        description="`equal`: the smaller group whole and as many of the larger; `all`: every training scan.",
    )
    epochs: Annotated[int, Field(ge=0)] = Field(
        default=20, description="Epochs of patch learning; 0 keeps the initial weights."
    )
    batch_size: PositiveInt = Field(default=2, description="Scans in a step.")
    triplets_per_scan: PositiveInt = Field(default=8, description="Triplets drawn from each scan of a step.")
    patch_size: Annotated[int, Field(ge=8)] = Field(default=32, description="Edge of a patch in network voxels.")
    min_brain_fraction: Fraction = Field(default=0.5, description="Least share of brain in a patch.")
    margin: PositiveFloat = Field(default=1.0, description="Margin of the triplet loss.")
    squared: bool = Field(default=True, description="Squared distances (paper, eq. 3-4) or plain ones (authors' code).")
    learning_rate: PositiveFloat = Field(
        default=0.001, description="SGD learning rate; the paper's 0.1 diverges with squared distances."
    )
    momentum: Fraction = Field(default=0.0, description="SGD momentum.")
    weight_decay: Annotated[float, Field(ge=0)] = Field(default=1e-4, description="SGD weight decay.")
    lr_step_epochs: PositiveInt = Field(default=10, description="Epochs between two decays of the learning rate.")
    lr_decay: Fraction = Field(default=0.8, description="Factor of such a decay.")


class Student(Section):
    """A student: it matches a teacher on healthy scans. Reruns: that student, its maps, evaluation and report."""

    name: Name = Field(description="Name of the row, and of its folder.")
    teacher: Name = Field(description="Name of the teacher row to learn from.")
    seed: Seed = Field(default=1, description="Seed of the initial weights and the order of scans.")
    epochs: PositiveInt = Field(default=20, description="Most epochs of training.")
    batch_size: PositiveInt = Field(default=2, description="Scans in a step.")
    squared: bool = Field(default=True, description="Squared distances (paper, eq. 5) or plain ones (authors' code).")
    corruption: Literal["noise", "lesions"] | None = Field(
        default=None,
        description="A denoising student sees training scans with smooth `noise` or synthetic `lesions`, its teacher"
        " the clean ones.",
    )
    learning_rate: PositiveFloat = Field(default=0.4, description="SGD learning rate.")
    momentum: Fraction = Field(default=0.0, description="SGD momentum.")
    weight_decay: Annotated[float, Field(ge=0)] = Field(default=1e-4, description="SGD weight decay.")
    selection: Literal["auroc", "synthetic_ap", "loss"] = Field(
        default="auroc",
        description="What chooses the epoch on validation scans: `auroc` of patients against healthy scans;"
        " `synthetic_ap`, the mean average precision on synthetic lesions in healthy scans, which also replaces `auroc`"
        " where there is no validation patient; ties go to the lower `loss` on healthy scans; or that loss alone.",
    )
    patience: PositiveInt = Field(default=5, description="Epochs without improvement before training stops.")


class Gan(Section):
    """An f-AnoGAN on healthy scans: a GAN, then its encoder. Reruns: both, their maps, evaluation and report."""

    name: Name = Field(description="Name of the row, and of its folder.")
    seed: Seed = Field(default=2, description="Seed of weights, latent vectors and the order of scans.")
    size: Annotated[int, Field(ge=32, multiple_of=16)] = Field(
        default=64, description="Edge of the network's cube (`grid.crop_mm`) in voxels of this network."
    )
    width: PositiveInt = Field(
        default=64, description="Channels next to the scan; the deepest layers have 8 times as many."
    )
    latent_dim: PositiveInt = Field(default=128, description="Length of a latent vector.")
    gan_epochs: PositiveInt = Field(default=250, description="Epochs of the GAN; the last one's weights are kept.")
    encoder_epochs: PositiveInt = Field(
        default=250,
        description="Epochs of the encoder; the best on healthy validation scans is kept.",
    )
    batch_size: PositiveInt = Field(
        default=8, description="Scans in a step; the published code's 64 images would fill a GPU as volumes."
    )
    gan_learning_rate: PositiveFloat = Field(default=1e-4, description="Adam learning rate of generator and critic.")
    encoder_learning_rate: PositiveFloat = Field(default=5e-5, description="RMSprop learning rate of the encoder.")
    critic_steps: PositiveInt = Field(
        default=5, description="Steps of the critic, one a batch, for each of the generator."
    )
    gradient_penalty: PositiveFloat = Field(
        default=10.0, description="Weight of the gradient penalty in the critic's loss (λ)."
    )
    kappa: Annotated[float, Field(ge=0)] = Field(
        default=1.0, description="Weight of the critic's features in the encoder's loss (κ)."
    )


class StfpmExperiment(Section):
    """Distances of a student to its teacher. Reruns: its maps, evaluation and report."""

    name: Name = Field(description="Name of the row, and of its folder.")
    method: Literal["stfpm"] = Field(description="`stfpm`.")
    student: Name = Field(description="Name of the student row.")
    weights: Literal["trained", "initial"] = Field(
        default="trained", description="The student's trained or its initial weights."
    )
    combine: Literal["product", "sum"] = Field(default="product", description="How the blocks' maps become one.")
    blocks: Blocks = Field(
        default=[1, 2, 3], description="ResNet blocks whose maps are combined; the paper takes all three."
    )
    residual: Literal["distance", "gaussian"] = Field(
        default="distance",
        description="`distance`: the squared distance (paper, eq. 5); `gaussian`: how unusual the difference is at its"
        " place and channel, against healthy validation scans.",
    )


class PadimExperiment(Section):
    """PaDiM: a Gaussian of healthy scans' teacher features. Reruns: it, its maps, evaluation and report."""

    name: Name = Field(description="Name of the row, and of its folder.")
    method: Literal["padim"] = Field(description="`padim`.")
    teacher: Name = Field(description="Name of the teacher row.")
    combine: Literal["product", "sum"] = Field(default="sum", description="How the blocks' maps become one.")
    blocks: Blocks = Field(default=[1, 2, 3], description="ResNet blocks whose maps are combined.")
    smoothing_mm: Annotated[float, Field(ge=0)] = Field(
        default=0.0, description="FWHM of the Gaussian that smooths the map, mm."
    )


class FanoganExperiment(Section):
    """Distance of a scan to its reconstruction by a GAN. Reruns: its maps, evaluation and report."""

    name: Name = Field(description="Name of the row, and of its folder.")
    method: Literal["fanogan"] = Field(description="`fanogan`.")
    gan: Name = Field(description="Name of the gan row.")
    kappa: Annotated[float, Field(ge=0)] = Field(
        default=1.0, description="Weight of the critic's features in the image score (κ); the map has none."
    )


class IntensityExperiment(Section):
    """The standardized intensity itself. Reruns: its maps, evaluation and report."""

    name: Name = Field(description="Name of the row, and of its folder.")
    method: Literal["intensity"] = Field(description="`intensity`.")


class ZscoreExperiment(Section):
    """Voxel-wise z-score against healthy training scans. Reruns: its maps, evaluation and report."""

    name: Name = Field(description="Name of the row, and of its folder.")
    method: Literal["zscore"] = Field(description="`zscore`.")
    smoothing_mm: Annotated[float, Field(ge=0)] = Field(
        default=4.0, description="FWHM of the Gaussian that smooths the map, mm."
    )


class MaskExperiment(Section):
    """The brain mask as every scan's map, beside the paper's protocol. Reruns: its maps, evaluation and report."""

    name: Name = Field(description="Name of the row, and of its folder.")
    method: Literal["mask"] = Field(description="`mask`.")


class SegmentationExperiment(Section):
    """Lesions cut out of another experiment's maps, without scores. Reruns: its maps, evaluation and report."""

    name: Name = Field(description="Name of the row, and of its folder.")
    method: Literal["segmentation"] = Field(description="`segmentation`.")
    experiment: Name = Field(description="Name of the experiment row whose maps are segmented.")
    by: Literal["kmeans", "top_fraction"] = Field(
        default="kmeans",
        description="What is lesion in a scan's brain: the higher of two k-means clusters, or the highest fraction.",
    )
    fraction: Annotated[float, Field(gt=0, lt=1)] = Field(
        default=0.01, description="Share of a scan's brain voxels that `top_fraction` takes."
    )


Experiment = Annotated[
    StfpmExperiment
    | PadimExperiment
    | FanoganExperiment
    | IntensityExperiment
    | ZscoreExperiment
    | MaskExperiment
    | SegmentationExperiment,
    Field(discriminator="method"),
]


class SyntheticLesions(Section):
    """Lesions in copies of healthy test scans; the scan itself is the control. Reruns: these lesions, their maps, and
    the tables and report."""

    per_scan: Annotated[int, Field(ge=0)] = Field(
        default=3,
        description="Lesions of each scan, each in a copy of its own: small (0.5-2 ml), medium (2-10 ml) and large"
        " (10-50 ml) in turn; 0 for none.",
    )
    masks: str | None = Field(
        default=None,
        description="Path of a folder of real lesion masks (NIfTI, in the template's space) to insert instead of grown"
        " lesions; each scan gets those that a hash chooses.",
    )
    seed: Seed = Field(default=0, description="Seed of the lesions and of the choice of masks.")


class Evaluation(Section):
    """How maps are measured. Reruns: evaluation and report."""

    healthy_quantile: Annotated[float, Field(gt=0, lt=1)] = Field(
        default=0.99, description="The segmentation threshold is this quantile of healthy validation brain voxels."
    )
    min_lesion_ml: Annotated[float, Field(ge=0)] = Field(
        default=0.05,
        description="Smaller components of the lesion mask and of the thresholded map do not count, ml; the default is"
        " BraTS' 50 voxels of 1 mm.",
    )
    reference: Name | None = Field(
        default=None,
        description="Name of the experiment that the others are tested against by their average precision per patient;"
        " without it the first that is measured inside the brain. This key alone reruns the comparison and the report.",
    )
    synthetic: SyntheticLesions = SyntheticLesions()


class Report(Section):
    """What the report's page shows. Reruns: the report."""

    pictures: PositiveInt = Field(
        default=40,
        description="Most test scans whose slices are shown: patients and healthy scans in turn, in the table's order. "
        "Each adds a few hundred kilobytes to the page.",
    )


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
    teachers: list[Teacher] = Field(min_length=1)
    students: list[Student] = []
    gans: list[Gan] = []
    experiments: list[Experiment] = Field(min_length=1)
    evaluation: Evaluation = Evaluation()
    report: Report = Report()

    @model_validator(mode="after")
    def _names_resolve(self) -> Config:
        for kind in ("teachers", "students", "gans", "experiments"):
            rows = getattr(self, kind)
            names = [row.name for row in rows]
            if repeated := {name for name in names if names.count(name) > 1}:
                raise ValueError(f"{kind} has two rows named {min(repeated)!r}; names must differ")
        teachers, students, gans = ([row.name for row in rows] for rows in (self.teachers, self.students, self.gans))
        for student in self.students:
            _require(student.teacher, teachers, f"student {student.name!r} names the teacher")
        for experiment in self.experiments:
            if isinstance(experiment, StfpmExperiment):
                _require(experiment.student, students, f"experiment {experiment.name!r} names the student")
            if isinstance(experiment, PadimExperiment):
                _require(experiment.teacher, teachers, f"experiment {experiment.name!r} names the teacher")
            if isinstance(experiment, FanoganExperiment):
                _require(experiment.gan, gans, f"experiment {experiment.name!r} names the gan")
        for teacher in self.teachers:
            if teacher.input_scale is None and teacher.patch_size * 2 > self.grid.size:
                raise ValueError(
                    f"teacher {teacher.name!r}: patch_size {teacher.patch_size} leaves no room for a neighbour "
                    f"in grid.size {self.grid.size}; choose at most {self.grid.size // 2}"
                )
        return self

    @model_validator(mode="after")
    def _segmentations_have_graded_maps(self) -> Config:
        segmented = (MaskExperiment, SegmentationExperiment)
        graded = [row.name for row in self.experiments if not isinstance(row, segmented)]
        if not graded:
            raise ValueError("experiments has no row with graded maps; add one that is neither mask nor segmentation")
        for experiment in self.experiments:
            if isinstance(experiment, SegmentationExperiment):
                subject = f"experiment {experiment.name!r} segments the maps of"
                _require(experiment.experiment, [row.name for row in self.experiments], subject)
                if experiment.experiment not in graded:
                    known = ", ".join(graded)
                    raise ValueError(
                        f"{subject} {experiment.experiment!r}, which hold 0 and 1 alone; name one of {known}"
                    )
        return self

    @model_validator(mode="after")
    def _reference_is_measured(self) -> Config:
        if self.evaluation.reference is not None:
            measured = [row.name for row in self.experiments if not isinstance(row, MaskExperiment)]
            _require(self.evaluation.reference, measured, "evaluation.reference names the experiment")
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
        raise InputError("\n".join(_sentence(problem) for problem in error.errors())) from error


def _sentence(problem: Any) -> str:
    """One sentence for one of pydantic's problems."""
    place = [part for part in problem["loc"] if not (isinstance(part, str) and part in _METHODS)]
    key = ".".join(str(part) for part in place) or "config"
    if problem["type"] == "extra_forbidden":
        valid = sorted(_keys_beside(problem["loc"]))
        return f"config: unknown key {key}{_suggestion(str(place[-1]), valid)}"
    message = problem["msg"].removeprefix("Value error, ")
    return (
        f"config: {key}: {message[0].lower()}{message[1:]} (got {problem['input']!r})"
        if place
        else f"config: {message}"
    )


def section_models(annotation: Any) -> Iterator[type[Section]]:
    """The models inside a type annotation: of a section, of a list of rows, of a choice of rows."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        yield annotation
    for inner in get_args(annotation):
        yield from section_models(inner)


_METHODS = {get_args(model.model_fields["method"].annotation)[0]: model for model in section_models(Experiment)}


def _keys_beside(location: tuple[int | str, ...]) -> list[str]:
    """The valid keys of the section that holds the unknown key at `location`."""
    section: type[Section] = Config
    for part in location[:-1]:
        if isinstance(part, str) and part in _METHODS:
            section = _METHODS[part]
        elif isinstance(part, str):
            section = next(section_models(section.model_fields[part].annotation))
    return list(section.model_fields)

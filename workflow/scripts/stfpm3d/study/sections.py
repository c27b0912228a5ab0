"""The config's sections: what is studied, how scans are prepared, where it is computed, how it is measured."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import (
    Field,
    PositiveInt,
    ValidationError,
    ValidatorFunctionWrapHandler,
    field_validator,
    model_validator,
)

from stfpm3d.runtime.section import Fraction, Name, Section, Seed

Entity = Annotated[str, Field(pattern=r"^[a-z]+$")]
Label = str | int | None
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Cohort(Section):
    """Who is studied. Reruns: everything that depends on the scans which are new, changed or gone."""

    participants: str = Field(
        default="demo",
        description="Path of participants.tsv, or of the folder of a BIDS data set; `demo` for the synthetic cohort.",
    )
    test_participants: str | None = Field(
        default=None,
        description="Path of a second table of the same columns, or of a second data set, all of whose scans are test"
        " scans; those of the first are then left out. Nothing is trained or fitted again.",
    )
    modality: Literal["T1w", "T2w", "FLAIR"] = Field(default="T2w", description="Contrast of every scan of the cohort.")

    bids: dict[Entity, Label | list[Label]] = Field(
        default={},
        description="Which scans of a BIDS data set count, by the entities of their names: `{ce: null, run: 1}` takes"
        " those without `ce-` and with `run-1`; a list takes any of its labels, `[1, null]` also names without the"
        " entity.",
    )

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

    scenario: Literal["tumours", "shortcut", "matched"] = Field(
        default="tumours",
        description="`tumours`: patients have tumours and were scanned in a clinic, whose scans are stripped brains of"
        " another acquisition than most healthy heads (docs/real-scans.md). Whole heads, rendered on the template's"
        " grid: `shortcut`, where nobody has a lesion, each group has a site of its own, and masks mark where nothing"
        " is changed; `matched`, where both groups share the sites and patients have lesions.",
    )
    seed: Seed = Field(default=0, description="Seed of the rendered cohort.")
    healthy: Counts = Field(default=Counts(train=14, val=6, test=6), description="Number of healthy subjects.")
    patient: Counts = Field(default=Counts(train=4, val=2, test=12), description="Number of patients.")


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
    """How subjects are divided without a `split` column. Reruns: what is fitted or measured on scans that move.

    Without `patient`, patients are divided as in the paper (0.70, 0.15, 0.15) where a teacher learns from them
    (`epochs` above 0). Else 0.15 of them validate and 0.85 are tested on.
    """

    seed: Seed = Field(default=0, description="Seed of the hash that orders the subjects.")
    healthy: Fractions = Field(default=Fractions(), description="How healthy subjects are divided.")
    patient: Fractions | None = Field(
        default=None,
        description="How patients are divided; see `split` for what holds without it.",
    )
    folds: Annotated[int, Field(ge=3)] | None = Field(
        default=None,
        description="Number of folds of a cross-validation instead: each tests one share of every group, validates on"
        " the next and trains on the rest. Results stand in `results/folds/`; registration and stripping are shared.",
    )
    fold: PositiveInt | None = Field(
        default=None, description="One of the `folds` alone, counted from 1, as the split of the run."
    )

    @model_validator(mode="after")
    def _fold_is_one_of_them(self) -> Split:
        if self.fold is not None and (self.folds is None or self.fold > self.folds):
            raise ValueError(f"fold {self.fold} is none of {self.folds or 0} folds; set folds, or leave fold out")
        return self


class Checksums(Section):
    """Which TemplateFlow files are meant; else `templateflow.sha256` keeps the first run's. Reruns: as `template`."""

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
        default=None,
        description="Checksums that TemplateFlow's files must have; without them those of the first run.",
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

    transform: Literal["AffineFast", "Rigid", "Affine", "SyN", "none"] = Field(
        default="AffineFast",
        description="AffineFast: affine, on coarse copies by SimpleITK and, where that is doubtful, by ANTs at 6 and"
        " 4 mm; Rigid and Affine: by ANTs down to 1 mm; SyN: AffineFast and a warp, which may pull a lesion towards"
        " normal anatomy; none: for scans that lie in the template's space already, which are resampled to its grid.",
    )
    seed: Seed = Field(default=0, description="Random seed of the estimate.")


class Standardization(Section):
    """Intensities. Reruns: the landmarks, standardization, and all that follows."""

    landmarks_from: Literal["healthy", "all"] = Field(
        default="healthy", description="Training scans that the Nyúl landmarks are fitted on."
    )


class Grid(Section):
    """The crop of MNI space that the networks see. Reruns: the grid, the trainings, and what follows."""

    crop_mm: Annotated[float, Field(ge=16, le=300)] | Literal["brain"] = Field(
        default="brain",
        description="Edge of the cube that the networks see, mm; `brain`: a box that holds the brain, 158 ×"
        " 180 × 158 mm at the default size. The paper's 156 mm cut off the poles.",
    )
    size: Annotated[int, Field(ge=16, multiple_of=8)] = Field(
        default=128,
        description="Longest edge of it in network voxels; the default is the paper's 1.4 a voxel of a 2 mm template,"
        " or scan noise hides lesions.",
    )

    @field_validator("crop_mm", mode="wrap")
    @classmethod
    def _is_an_edge_or_brain(cls, given: object, check: ValidatorFunctionWrapHandler) -> float | Literal["brain"]:
        try:
            return check(given)
        except ValidationError:  # a sentence for each of the two
            raise ValueError("expected brain, or an edge of 16 to 300 mm") from None


class Compute(Section):
    """Where trainings and maps are computed. Reruns: trainings and what follows, since sums depend on it."""

    accelerator: Literal["auto", "cpu", "gpu"] = Field(
        default="auto",
        description="`auto`: a GPU if the job's machine has one. A GPU is asked of a cluster by `gpu`, and by `auto`"
        " only where the machine that plans the run has one; with `gpu` a job without one ends with an error.",
    )
    devices: PositiveInt = Field(default=1, description="Number of devices that one training uses, of one machine.")
    precision: Literal["32-true", "16-mixed", "bf16-mixed"] = Field(
        default="32-true", description="Lightning's precision of trainings and maps; mixed ones need less memory."
    )
    threads: PositiveInt = Field(
        default=2,
        description="CPU threads of a device, or the processes that load scans for a GPU; tracked, since sums on a CPU"
        " depend on it.",
    )
    batch_scans: PositiveInt = Field(
        default=32,
        description="Most scans whose maps are made in one job: what a failure loses, and what a cluster runs side by"
        " side. This key alone makes again the maps of batches that are divided otherwise, and what follows from them.",
    )


class SyntheticLesions(Section):
    """Lesions in copies of healthy test scans, which are their controls.

    Reruns: these lesions, their maps, and the tables and report.
    """

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
        " without it the first whose maps are graded. Maps of 0 and 1 (`segmentation`, `mask`) are not tested. This key"
        " alone reruns the comparison and the report.",
    )
    probes: bool = Field(
        default=True,
        description="Whether what tells patients from healthy scans besides lesions is measured; it costs a second map"
        " of every test scan where each group has 12 of them. This key alone adds or removes the probes, and reruns the"
        " tables and the report.",
    )
    synthetic: SyntheticLesions = SyntheticLesions()


class Report(Section):
    """What the report's page shows. Reruns: the report."""

    pictures: PositiveInt = Field(
        default=40,
        description="Most test scans that are shown, in slices and in the viewer: those to look at first, then patients"
        " and healthy scans in turn, in the table's order. Each adds a few hundred kilobytes to the page, and up to one"
        " and a half megabytes to the folder beside it.",
    )
    pseudonyms: bool = Field(
        default=False,
        description="Whether the report calls scans `patient-01` and so on, to be given away; logs/report.log tells"
        " which is which. The page of quality control keeps the ids, and is not linked.",
    )


class Card(Section):
    """What the model card of a bundle says besides figures. Reruns: bundles."""

    notes: str | None = Field(
        default=None,
        description="Path of a Markdown file that becomes a section of the card, such as licence, attribution, limits.",
    )
    development: bool = Field(
        default=False,
        description="Whether the test scans had a say in how the method was made: the card then calls what was measured"
        " on them development figures.",
    )

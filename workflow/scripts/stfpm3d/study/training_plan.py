"""What is prepared and trained: the files and settings that teachers and students ask for, given the cohort.

Paths are those of the rules' outputs, relative to the working directory.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from functools import cache, partial
from pathlib import Path
from typing import Any

import pandas as pd

from stfpm3d.runtime.fingerprint import Fingerprints
from stfpm3d.runtime.section import Section
from stfpm3d.study.cohort import select
from stfpm3d.study.config import KINDS, Config
from stfpm3d.study.devices import has_gpu, requested_gpus
from stfpm3d.study.opening import mask_files, path_unless
from stfpm3d.study.split import hash_order, teacher_scans

BRAIN_MASK = "results/template/mask.nii.gz"
"""The template's brain mask, on the MNI grid."""
LESION_SIGN = {"T2w": 1, "FLAIR": 1, "T1w": -1}
"""Lesions are bright in T2w and FLAIR, dark in T1w."""
MODELS = Path(__file__).resolve().parents[4] / "models"
"""What comes trained with the clone: a folder for each contrast that has a model, and one for ImageNet weights."""
SAMPLE_CPU_S = 1.6
"""CPU-seconds that a segmenter of width 32 learns from one synthetic scan at 2 mm, in float32 (docs/segmenter.md)."""
LONG_MINUTES = 60
"""How long a training may take without being told of before the run."""


def one_of(names: Iterable[str]) -> str:
    """A wildcard constraint: one of some names, of which one may be empty; without names it matches nothing.

    It is written as a tree, since Snakemake goes through all of it for every name of a file.
    """
    tree: dict[str, Any] = {}
    for name in names:
        branch = tree
        for character in [*name, ""]:
            branch = branch.setdefault(character, {})
    return f"({_any_of(tree)})" if tree else "(?!)"


def _any_of(tree: Mapping[str, Any]) -> str:
    """The regular expression of what begins with a key of a tree and goes on with its branch; "" ends."""
    beginnings: dict[str, str] = {}  # by what follows them
    for character, branch in tree.items():
        if character:
            rest = _any_of(branch)
            beginnings[rest] = beginnings.get(rest, "") + re.escape(character)
    ways = "|".join(f"[{characters}]{rest}" for rest, characters in beginnings.items())
    if "" in tree:
        return f"(?:{ways})?" if ways else ""
    return f"(?:{ways})" if len(beginnings) > 1 else ways


def settings(row: Section, *without: str) -> dict[str, Any]:
    """A row's settings as params, without the keys that say nothing about the computation."""
    return row.model_dump(mode="json", exclude={"name", *without})


def contents(fingerprints: Fingerprints, *paths: str | list[str]) -> list[str]:
    """Fingerprints of those of some files that are the user's own, as a rule's params.

    A file that is replaced may be older than what was made of its forerunner. What rules make, below `results/`, has
    none.
    """
    files = [path for given in paths for path in ([given] if isinstance(given, str) else given)]
    return [fingerprints.of(path) for path in files if not path.startswith("results/")]


class TrainingPlan:
    """What every scan, teacher, student and GAN of a study needs.

    Parameters
    ----------
    study
        The checked config.
    participants
        The divided cohort without excluded scans (see `opening.open_cohort` and `opening.kept`).
    """

    def __init__(self, study: Config, participants: pd.DataFrame) -> None:
        self.study = study
        self.participants = participants
        self._scans = participants.set_index("scan_id")
        self._select = cache(partial(select, participants))  # jobs ask for the same scans again and again
        self.teachers = {row.name: row for row in study.teachers}
        self.students = {row.name: row for row in study.students}
        self.gans = {row.name: row for row in study.gans}
        self.segmenters = {row.name: row for row in study.segmenters}
        kinds = (self.teachers, self.students, self.gans, self.segmenters)
        self.networks: dict[str, dict[str, Any]] = dict(zip(KINDS, kinds, strict=True))
        self.lesion_sign = LESION_SIGN[study.cohort.modality]
        self.transform_kind = study.registration.transform
        warps = ["to_mni_warp.nii.gz", "from_mni_warp.nii.gz"] if self.transform_kind == "SyN" else []
        self.transform = [f"results/register/{{sub}}/{name}" for name in ("to_mni.mat", *warps)]

    # Scans

    def select(self, **parts: Any) -> list[str]:
        """The ids of the scans of one or several parts and of one group (see `cohort.select`)."""
        return list(self._select(**parts))

    def scans(self, pattern: str, **parts: Any) -> list[str]:
        """Paths of the scans of one part or group, from a pattern with `{sub}`; other wildcards are kept."""
        return [pattern.replace("{sub}", sub) for sub in self.select(**parts)]

    def masked(self, scans: Iterable[str]) -> list[str]:
        """Those of some scans that have a lesion mask."""
        return [sub for sub in scans if self._scans.at[sub, "lesion_mask"]]

    def native_image(self, sub: str) -> str:
        """The scan that is registered: the table's own, or its bias-corrected copy (native grid)."""
        if self.study.bias_correction.method == "n4":
            return f"results/bias_correction/{sub}/image.nii.gz"
        return str(self._scans.at[sub, "image"])

    def registration_target(self, sub: str) -> str:
        """What a scan is registered to: the template's head, or its brain for a stripped scan."""
        return f"results/template/{'brain' if self._scans.at[sub, 'skull_stripped'] else 'head'}.nii.gz"

    def template_files(self) -> dict[str, Any]:
        """The head and the brain mask that the template is made of; the packaged mask is no file."""
        source = self.study.template
        if source.templateflow:
            return {part: f"results/template/templateflow_{part}.nii.gz" for part in ("head", "brain_mask")}
        return {"head": source.head or "results/template/head_1mm.nii.gz", "brain_mask": source.brain_mask or []}

    def chosen_masks(self, sub: str) -> list[str]:
        """The real lesion masks that are inserted into copies of a scan; none where lesions are grown."""
        lesions = self.study.evaluation.synthetic
        if lesions.masks is None:
            return []
        paths = {f"{sub}/{name}": str(Path(lesions.masks, name)) for name in mask_files(lesions.masks)}
        return [paths[key] for key in hash_order(list(paths), lesions.seed)[: lesions.per_scan]]

    # Teachers

    def initial_weights(self, teacher: str) -> str | list[str]:
        """The checkpoint that a teacher starts from; nothing when its weights are random.

        The clone holds ImageNet's for the teacher that learns nothing more. Patch learning needs all of torchvision's.
        """
        row = self.teachers[teacher]
        in_clone = row.architecture == "resnet18" and row.epochs == 0
        checkpoint = "resnet18-pyramid.safetensors" if in_clone else f"{row.architecture}.pth"
        made = {"random": [], "imagenet": f"results/weights/{checkpoint}"}
        return made.get(row.weights, row.weights)

    def atlas_file(self, teacher: str) -> str | list[str]:
        """The map that a teacher's atlas is made from; coordinates need none."""
        return path_unless(self.teachers[teacher].atlas, "none", "coordinates") or []

    def atlas_of(self, teacher: str) -> str | list[str]:
        """The second input channel of a teacher and its students; nothing where the scan is alone."""
        return [] if self.teachers[teacher].atlas == "none" else f"results/teacher/{teacher}/atlas.npy"

    def grid_of(self, teacher: str) -> str:
        """The folder with the scans as a teacher and its students see them, ending in a slash."""
        return f"results/grid/{_sampling(self.teachers[teacher].input_scale)}"

    def samplings(self) -> dict[str, dict[str, Any]]:
        """How scans are sampled, by folder below results/grid.

        By `grid.size`, a teacher's scale, a GAN's size, or a segmenter's spacing.
        """
        scales = [row.input_scale for row in self.teachers.values() if row.input_scale is not None]
        return (
            {"": {"size": self.study.grid.size}}
            | {_sampling(scale): {"voxels_per_mm": scale} for scale in scales}
            | {f"size-{row.size}/": {"size": row.size, "cube": True} for row in self.gans.values()}
            | {_around_midline(row.spacing_mm): {"spacing_mm": row.spacing_mm} for row in self.segmenters.values()}
        )

    def seen_by_teacher(self, teacher: str, part: str) -> list[str]:
        """The scans of one part that a teacher sees."""
        return teacher_scans(self.participants, part, self.teachers[teacher].balance, self.study.split.seed)

    # Students

    def grid_of_student(self, student: str) -> str:
        """The folder of the student's teacher's grid."""
        return self.grid_of(self.students[student].teacher)

    def selection(self, student: str) -> str:
        """What chooses a student's epoch: no AUROC without a validation patient, but synthetic lesions."""
        wanted = self.students[student].selection
        return "synthetic_ap" if wanted == "auroc" and not self.select(split="val", group="patient") else wanted

    def validation_scans(self, student: str) -> list[str]:
        """The validation scans that choose a student's epoch: patients have a say in the AUROC alone."""
        return self.select(split="val", group=None if self.selection(student) == "auroc" else "healthy")

    def student_settings(self, student: str) -> dict[str, Any]:
        """A student's settings as params."""
        row = settings(self.students[student], "teacher") | {"selection": self.selection(student)}
        if row["selection"] == "synthetic_ap":
            row["lesion_sign"] = self.lesion_sign
        if self.sees_acquisitions(student):
            row["modality"] = self.study.cohort.modality
        return row

    def sees_acquisitions(self, student: str) -> bool:
        """Whether a student sees its training scans in random acquisitions."""
        return self.students[student].corruption == "acquisition"

    # GANs and segmenters

    def grid_of_gan(self, gan: str) -> str:
        """The folder with the scans in a GAN's size, ending in a slash."""
        return f"results/grid/size-{self.gans[gan].size}/"

    def grid_of_segmenter(self, segmenter: str) -> str:
        """The folder with the scans as a segmenter sees them, ending in a slash."""
        return f"results/grid/{_around_midline(self.segmenters[segmenter].spacing_mm)}"

    def start_of_segmenter(self, segmenter: str) -> str | list[str]:
        """The weights that a segmenter starts from; nothing when they are random."""
        weights = self.segmenters[segmenter].weights
        return (
            os.path.relpath(MODELS / "T1w" / "model.safetensors")
            if weights == "T1w"
            else path_unless(weights, "random") or []
        )

    def segmenter_settings(self, segmenter: str) -> dict[str, Any]:
        """A segmenter's settings as params."""
        return settings(self.segmenters[segmenter], "weights") | {"modality": self.study.cohort.modality}

    def remarks(self) -> list[str]:
        """What this run does otherwise than its config says, one sentence each."""
        found = [
            f"student {name!r}: no validation patient, so synthetic lesions choose its epoch."
            for name, row in self.students.items()
            if self.selection(name) != row.selection
        ]
        if not self.select(split="test", group="healthy"):
            found.append(
                "No healthy test scan, so nothing is said of false alarms, of synthetic lesions, or of how scores tell"
                " patients from healthy scans."
            )
        return found + self._long_trainings()

    def _long_trainings(self) -> list[str]:
        """The segmenters that a CPU trains for more than an hour, one sentence each."""
        compute, found = self.study.compute, []
        if requested_gpus(compute, has_gpu()):
            return found
        for name, row in self.segmenters.items():
            sample_s = SAMPLE_CPU_S * (row.width / 32) ** 2 * (2 / row.spacing_mm) ** 3
            minutes = row.steps * row.batch_size * sample_s / compute.threads / 60
            if minutes > LONG_MINUTES:
                found.append(
                    f"segmenter {name!r}: {row.steps} steps take about {minutes / 60:.0f} h on {compute.threads}"
                    " threads of a CPU in float32; a GPU is faster, and so is a CPU with bfloat16 (AMX, AVX512-BF16)"
                    " and compute.precision: bf16-mixed."
                )
        return found


def _around_midline(spacing_mm: float) -> str:
    """The folder below results/grid of the box around the midline with this spacing."""
    return f"spacing-{spacing_mm:g}/"


def _sampling(voxels_per_mm: float | None) -> str:
    """The folder below results/grid of a sampling of the crop; none for the config's `grid.size`."""
    return "" if voxels_per_mm is None else f"scale-{voxels_per_mm:g}/"

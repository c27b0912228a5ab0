"""The plan of a study: which files and settings the rows of its config ask for, given its cohort.

Paths are those of the rules' outputs, relative to the working directory.
"""

from __future__ import annotations

from typing import Any, Literal

import pandas as pd

from stfpm3d.study.config import Config
from stfpm3d.study.rows import (
    FanoganExperiment,
    IntensityExperiment,
    MaskExperiment,
    PadimExperiment,
    SegmentationExperiment,
    SegmenterExperiment,
    StfpmExperiment,
    ZscoreExperiment,
)
from stfpm3d.study.split import batches
from stfpm3d.study.training_plan import BRAIN_MASK, TrainingPlan, one_of, settings

Kind = Literal["as published", "our variant", "baseline"]
AS_FOUND = {"pooling_mm": 0, "in_medians": False, "smoothing_mm": 0, "mirror_share": 0, "asymmetry_weight": 0}
PUBLISHED = {"combine": "product", "blocks": [1, 2, 3], "residual": "distance", "weights": "trained", **AS_FOUND}
"""The map of Schwarz et al. (2024), eq. 5 and section 3.2."""
BLOCK_SETTINGS = {"combine", "blocks", *AS_FOUND}
"""The keys of a row that say how the maps of its blocks become one."""


class Plan(TrainingPlan):
    """What every experiment of a study needs besides its networks: how it makes maps, and how these are measured."""

    def __init__(self, study: Config, participants: pd.DataFrame) -> None:
        super().__init__(study, participants)
        self.experiments = {row.name: row for row in study.experiments}
        most = study.compute.batch_scans
        self.batches = {part: batches(self.select(split=part), most) for part in ("val", "test")}
        self._where = study.compute.model_dump(include={"accelerator", "precision", "threads"})
        self.map_name = f"{{sub}}_space-{study.template.space}_desc-anomaly_{study.cohort.modality}.nii.gz"

    # Experiments

    def experiments_by(self, *methods: str) -> str:
        """A wildcard constraint: the names of the experiments of some methods."""
        return one_of([name for name, row in self.experiments.items() if row.method in methods])

    def has_blocks(self, experiment: str) -> bool:
        """Whether an experiment's method makes a map from the blocks of networks."""
        return isinstance(self.experiments[experiment], StfpmExperiment | PadimExperiment)

    def teacher_of(self, experiment: str) -> str:
        """The teacher that an experiment names, or that its student names; others have none: see `has_blocks`."""
        row = self.experiments[experiment]
        if isinstance(row, StfpmExperiment):
            return self.students[row.student].teacher
        if isinstance(row, PadimExperiment):
            return row.teacher
        raise ValueError(f"experiment {experiment!r} of method {row.method!r} has no teacher")

    def teacher_weights(self, experiment: str) -> str:
        """The weights of an experiment's teacher."""
        return f"results/teacher/{self.teacher_of(experiment)}/model.safetensors"

    def student_weights(self, experiment: str) -> str | list[str]:
        """The weights of an experiment's student; nothing for a method without one."""
        row = self.experiments[experiment]
        if not isinstance(row, StfpmExperiment):
            return []
        weights = {"trained": "model", "initial": "initial"}[row.weights]
        return f"results/student/{row.student}/{weights}.safetensors"

    def gan_weights(self, experiment: str) -> str | list[str]:
        """The weights of an experiment's GAN; nothing for a method without one."""
        row = self.experiments[experiment]
        return f"results/gan/{row.gan}/model.safetensors" if isinstance(row, FanoganExperiment) else []

    def gaussian_scans(self, experiment: str) -> list[str]:
        """The healthy scans that an experiment's Gaussian is fitted on; none for an experiment without one.

        PaDiM's is fitted on the training part, a residual's on validation scans, since the student has matched the
        training scans.
        """
        row = self.experiments[experiment]
        if isinstance(row, PadimExperiment):
            return self.select(split="train", group="healthy")
        if isinstance(row, StfpmExperiment) and row.residual != "distance":
            return self.select(split="val", group="healthy")
        return []

    def gaussian_of(self, experiment: str) -> str | list[str]:
        """An experiment's Gaussian of features; nothing for an experiment without one."""
        return f"results/gaussian/{experiment}.safetensors" if self.gaussian_scans(experiment) else []

    def grid_of_gan(self, gan: str) -> str:
        """The folder with the scans in a GAN's size, ending in a slash."""
        return f"results/grid/size-{self.gans[gan].size}/"

    def grid_of_experiment(self, experiment: str) -> str:
        """The folder with the scans as an experiment's teacher sees them, ending in a slash."""
        return self.grid_of(self.teacher_of(experiment))

    # Maps

    def network_files(self, experiment: str) -> dict[str, Any]:
        """What the networks of an experiment with blocks are loaded from, by the names in `load_block_maps`."""
        return {
            "teacher": self.teacher_weights(experiment),
            "student": self.student_weights(experiment),
            "gaussian": self.gaussian_of(experiment),
            "atlas": self.atlas_of(self.teacher_of(experiment)),
        }

    def network_settings(self, experiment: str) -> dict[str, Any]:
        """How the networks of an experiment with blocks are run, by the keywords of `load_block_maps`."""
        row = self.experiments[experiment]
        agreement = isinstance(row, StfpmExperiment) and row.residual == "agreement"
        return {
            "normalised": isinstance(row, PadimExperiment) and row.normalised,
            "agreement": agreement,
            **self._where,
        }

    def maker_files(self, experiment: str) -> dict[str, Any]:
        """What an experiment's maps are made with besides the scans, by the names in `makers.map_maker`."""
        row, brain_mask = self.experiments[experiment], {"brain_mask": BRAIN_MASK}
        if self.has_blocks(experiment):
            grid = f"{self.grid_of_experiment(experiment)}grid.json"
            return {**brain_mask, "grid": grid, **self.network_files(experiment)}
        if isinstance(row, FanoganExperiment):
            grid = f"{self.grid_of_gan(row.gan)}grid.json"
            return {**brain_mask, "grid": grid, "model": self.gan_weights(experiment)}
        if isinstance(row, SegmenterExperiment):
            grid = f"{self.grid_of_segmenter(row.segmenter)}grid.json"
            return {**brain_mask, "grid": grid, "model": f"results/segmenter/{row.segmenter}/model.safetensors"}
        if isinstance(row, ZscoreExperiment):
            return {**brain_mask, "statistics": "results/zscore/statistics.npz"}
        return brain_mask

    def maker_settings(self, experiment: str) -> dict[str, Any]:
        """How an experiment's maps are made, as params: the keywords of its function in `makers.MAKERS`.

        They are the keys of its row, unless the function asks for others.
        """
        match self.experiments[experiment]:
            case StfpmExperiment() | PadimExperiment() as row:
                own = row.model_dump(include=BLOCK_SETTINGS)
                return {**own, "lesion_sign": self.lesion_sign, **self.network_settings(experiment)}
            case FanoganExperiment() as row:
                return {"kappa": row.kappa, **self._where}
            case SegmenterExperiment():
                return dict(self._where)
            case IntensityExperiment() as row:
                own = row.model_dump(include={"smoothing_mm", "mirror_share"})
                return {**own, "lesion_sign": self.lesion_sign}
            case SegmentationExperiment() as row:
                return {"top_fraction": row.fraction if row.by == "top_fraction" else None}
        return settings(self.experiments[experiment], "method")

    def mapped_images(self, experiment: str, part: str, batch: str) -> list[str]:
        """What the maps of a batch are made of, a file a scan; nothing for a method that reads another's maps.

        What several experiments see lies on their grid; an f-AnoGAN brings a scan to its own, which is small.
        """
        if isinstance(self.experiments[experiment], SegmentationExperiment):
            return []
        pattern = "results/standardize/{sub}/image.nii.gz"
        if self.has_blocks(experiment):
            pattern = f"{self.grid_of_experiment(experiment)}{{sub}}.npy"
        return [pattern.replace("{sub}", sub) for sub in self.batches[part][batch]]

    def source_maps(self, experiment: str, part: str, batch: str) -> str | list[str]:
        """The table of the maps that a segmentation reads, of the same batch; nothing for other methods."""
        row = self.experiments[experiment]
        if isinstance(row, SegmentationExperiment):
            return f"results/maps/{row.experiment}/{part}/batch-{batch}.tsv"
        return []

    def map_tables(self, experiment: str, *parts: str) -> list[str]:
        """The tables of an experiment's maps of some parts, one a batch; none of the bare mask, itself every map."""
        if isinstance(self.experiments[experiment], MaskExperiment):
            return []
        return [f"results/maps/{experiment}/{part}/batch-{batch}.tsv" for part in parts for batch in self.batches[part]]

    # What is measured

    def is_segmented(self, experiment: str) -> bool:
        """Whether an experiment's maps are segmentations, 0 and 1 alone: no threshold is fitted to them."""
        return isinstance(self.experiments[experiment], SegmentationExperiment | MaskExperiment)

    def graded_experiments(self) -> list[str]:
        """The experiments that are measured on altered copies of scans.

        Segmentations and the bare mask have no graded maps.
        """
        return [name for name in self.experiments if not self.is_segmented(name)]

    def lesion_experiments(self) -> list[str]:
        """The experiments that are measured on synthetic lesions, where there are any: in healthy test scans."""
        has_lesions = self.study.evaluation.synthetic.per_scan and self.select(split="test", group="healthy")
        return self.graded_experiments() if has_lesions else []

    def probe_tables(self) -> list[str]:
        """The tables of the probes of the shortcut, unless they are switched off."""
        if not self.study.evaluation.probes:
            return []
        probes = ("removed", "within", "sites")
        found = [
            f"results/evaluation/{name}/probe_{probe}.tsv" for name in self.graded_experiments() for probe in probes
        ]
        return ["results/evaluation/probe_histogram.tsv", *found]

    def own_threshold(self, experiment: str) -> float | None:
        """The threshold that a method's values have by themselves: even odds. None where healthy scans set it."""
        return 0.0 if isinstance(self.experiments[experiment], SegmenterExperiment) else None

    def protocols(self, experiment: str) -> list[str]:
        """The protocols that measure an experiment; inside the brain the mask is constant, which says nothing."""
        return ["paper"] if isinstance(self.experiments[experiment], MaskExperiment) else ["strict", "paper"]

    def in_brain(self) -> list[str]:
        """The experiments that are measured inside the brain."""
        return [name for name in self.experiments if "strict" in self.protocols(name)]

    def evaluated_networks(self) -> list[str]:
        """The networks whose maps are measured, students apart, as folders below results, in the config's order."""
        used = {f"teacher/{self.teacher_of(name)}" for name in self.experiments if self.has_blocks(name)}
        for row in self.experiments.values():
            if isinstance(row, FanoganExperiment):
                used.add(f"gan/{row.gan}")
            if isinstance(row, SegmenterExperiment):
                used.add(f"segmenter/{row.segmenter}")
        kinds = {"teacher": self.teachers, "gan": self.gans, "segmenter": self.segmenters}
        networks = [f"{kind}/{name}" for kind, rows in kinds.items() for name in rows]
        return [network for network in networks if network in used]

    def training_records(self) -> dict[str, str]:
        """The tables of the epochs of the networks that train and are measured, by their folders below results."""
        students = {row.student for row in self.experiments.values() if isinstance(row, StfpmExperiment)}
        used = {*self.evaluated_networks(), *(f"student/{name}" for name in students)}
        teachers = [f"teacher/{name}" for name, row in self.teachers.items() if row.epochs]
        names = [*teachers, *(f"student/{name}" for name in self.students), *(f"gan/{name}" for name in self.gans)]
        names += [f"segmenter/{name}" for name in self.segmenters]
        return {name: f"results/{name}/epochs.tsv" for name in names if name in used}

    def seeds(self) -> dict[str, int]:
        """Every seed of the run, by what it is of."""
        demo = {"demo": self.study.demo.seed} if self.study.cohort.participants == "demo" else {}
        fixed = {"split": self.study.split.seed, "registration": self.study.registration.seed}
        fixed["synthetic lesions"] = self.study.evaluation.synthetic.seed
        kinds = {"teacher": self.teachers, "student": self.students, "gan": self.gans}
        kinds |= {"segmenter": self.segmenters}
        rows = {f"{kind} {name}": row.seed for kind, of in kinds.items() for name, row in of.items()}
        return demo | fixed | rows

    def method_settings(self) -> dict[str, Any]:
        """What the report's paragraph on methods names of the config."""
        grid, template = self.study.grid, self.study.template
        named = {"space": template.space, "resolution_mm": template.resolution_mm, "size": grid.size}
        named |= {"crop_mm": grid.crop_mm, "bias_correction": self.study.bias_correction.method}
        return named | {"transform": self.study.registration.transform}

    def kind(self, experiment: str) -> Kind:
        """Whether an experiment is the paper's own (experiments 1 to 4), a variant of it, or what to compare it with.

        It is the map's form that counts. How long the networks train, and on what, stands in the config.
        """
        row = self.experiments[experiment]
        if isinstance(row, SegmentationExperiment):
            return self.kind(row.experiment) if row.by == "kmeans" else "our variant"
        if isinstance(row, StfpmExperiment):
            if row.weights == "initial":
                return "baseline"
            published = row.model_dump(include=set(PUBLISHED)) == PUBLISHED
            return "as published" if published and not self.students[row.student].corruption else "our variant"
        if isinstance(row, PadimExperiment):
            plain = {"normalised": False, **AS_FOUND, "smoothing_mm": row.smoothing_mm}
            return "baseline" if row.model_dump(include=set(plain)) == plain else "our variant"
        baselines = FanoganExperiment | IntensityExperiment | ZscoreExperiment | MaskExperiment
        return "baseline" if isinstance(row, baselines) else "our variant"

    def description(self, experiment: str) -> dict[str, Any]:
        """How an experiment's maps come about, for the report (see `write_report`)."""
        row = self.experiments[experiment]
        if isinstance(row, SegmentationExperiment):
            return {**self.description(row.experiment), "segmented_by": row.by, "kind": self.kind(experiment)}
        teacher = self.teachers[self.teacher_of(experiment)] if self.has_blocks(experiment) else None
        weights = teacher and teacher.weights
        return {
            "method": row.method,
            "kind": self.kind(experiment),
            "blocks": getattr(row, "blocks", []),
            "architecture": teacher and teacher.architecture,
            "weights": weights if weights in (None, "random", "imagenet") else "file",
            "patch_learning": teacher is not None and teacher.epochs > 0,
            "residual": row.residual if isinstance(row, StfpmExperiment) else None,
            "untrained": isinstance(row, StfpmExperiment) and row.weights == "initial",
            "segmented_by": None,
        }

    def initial_counterparts(self) -> dict[str, str]:
        """For each experiment with a trained student, the one that differs only in the student's initial weights."""
        rows = {name: row for name, row in self.experiments.items() if isinstance(row, StfpmExperiment)}
        return {
            trained: untrained
            for trained, row in rows.items()
            for untrained, other in rows.items()
            if (row.weights, other.weights) == ("trained", "initial")
            and settings(row, "weights") == settings(other, "weights")
        }

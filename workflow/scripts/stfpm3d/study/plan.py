"""The plan of a study: which files and settings the rows of its config ask for, given its cohort.

Paths are those of the rules' outputs, relative to the working directory.
"""

from __future__ import annotations

from typing import Any

import pandas as pd

from stfpm3d.methods.blocks import BlockRow
from stfpm3d.methods.own import OwnExperiment
from stfpm3d.methods.row import Kind, filled
from stfpm3d.study.config import Config
from stfpm3d.study.split import batches
from stfpm3d.study.training_plan import BRAIN_MASK, TrainingPlan, one_of, settings

PYRAMID = ("teacher", "student", "atlas")
"""The roles of what the features of an experiment with blocks come from."""


class Plan(TrainingPlan):
    """What every experiment of a study needs besides its networks: how it makes maps, and how these are measured."""

    def __init__(self, study: Config, participants: pd.DataFrame) -> None:
        super().__init__(study, participants)
        self.experiments = {row.name: row for row in study.experiments}
        most = study.compute.batch_scans
        self.batches = {part: batches(self.select(split=part), most) for part in ("val", "test")}
        self.where = study.compute.model_dump(include={"accelerator", "precision", "threads"})
        self.rows = {row["scan_id"]: row for row in participants.to_dict("records")}
        self.map_name = f"{{sub}}_space-{study.template.space}_desc-anomaly_{study.cohort.modality}.nii.gz"

    # Experiments

    def experiments_in(self, environment: str, *, of_copies: bool = False) -> str:
        """A wildcard constraint: the experiments whose maps, or maps of copies, are made in an environment."""
        rows = [row for row in self.experiments.values() if row.maker and row.runs_in == environment]
        return one_of([row.name for row in rows if row.name in self.copied_experiments() or not of_copies])

    def experiments_with_blocks(self) -> str:
        """A wildcard constraint: the experiments whose maps are made of the blocks of networks."""
        return one_of([name for name in self.experiments if self.has_blocks(name)])

    def has_blocks(self, experiment: str) -> bool:
        """Whether an experiment's method makes a map from the blocks of networks."""
        return self.experiments[experiment].has_blocks

    def grid_of_experiment(self, experiment: str) -> str:
        """The folder with the scans as the teacher of an experiment with blocks sees them, ending in a slash."""
        return self.experiments[experiment].image(self).replace("{sub}.npy", "")

    def gaussian_scans(self, experiment: str) -> list[str]:
        """The healthy scans that an experiment's Gaussian of features is fitted on; none for one without it."""
        row = self.experiments[experiment]
        fitted = row.fitted_on() if row.has_blocks else None
        return self.select(split=fitted[0], group="healthy") if fitted else []

    # Maps

    def network_files(self, experiment: str) -> dict[str, Any]:
        """What the Gaussian of an experiment with blocks is fitted with besides scans, by role."""
        return {role: path for role, path in self.maker_files(experiment).items() if role in PYRAMID}

    def network_settings(self, experiment: str) -> dict[str, Any]:
        """How the networks of an experiment with blocks are run, by the keywords of `load_block_maps`."""
        given = self.maker_settings(experiment)
        return {key: given[key] for key in ("normalised", "agreement", *self.where)}

    def maker_files(self, experiment: str) -> dict[str, Any]:
        """What an experiment's maps are made with besides the scans, by role."""
        return {"brain_mask": BRAIN_MASK, **self.experiments[experiment].files(self)}

    def maker_settings(self, experiment: str) -> dict[str, Any]:
        """How an experiment's maps are made, as params: the keywords of its function, the `maker` of its row."""
        return self.experiments[experiment].keywords(self)

    def mapped_images(self, experiment: str, part: str, batch: str) -> list[str]:
        """What the maps of a batch are made of, a file a scan; nothing for a method that reads another's maps."""
        pattern = self.experiments[experiment].image(self)
        return [filled(pattern, self.rows[sub]) for sub in self.batches[part][batch] if pattern]

    def beside_images(self, experiment: str, part: str, batch: str) -> list[str]:
        """Further files that the maps of a batch are made of, of one scan after the other; nothing for most methods."""
        patterns = self.experiments[experiment].beside(self)
        return [filled(pattern, self.rows[sub]) for sub in self.batches[part][batch] for pattern in patterns]

    def source_maps(self, experiment: str, part: str, batch: str) -> str | list[str]:
        """The table of another experiment's maps that an experiment reads, of the same batch; nothing for most."""
        source = self.experiments[experiment].source()
        return f"results/maps/{source}/{part}/batch-{batch}.tsv" if source else []

    def map_tables(self, experiment: str, *parts: str) -> list[str]:
        """The tables of an experiment's maps of some parts, one a batch; none of the bare mask, itself every map."""
        if not self.experiments[experiment].maker:
            return []
        return [f"results/maps/{experiment}/{part}/batch-{batch}.tsv" for part in parts for batch in self.batches[part]]

    def remarks(self) -> list[str]:
        """What this run does otherwise than its config says, or cannot do, one sentence each."""
        return [
            *super().remarks(),
            *(
                f"experiment {name!r}: its maps are given, so synthetic lesions, the probe of removed lesions and a"
                " bundle are impossible: they need maps of other scans."
                for name in self.graded_experiments()
                if not self.experiments[name].maps_new_scans
            ),
        ]

    # What is measured

    def graded_experiments(self) -> list[str]:
        """The experiments with graded maps: all but segmentations and the bare mask."""
        return [name for name, row in self.experiments.items() if row.is_graded]

    def copied_experiments(self) -> list[str]:
        """The experiments that can map what is not in the cohort: altered copies of scans, and new scans."""
        return [name for name in self.graded_experiments() if self.experiments[name].maps_new_scans]

    def lesion_experiments(self) -> list[str]:
        """The experiments that are measured on synthetic lesions, where there are any: in healthy test scans."""
        has_lesions = self.study.evaluation.synthetic.per_scan and self.select(split="test", group="healthy")
        return self.copied_experiments() if has_lesions else []

    def probe_tables(self) -> list[str]:
        """The tables of the probes of the shortcut, unless they are switched off."""
        if not self.study.evaluation.probes:
            return []
        probed = {"removed": self.copied_experiments()}
        found = [
            f"results/evaluation/{name}/probe_{probe}.tsv"
            for name in self.graded_experiments()
            for probe in ("removed", "within", "sites")
            if name in probed.get(probe, self.experiments)
        ]
        return ["results/evaluation/probe_histogram.tsv", *found]

    def in_brain(self) -> list[str]:
        """The experiments that are measured inside the brain."""
        return [name for name in self.experiments if "strict" in self.experiments[name].protocols]

    def _used(self) -> set[str]:
        """The networks whose maps are measured, as folders below results."""
        rows = self.experiments.values()
        used = {f"{kind}/{getattr(row, kind)}" for row in rows for kind in row.names}
        return used | {f"teacher/{row.teacher_of(self)}" for row in rows if isinstance(row, BlockRow)}

    def evaluated_networks(self) -> list[str]:
        """The networks whose maps are measured, students apart, as folders below results, in the config's order."""
        names = [f"{kind}/{name}" for kind, rows in self.networks.items() if kind != "student" for name in rows]
        return [network for network in names if network in self._used()]

    def training_records(self) -> dict[str, str]:
        """The tables of the epochs of the networks that train and are measured, by their folders below results."""
        trained = [(f"{kind}/{name}", row) for kind, rows in self.networks.items() for name, row in rows.items()]
        used = self._used()
        return {
            network: f"results/{network}/epochs.tsv"
            for network, row in trained
            if network in used and getattr(row, "epochs", getattr(row, "steps", 1))  # with 0 first weights are kept
        }

    def seeds(self) -> dict[str, int]:
        """Every seed of the run, by what it is of."""
        demo = {"demo": self.study.demo.seed} if self.study.cohort.participants == "demo" else {}
        fixed = {"split": self.study.split.seed, "registration": self.study.registration.seed}
        fixed["synthetic lesions"] = self.study.evaluation.synthetic.seed
        rows = {f"{kind} {name}": row.seed for kind, of in self.networks.items() for name, row in of.items()}
        own = [row for row in self.experiments.values() if isinstance(row, OwnExperiment)]
        return demo | fixed | rows | {f"experiment {row.name}": row.seed for row in own}

    def method_settings(self) -> dict[str, Any]:
        """What the report's paragraph on methods names of the config."""
        grid, template = self.study.grid, self.study.template
        named = {"space": template.space, "resolution_mm": template.resolution_mm, "size": grid.size}
        named |= {"crop_mm": grid.crop_mm, "bias_correction": self.study.bias_correction.method}
        trained = {f"n_{group}": len(self.select(split="train", group=group)) for group in ("healthy", "patient")}
        return named | {"transform": self.study.registration.transform, "trained": trained}

    def kind(self, experiment: str) -> Kind:
        """What an experiment is, beside the paper's own (see `MethodRow.kind`)."""
        return self.experiments[experiment].kind(self)

    def description(self, experiment: str) -> dict[str, Any]:
        """How an experiment's maps come about, for the report (see `write_report`)."""
        row = self.experiments[experiment]
        plain = {"method": row.method, "text": row.text, "references": dict(row.references)}
        own = {"kind": row.kind(self), "is_graded": row.is_graded, "maps_new_scans": row.maps_new_scans}
        return {**plain, **row.description(self), **own}

    def initial_counterparts(self) -> dict[str, str]:
        """For each experiment with a trained student, the one that differs only in the student's initial weights."""
        weights = {name: getattr(row, "weights", None) for name, row in self.experiments.items()}
        return {
            trained: untrained
            for trained, row in self.experiments.items()
            for untrained, other in self.experiments.items()
            if (weights[trained], weights[untrained]) == ("trained", "initial")
            and settings(row, "weights") == settings(other, "weights")
        }

"""The study is opened: its cohort is read and divided, and what the config asks for is compared with what there is."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from stfpm3d.methods.given import GivenExperiment
from stfpm3d.runtime.errors import InputError
from stfpm3d.study.bids_remarks import bids_remarks
from stfpm3d.study.cohort import (
    check_participants,
    check_parts,
    check_path,
    check_statistics,
    check_teacher,
    read_bids,
    read_participants,
    with_test_table,
)
from stfpm3d.study.config import Config
from stfpm3d.study.split import assign_fold, assign_split

DEMO_FOLDER = Path("results/demo")
"""Where rules render the scans of the demo cohort."""


def open_cohort(study: Config, demo: Sequence[Mapping[str, str]]) -> pd.DataFrame:
    """Read, check and divide the participants table; a table of test scans takes the place of the first one's.

    Parameters
    ----------
    study
        The checked config.
    demo
        Rows of the demo's table, which is computed; used where `cohort.participants` is `demo`.

    Returns
    -------
    As `read_participants`, and with `split`; excluded scans are among its rows.

    Raises
    ------
    InputError
        When a table cannot be used, or has too few subjects for the parts that the config wants.
    """
    split = study.split
    if study.cohort.participants == "demo":
        table = check_participants(pd.DataFrame(demo), DEMO_FOLDER)
        if split.folds:
            table = table.drop(columns="split")
    else:
        table = _read(study, "participants", study.cohort.participants)
    if split.folds:
        parts = assign_fold(table, split.folds, split.fold or 1, split.seed)
    else:
        parts = assign_split(table, study.fractions(), split.seed)
    table["split"] = parts.values
    if study.cohort.test_participants is not None:
        table = with_test_table(table, _read(study, "test_participants", study.cohort.test_participants))
    return table


def _read(study: Config, key: str, path: str) -> pd.DataFrame:
    """A cohort, from its table or its BIDS data set."""
    if not Path(path).is_dir():
        return read_participants(path, key)
    return read_bids(path, study.cohort.modality, key, study.cohort.bids)


def data_set_remarks(study: Config) -> list[str]:
    """What is passed over in the BIDS data sets that the config names, one sentence for each kind of file."""
    named = (study.cohort.participants, study.cohort.test_participants)
    folders = [Path(path) for path in named if path not in (None, "demo") and Path(path).is_dir()]
    return [remark for folder in folders for remark in bids_remarks(folder, study.cohort.modality, study.cohort.bids)]


def kept(table: pd.DataFrame) -> pd.DataFrame:
    """The scans that are not excluded."""
    return table[table["exclude"].isna()] if "exclude" in table else table


def given_scans(study: Config, table: pd.DataFrame) -> pd.DataFrame:
    """The kept scans whose files exist before the run: all but those that the demo renders."""
    if study.cohort.participants != "demo":
        return kept(table)
    if study.cohort.test_participants is None:
        return table.iloc[:0]
    return kept(table[table["split"] == "test"])


def check_study(study: Config, participants: pd.DataFrame) -> None:
    """Raise `InputError` when the config asks for more than the parts of the cohort or the disk hold."""
    check_parts(participants)
    for teacher in study.teachers:
        if teacher.epochs > 0:
            check_teacher(participants, teacher.name, teacher.balance, study.split.seed)
    for experiment in study.experiments:
        if fitted := experiment.fitted_on():
            check_statistics(participants, experiment.name, *fitted)
    for key, path in given_files(study).items():
        if not os.access(path, os.R_OK) or not Path(path).is_file():
            raise InputError(f"config: {key}: {path} is not a file that can be read; correct its path.")
        check_path(path, f"config: {key}:")
    for experiment in study.experiments:
        experiment.foreign_code()
    check_given_maps(study, participants)
    lesions = study.evaluation.synthetic
    if lesions.masks is not None:
        names = mask_files(lesions.masks)
        if len(names) < lesions.per_scan:
            raise InputError(
                f"config: evaluation.synthetic.masks: {lesions.masks} holds {len(names)} NIfTI files, expected at least"
                f" per_scan ({lesions.per_scan}); correct the path of the folder, or add masks."
            )
        for name in names:
            check_path(f"{lesions.masks}/{name}", "config: evaluation.synthetic.masks:")


def given_files(study: Config) -> dict[str, str]:
    """The files that the config names besides the participants tables, by their keys."""
    files = {"template.head": study.template.head, "template.brain_mask": study.template.brain_mask}
    files["card.notes"] = study.card.notes
    for teacher in study.teachers:
        files[f"teachers, {teacher.name}, weights"] = path_unless(teacher.weights, "random", "imagenet")
        files[f"teachers, {teacher.name}, atlas"] = path_unless(teacher.atlas, "none", "coordinates")
    for segmenter in study.segmenters:
        files[f"segmenters, {segmenter.name}, weights"] = path_unless(segmenter.weights, "random", "T1w")
    for row in study.experiments:
        files |= {f"experiments, {row.name}, {key}": path for key, path in row.user_files().items()}
    return {key: path for key, path in files.items() if path is not None}


def given_maps(study: Config, table: pd.DataFrame) -> dict[str, dict[str, str]]:
    """By the row that names them, and by scan, the maps of validation and test scans that were made elsewhere."""
    measured = table[table["split"].isin(["val", "test"])].to_dict("records")
    rows = [row for row in study.experiments if isinstance(row, GivenExperiment)]
    return {row.name: {scan["scan_id"]: row.map_of(scan) for scan in measured} for row in rows}


def check_given_maps(study: Config, participants: pd.DataFrame) -> None:
    """Raise `InputError` where a validation or test scan has no map of a row whose maps were made elsewhere."""
    for name, maps in given_maps(study, participants).items():
        if lacking := [sub for sub, path in maps.items() if not os.access(path, os.R_OK)]:
            raise InputError(
                f"experiment {name!r}: {lacking[0]} has no map, expected {maps[lacking[0]]} ({len(lacking)} of"
                f" {len(maps)} validation and test scans have none); make it, or correct `maps` of the row."
            )
        if len({*maps.values()}) < len(maps):
            raise InputError(f"experiment {name!r}: two scans have one map; name scans in `maps`, as by {{scan_id}}.")


def own_files(study: Config, table: pd.DataFrame) -> list[str]:
    """The user's own files whose content counts: given scans and masks, and what the config names."""
    given, masks = given_scans(study, table), study.evaluation.synthetic.masks
    files = [*given["image"], *given["lesion_mask"].dropna(), *given_files(study).values()]
    files += [path for maps in given_maps(study, kept(table)).values() for path in maps.values()]
    return files if masks is None else [*files, *(str(Path(masks, name)) for name in mask_files(masks))]


def mask_files(folder: Path | str) -> list[str]:
    """The names of the NIfTI files in a folder, in order; none where there is no such folder."""
    return sorted(path.name for path in Path(folder).glob("*.nii*") if path.is_file())


def path_unless(value: str, *words: str) -> str | None:
    """The path that a config key holds, or None where it holds one of its words."""
    return None if value in words else value

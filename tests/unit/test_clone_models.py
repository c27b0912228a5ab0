"""Predict without a bundle takes the clone's model for the contrast of the scans, or says that there is none."""

from __future__ import annotations

from pathlib import Path

import pytest

from stfpm3d.prediction.bundle import read_bundle
from stfpm3d.prediction.clone_models import MODELS, model_of, name_in_clone
from stfpm3d.runtime.errors import InputError


def models(folder: Path, *contrasts: str) -> Path:
    for contrast in contrasts:
        (folder / "models" / contrast).mkdir(parents=True)
        (folder / "models" / contrast / "bundle.json").touch()
    (folder / "models" / "imagenet").mkdir(parents=True)
    return folder / "models"


@pytest.mark.parametrize(
    "names",
    [
        ["sub-01_T1w.nii.gz"],
        ["scan.nii"],  # whose name says nothing: its image will
        ["a.nii.gz", "sub-02_T1w.nii.gz", "sub-02_T2w.nii.gz"],  # predict refuses the last one
        ["set/sub-01/anat/sub-01_T1w.nii.gz", "set/sub-01/anat/sub-01_FLAIR.nii.gz"],  # a BIDS data set
    ],
)
def test_scans_get_the_model_of_their_contrast(tmp_path: Path, names: list[str]) -> None:
    there = models(tmp_path, "T1w")
    for name in names:
        (tmp_path / "scans" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "scans" / name).touch()
    given = tmp_path / "scans" / names[0].split("/")[0]
    found = model_of(tmp_path / "scans" if len(names) > 1 and given.is_file() else given, there)
    assert found.resolve() == there / "T1w"
    assert name_in_clone(found, there) == "models/T1w"


@pytest.mark.parametrize("contrast", ["T2w", "FLAIR"])
def test_a_contrast_without_a_model_is_told_with_the_way_to_make_one(tmp_path: Path, contrast: str) -> None:
    scan = tmp_path / f"sub-01_{contrast}.nii.gz"
    scan.touch()
    told = rf"no model for {contrast} comes with this version, there is one for T1w alone; train one .*`make model`"
    with pytest.raises(InputError, match=told) as error:
        model_of(scan, models(tmp_path, "T1w"))
    assert "\n" not in str(error.value)


def test_names_that_say_nothing_do_not_choose_between_two_models(tmp_path: Path) -> None:
    (tmp_path / "scan.nii.gz").touch()
    with pytest.raises(InputError, match=r"leave open whether the scans are FLAIR or T1w; .* BUNDLE=models/FLAIR"):
        model_of(tmp_path / "scan.nii.gz", models(tmp_path, "T1w", "FLAIR"))


def test_a_bundle_of_ones_own_has_no_name_in_the_clone(tmp_path: Path) -> None:
    assert name_in_clone(tmp_path / "T1w") == ""
    assert name_in_clone(MODELS / "T1w") == "models/T1w"


@pytest.mark.parametrize("folder", sorted(path.parent for path in MODELS.glob("*/bundle.json")), ids=str)
def test_a_model_of_the_clone_is_whole_small_and_bears_its_licence(folder: Path) -> None:
    bundle = read_bundle(folder)
    assert bundle.description["modality"] == folder.name
    assert sum(path.stat().st_size for path in bundle.files.values()) < 8e6
    card = bundle.files["MODEL_CARD"].read_text(encoding="utf-8")
    assert (folder / "NOTES.md").read_text(encoding="utf-8").strip() in card
    assert "CC BY-SA 3.0" in card and "IXI data set" in card and "## Development figures" in card
    assert "/" not in bundle.files["config"].read_text(encoding="utf-8")  # folders may tell names

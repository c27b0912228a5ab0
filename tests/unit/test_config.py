"""The config says what is wrong in one sentence, and what would be right."""

import pytest

from stfpm3d.runtime.errors import InputError
from stfpm3d.study.config import read_config
from stfpm3d.study.config_manual import MANUAL, config_manual

E = {"name": "e", "method": "stfpm", "student": "s"}
K = {"name": "k", "method": "segmentation", "experiment": "e"}
FINE = {"name": "fine", "spacing_mm": 0.5}
ROWS = {"teachers": [{"name": "t"}], "students": [{"name": "s", "teacher": "t"}], "experiments": [E]}


def test_rows_alone_are_a_config():
    config = read_config(ROWS)
    assert (config.grid.crop_mm, config.grid.size) == ("brain", 128)
    assert config.split.healthy.train == 0.70


@pytest.mark.parametrize(("epochs", "shares"), [(0, (0, 0.15, 0.85)), (1, (0.7, 0.15, 0.15))])
def test_patients_from_whom_nothing_learns_validate_and_test_alone(epochs, shares):
    """Of 20 patients 17 are then tested instead of 3; what a config says of them is obeyed."""
    rows = ROWS | {"teachers": [{"name": "t", "epochs": epochs}]}
    assert tuple(read_config(rows).fractions()["patient"].values()) == shares
    said = {"train": 0.6, "val": 0.2, "test": 0.2}
    assert read_config(rows | {"split": {"patient": said}}).fractions()["patient"] == said


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"grd": {}}, "config: unknown key grd; did you mean 'grid'?"),
        ({"grid": {"crop": 156}}, "config: unknown key grid.crop; did you mean 'crop_mm'?"),
        (
            {"students": [{"name": "s", "teacher": "t", "learningrate": 1}]},
            "config: unknown key students.s.learningrate; did you mean 'learning_rate'?",
        ),
        (
            {"experiments": [{"name": "e", "method": "zscore", "smoothing": 1}]},
            "config: unknown key experiments.e.smoothing; did you mean 'smoothing_mm'?",
        ),
        ({"experiments": [{"name": "m", "method": "mask"}]}, "experiments has no row with graded maps"),
        (
            {"experiments": [E, {"name": "k", "method": "segmentation", "experiment": "f"}]},
            "maps of 'f', which is not defined",
        ),
        (
            {"experiments": [E, K, {"name": "l", "method": "segmentation", "experiment": "k"}]},
            "experiment 'l' segments the maps of 'k', whose maps hold 0 and 1 alone; name one of e",
        ),
        ({"grid": {"size": 81}}, "config: grid.size: input should be a multiple of 8 (got 81)"),
        ({"students": [{"name": "s", "teacher": "x"}]}, "student 's' names the teacher 'x', which is not defined"),
        ({"teachers": [{"name": "t"}, {"name": "t"}]}, "teachers has two rows named 't'"),
        (
            {"teachers": [{"name": "t"}, {"name": "T"}]},
            "teachers has two rows named 'T'; names must differ, not",
        ),
        (
            {"experiments": [{"name": "histogram", "method": "mask"}]},
            "experiments has a row named 'histogram'",
        ),
        ({"teachers": [{"name": "../t"}]}, "config: teachers.../t.name"),
        ({"teachers": [{"epochs": 1}]}, "config: teachers.(number 1).name: field required"),
        (
            {"experiments": [E | {"blocks": [1, 4]}]},
            "config: experiments.e.blocks.(number 2): input should be 1, 2 or 3",
        ),
        (
            {"experiments": [{"name": "e", "method": "stfpm", "student": "s", "pooling_mm": 20}]},
            "config: experiments.e: pooling_mm averages deviations from a Gaussian; set residual: gaussian",
        ),
        (
            {"experiments": [{"name": "e", "method": "zscore", "smoothing_mm": float("inf")}]},
            "config: experiments.e.smoothing_mm: input should be a finite number (got inf)",
        ),
        (
            {"experiments": [{"name": "e", "method": "padim", "teacher": "t", "asymmetry_weight": 2}]},
            "config: experiments.e: asymmetry_weight without smoothing_mm adds the folds",
        ),
        (
            {"grid": {"crop_mm": "brian"}},
            "config: grid.crop_mm: expected brain, or an edge of 16 to 300 mm (got 'brian')",
        ),
        ({"grid": {"crop_mm": 4}}, "config: grid.crop_mm: expected brain, or an edge of 16 to 300 mm (got 4)"),
        ({"split": {"healthy": {"train": 0.9}}}, "train, val and test sum to 1.2, expected 1"),
        ({"cohort": {"modality": "T1w"}}, "the demo cohort is T2w"),
        ({"template": {"templateflow": "MNI152Lin", "head": "h.nii", "brain_mask": "m.nii"}}, "two sources"),
        ({"template": {"templateflow": "MNI152Lin", "space": "MNI"}}, "leave space out"),
        ({"template": {"sha256": {"head": "0" * 64, "brain_mask": "0" * 64}}}, "sha256 belongs to templateflow"),
        ({"evaluation": {"reference": "f"}}, "evaluation.reference names the experiment 'f', which is not defined"),
        (
            {"experiments": [E, {"name": "m", "method": "mask"}], "evaluation": {"reference": "m"}},
            "evaluation.reference names the experiment 'm', whose maps hold 0 and 1 alone; name one of e",
        ),
        ({"gans": [{"name": "g", "size": 40}]}, "config: gans.g.size: input should be a multiple of 16 (got 40)"),
        ({"gans": [{"name": "g"}, {"name": "g"}]}, "gans has two rows named 'g'"),
        (
            {"experiments": [{"name": "e", "method": "fanogan", "gan": "g"}]},
            "experiment 'e' names the gan 'g', which is not defined",
        ),
        (
            {"gans": [{"name": "gan"}], "experiments": [{"name": "e", "method": "fanogan", "gan": "gna"}]},
            "experiment 'e' names the gan 'gna', which is not defined; did you mean 'gan'?",
        ),
        ({"grid": {"size": 48}}, "patch_size 32 leaves no room for a neighbour"),
        (
            {"segmenters": [FINE], "experiments": [E, {"name": "o", "method": "segmenter", "segmenter": "fine"}]},
            "segmenter 'fine': spacing_mm 0.5 is finer than template.resolution_mm 2",
        ),
    ],
)
def test_a_mistake_is_one_sentence(change, sentence):
    with pytest.raises(InputError) as caught:
        read_config(ROWS | change)
    assert sentence in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_row_that_no_experiment_names_may_be_too_fine_for_the_template() -> None:
    assert read_config(ROWS | {"segmenters": [FINE]}).segmenters[0].spacing_mm == 0.5


def test_the_manual_is_in_step_with_the_models():
    assert MANUAL.read_text(encoding="utf-8") == config_manual(), "run make docs"


def test_every_key_is_explained():
    explained = config_manual()
    assert "None" not in explained
    for key in (
        "`crop_mm` | Edge of the cube that the networks see, mm",
        "`learning_rate`",
        "`landmarks_from`",
        "## `split.patient`",
    ):
        assert key in explained


def test_templateflow_names_the_space():
    assert read_config(ROWS).template.space == "MNI152NLin2009cAsym"
    assert read_config(ROWS | {"template": {"templateflow": "MNI152Lin"}}).template.space == "MNI152Lin"

"""What runs again when something changes: exactly the stages that the change touches."""

import pytest

MAPS = {"maps_student_val": 2, "maps_student_test": 2}
AFTER_STUDENT = {"student": 1, **MAPS, "evaluate": 2, "compare": 1, "report": 1}
PACKAGE = "workflow/scripts/stfpm3d"


def test_a_finished_run_has_nothing_to_do(finished):
    assert finished.planned() == {}


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        (f"{PACKAGE}/learning/student.py", '"""The student: it learns', '# why\n"""The student learns'),
        ("workflow/scripts/student.py", '"""Train one student."""', '"""Train a student."""'),
        ("workflow/rules/student.smk", "validation scans choose its epoch", "validation scans choose the epoch"),
        ("envs/learning.yaml", "# Networks", "# The networks"),
        ("README.md", "#", "##"),
    ],
)
def test_comments_docstrings_and_documents_rerun_nothing(finished, name, old, new):
    with finished.edited(name, old, new):
        assert finished.planned() == {}


def change(finished, old, new):
    """What a change of the config would run."""
    (override,) = finished.overrides
    text = override.read_text(encoding="utf-8")
    assert old in text
    changed = finished.folder / "changed.yaml"
    changed.write_text(text.replace(old, new), encoding="utf-8")
    finished.overrides = (changed,)
    try:
        return finished.planned()
    finally:
        finished.overrides = (override,)


def test_a_students_setting_retrains_the_student_and_not_the_teacher(finished):
    assert change(finished, "epochs: 2", "epochs: 2\n    weight_decay: 0.001") == AFTER_STUDENT


def test_a_teachers_setting_retrains_teacher_and_student_and_prepares_no_scan_again(finished):
    assert change(finished, "epochs: 1", "epochs: 1\n    margin: 2") == {"teacher": 1, **AFTER_STUDENT}


def test_a_threshold_measures_again_and_makes_no_map(finished):
    assert change(finished, "grid:", "evaluation:\n  healthy_quantile: 0.98\ngrid:") == {
        "evaluate": 4,
        "compare": 1,
        "report": 1,
    }


def test_the_code_of_the_loss_retrains_the_student(finished):
    with finished.edited(f"{PACKAGE}/learning/student.py", "feature_losses", "losses_of_features"):
        assert finished.planned() == AFTER_STUDENT


def test_the_reports_page_is_written_again_when_its_template_changes(finished):
    with finished.edited(f"{PACKAGE}/reporting/templates/report.html.j2", "<body", "<body "):
        assert finished.planned() == {"report": 1}


def test_a_change_of_colours_registers_nothing_again(finished):
    with finished.edited(f"{PACKAGE}/reporting/figures.py", "#f0503c", "#ff0000"):
        assert finished.planned() == {"register_qc": 1, "report": 1}
    with finished.edited(f"{PACKAGE}/reporting/templates/quality.html.j2", "<body", "<body "):
        assert finished.planned() == {"register_qc": 1}

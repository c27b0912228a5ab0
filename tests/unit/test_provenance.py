"""What a page tells of its making, and what it keeps to itself."""

from __future__ import annotations

import platform
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from availability import unavailable
from stfpm3d.reporting.provenance import commit_of, config_text, provenance, stages


def test_a_config_is_told_without_folders() -> None:
    given = {
        "cohort": {"participants": "/home/jane.doe/clinic/participants.tsv", "modality": "T2w"},
        "teachers": [{"name": "patches", "weights": "C:\\Users\\Jane\\resnet18.pth", "epochs": 3}],
    }
    text = config_text(given)
    assert "jane" not in text.lower() and "clinic" not in text
    assert "participants: participants.tsv" in text and "weights: resnet18.pth" in text and "epochs: 3" in text


def test_a_page_names_versions_and_no_host() -> None:
    made = provenance()
    assert {"python", "torch", "antspyx", "numpy"} <= set(made.software)
    assert "CPUs" in made.machine
    assert platform.node() not in re.split(r"[ ,]+", f"{made.machine} {made.date} {made.commit}")


def test_a_commit_is_the_projects_own_and_not_that_of_a_repository_around_it(tmp_path: Path) -> None:
    if shutil.which("git") is None:
        unavailable("git is not on the PATH, whose repositories this is about")
    git = ["git", "-C", str(tmp_path), "-c", "user.name=a", "-c", "user.email=a@example.org"]
    for arguments in (["init", "--quiet"], ["commit", "--quiet", "--allow-empty", "--message", "a"]):
        subprocess.run([*git, *arguments], check=True)
    (tmp_path / "project").mkdir()
    assert re.fullmatch("[0-9a-f]{7,}", commit_of(tmp_path) or "")
    assert commit_of(tmp_path / "project") is None


def test_stages_add_up_what_their_jobs_took(tmp_path: Path) -> None:
    for name, seconds in {"register/sub-1": 30, "register/sub-2": 90, "compare": 6}.items():
        path = tmp_path / f"{name}.tsv"
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"s\tcpu_time\n{seconds}\t1\n", encoding="utf-8")
    found = [(stage.rule, stage.jobs, stage.minutes, stage.longest_min) for stage in stages(tmp_path)]
    assert found == [("register", 2, 2.0, 1.5), ("compare", 1, pytest.approx(0.1), pytest.approx(0.1))]
    assert stages(tmp_path / "nowhere") == []

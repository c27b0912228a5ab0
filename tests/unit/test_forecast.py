"""The forecast of a run stands on what Snakemake noted of the jobs before."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from stfpm3d.runtime.forecast import forecast, read_past, stages


def note(folder: Path, rule: str, output: str, seconds: float, log: str, size: int) -> None:
    """An output and Snakemake's record of it."""
    made, metadata = folder / output, folder / ".snakemake/metadata"
    made.parent.mkdir(parents=True, exist_ok=True)
    metadata.mkdir(parents=True, exist_ok=True)
    made.write_bytes(bytes(size))
    record = {"rule": rule, "log": [log], "starttime": 1000.0, "endtime": 1000.0 + seconds}
    (metadata / base64.urlsafe_b64encode(output.encode()).decode()).write_text(json.dumps(record))


def job(
    rule: str, reason: str, outputs: int = 1, threads: int = 1, inputs: int = 1, **wildcards: str
) -> SimpleNamespace:
    output = [f"{rule}-{number}" for number in range(outputs)]
    given = [f"input-{number}" for number in range(inputs)]
    named = {"rule_name": rule, "reason": reason, "input": given, "output": output}
    return SimpleNamespace(**named, threads=threads, wildcards=wildcards)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two scans were registered, one in 10 s and one in 30 s, each to an image of 1 MB and a matrix of none."""
    for sub, seconds in (("a", 10.0), ("b", 30.0)):
        note(tmp_path, "register", f"results/register/{sub}/image.nii.gz", seconds, f"logs/{sub}.log", 10**6)
        note(tmp_path, "register", f"results/register/{sub}/to_mni.mat", seconds - 5, f"logs/{sub}.log", 0)
    return tmp_path


def test_a_stage_takes_as_much_as_its_jobs_took_before(folder: Path) -> None:
    planned = stages([job("register", "Missing output files: x", outputs=2) for _ in range(30)])
    table = forecast(planned, read_past(folder), cores=2)
    assert table.splitlines()[1].split() == ["register", "30", "10", "min", "60", "30.0", "MB", "new"]
    assert "30 jobs; about 5 min on 2 cores, 60 files, 30.0 MB." in table


def test_a_folder_without_history_has_guesses_by_scans_epochs_and_the_machine(tmp_path: Path) -> None:
    """A student of 100 scans and 20 epochs took 20 min of a core elsewhere (0.6 s a scan); this one is half as fast."""
    new = "Missing output files: x"
    planned = stages([job("student", new, inputs=100, student="s"), job("strip", new)])
    table = forecast(planned, read_past(tmp_path), cores=2, epochs={"student s": 20}, speed=lambda: 2.0)
    assert table.splitlines()[1].split() == ["student", "1", "~40", "min", "?", "?", "new"]
    assert table.splitlines()[2].split() == ["strip", "1", "?", "?", "?", "new"]
    assert "those with ~ take about 20 min more on 2 cores" in table and "(0.5 times that one's)" in table
    unsaid = forecast(planned, read_past(tmp_path), cores=2, speed=lambda: 2.0)
    assert unsaid.splitlines()[1].split()[2] == "?", "nobody says how many epochs"


def test_a_record_that_a_kill_left_half_written_is_no_experience(folder: Path) -> None:
    note(folder, "register", "results/register/c/image.nii.gz", 1e6, "logs/c.log", 0)
    (record,) = (path for path in folder.glob(".snakemake/metadata/*") if "1001000.0" in path.read_text())
    record.write_text(record.read_text()[:-5])
    assert read_past(folder)["register"].seconds_a_job == 20


def test_a_record_is_read_whatever_its_output_is_called(tmp_path: Path) -> None:
    note(tmp_path, "register", "results/register/~~~?é/image.nii.gz", 10.0, "logs/a.log", 0)
    assert read_past(tmp_path)["register"].outputs == 1


def test_outputs_that_are_gone_are_no_experience(folder: Path) -> None:
    for path in folder.glob("results/register/*/*"):
        path.unlink()
    planned = stages([job("register", "Missing output files: x")])
    table = forecast(planned, read_past(folder), cores=2)
    assert "\n1 jobs; 1 stage(s) never ran in this folder, so that nothing is known of them here (?);" in table


def test_a_batch_of_maps_counts_the_maps_that_its_table_names(tmp_path: Path) -> None:
    note(tmp_path, "maps_learning", "results/maps/stfpm/test/batch-0.tsv", 60.0, "logs/0.log", 0)
    table = tmp_path / "results/maps/stfpm/test/batch-0.tsv"
    table.write_text("scan_id\tscore\tmap\tsha256\nsub-a\t1\tsub-a.nii.gz\tx\n")
    table.with_name("sub-a.nii.gz").write_bytes(bytes(2 * 10**6))
    assert read_past(tmp_path)["maps_learning"].files == 2


def test_models_are_named_and_what_only_follows_is_told_from_what_changed() -> None:
    follows = "Input files updated by another job: x"
    jobs = [
        job("teacher", f"{follows}; Params have changed since last execution: y", threads=2, teacher="patches"),
        job("student", follows, threads=2, student="student"),
        job("fold1_student", follows, threads=2, student="student"),
        SimpleNamespace(rule_name="all", output=[]),
    ]
    table = forecast(stages(jobs), {}, cores=2)
    assert [line.split("  ")[-1].strip() for line in table.splitlines()[1:4]] == [
        "settings, code or content changed",
        "follows",
        "follows",
    ]
    assert "Would be trained: fold1_student student, student student, teacher patches." in table

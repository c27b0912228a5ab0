"""What a run would do, as a table: the jobs of each stage, why they run, and what those before them took.

Snakemake notes of every output when its job started and ended, in `.snakemake/metadata`: that is the experience which
a forecast stands on. Of a stage that has never run in this folder it has a guess from elsewhere, or knows nothing, and
says so.
"""

from __future__ import annotations

import base64
import csv
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stfpm3d.runtime.elsewhere import calibrate, estimate

REASONS = {  # by the words of Snakemake's reasons
    "Missing output files": "new",
    "Params have changed": "settings, code or content changed",
    "Set of input files has changed": "other inputs",
    "Updated input files": "newer inputs",
    "Incomplete": "unfinished",
    "Forced": "forced",
    "Input files updated by another job": "follows",
}
"""What follows alone is caused by another stage; where there is another reason, that is told."""
TRAININGS = ("teacher", "student", "fanogan", "segmenter", "own_fit")


@dataclass
class Past:
    """What a stage took before."""

    seconds: dict[str, tuple[float, float]] = field(default_factory=dict)
    """Start and end of each job, by its log."""
    outputs: int = 0
    files: int = 0
    size: int = 0

    @property
    def seconds_a_job(self) -> float:
        return sum(end - start for start, end in self.seconds.values()) / len(self.seconds)


@dataclass
class Stage:
    """Jobs of one rule that would run."""

    name: str
    jobs: int = 0
    outputs: int = 0
    inputs: int = 0
    threads: int = 1
    reasons: set[str] = field(default_factory=set)
    models: list[str] = field(default_factory=list)


def read_past(folder: Path) -> dict[str, Past]:
    """What the stages took in a folder, by their rules' names; outputs that are gone count no more."""
    past: dict[str, Past] = {}
    metadata = folder / ".snakemake" / "metadata"
    for path in metadata.rglob("*"):
        if path.is_file():
            # A long name is cut into folders, each marked by an @.
            encoded = "".join(part.removeprefix("@") for part in path.relative_to(metadata).parts)
            output = folder / base64.urlsafe_b64decode(encoded).decode()
            try:
                record = json.loads(path.read_text(encoding="utf-8"))
            except json.JSONDecodeError:  # Snakemake writes it in place: a kill, or this moment, may leave a half
                continue
            if output.exists() and record["starttime"] and record["endtime"]:
                stage = past.setdefault(record["rule"], Past())
                start, end = stage.seconds.get(str(record["log"]), (record["starttime"], record["endtime"]))
                times = min(start, record["starttime"]), max(end, record["endtime"])
                stage.seconds[str(record["log"])] = times
                made = list(_files_of(output))
                stage.outputs += 1
                stage.files += len(made)
                stage.size += sum(file.stat().st_size for file in made)
    return past


def _files_of(output: Path) -> Iterator[Path]:
    """The files that an output stands for: itself, what is in it, or the maps that a batch's table vouches for."""
    if output.is_dir():
        yield from (path for path in output.rglob("*") if path.is_file())
        return
    yield output
    if output.name.startswith("batch-") and output.parts[-4] == "maps":
        with output.open(encoding="utf-8", newline="") as table:
            named = (output.with_name(row["map"]) for row in csv.DictReader(table, delimiter="\t"))
            yield from (path for path in named if path.is_file())


def stages(jobs: Iterable[Any]) -> list[Stage]:
    """The stages of planned jobs, in their order; each job as Snakemake logs it, in its event `job_info`."""
    found: dict[str, Stage] = {}
    for job in jobs:
        if job.output:
            stage = found.setdefault(job.rule_name, Stage(job.rule_name))
            stage.jobs += 1
            stage.outputs += len(job.output)
            stage.inputs += len(job.input)
            stage.threads = job.threads
            stage.reasons |= {reason for words, reason in REASONS.items() if words in job.reason}
            if job.rule_name.rpartition("_")[2] in TRAININGS:  # a fold's has the fold before it
                stage.models.append(" ".join([job.rule_name, *job.wildcards.values()]))
    return list(found.values())


def forecast(
    planned: Sequence[Stage],
    past: dict[str, Past],
    cores: int,
    *,
    epochs: Mapping[str, int] | None = None,
    speed: Callable[[], float] = calibrate,
) -> str:
    """The table, with a line of sums and one of the models that would be trained.

    Parameters
    ----------
    epochs
        The most epochs of each training, by its rule and name.
    speed
        Tells how many times as long this machine takes as that of `elsewhere`; asked only where it matters.
    """
    slower = speed() if any(stage.name not in past for stage in planned) else 1.0
    rows = [("stage", "jobs", "time", "files", "disk", "why")]
    seconds, guessed, files, size = 0.0, 0.0, 0.0, 0.0
    for stage in planned:
        why = ", ".join(reason for reason in REASONS.values() if reason in stage.reasons - {"follows"}) or "follows"
        known = past.get(stage.name)
        if known is None:
            named = [epochs[model] for model in stage.models if epochs and model in epochs]
            guess = estimate(stage.name, stage.jobs, stage.inputs, max(named, default=None))
            shown = "?" if guess is None else f"~{duration(guess * slower)}"
            rows.append((stage.name, str(stage.jobs), shown, "?", "?", why))
            guessed += 0 if guess is None else guess * slower / cores
            continue
        share = stage.outputs / known.outputs
        taken = stage.jobs * known.seconds_a_job
        rows.append(
            (
                stage.name,
                str(stage.jobs),
                duration(taken),
                f"{known.files * share:.0f}",
                _amount(known.size * share),
                why,
            )
        )
        seconds += taken * min(stage.threads, cores) / cores
        files += known.files * share
        size += known.size * share
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    unknown = sum(row[3] == "?" for row in rows)
    parts = [f"{sum(stage.jobs for stage in planned)} jobs"]
    if unknown < len(planned):
        parts.append(f"about {duration(seconds)} on {cores} cores, {files:.0f} files, {_amount(size)}")
    if unknown:
        parts.append(f"{unknown} stage(s) never ran in this folder, so that nothing is known of them here (?)")
    if guessed:
        parts.append(
            f"those with ~ take about {duration(guessed)} more on {cores} cores without a GPU, by what they took"
            f" elsewhere and this machine's speed ({1 / slower:.1f} times that one's); it is a guess"
        )
    lines += ["", f"{'; '.join(parts)}."]
    if models := sorted(model for stage in planned for model in stage.models):
        lines.append(
            f"Would be trained: {', '.join(models)}. docs/how-it-works.md tells how new scans leave them alone."
        )
    return "\n".join(lines)


def duration(seconds: float) -> str:
    """Such as 40 s, 12 min, 3.5 h."""
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 100 * 60 else f"{seconds / 3600:.1f} h"


def _amount(size: float) -> str:
    return f"{size / 1e9:.1f} GB" if size >= 1e9 else f"{size / 1e6:.1f} MB"

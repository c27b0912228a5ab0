"""No two files of the workflow share a name, whatever scans, experiments and networks are called."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

from stfpm3d.study.cohort import LAYOUT_NAMES

RULES = Path(__file__).resolve().parents[2] / "workflow" / "rules"
NAME = "[A-Za-z0-9][A-Za-z0-9_-]*"
FILLED = {"part": "val", "folder": "synthetic", "n": "0", "number": "0", "warp": "to_mni_warp"}
"""What stands in the rules for a loop's variable; everything else in braces is a wildcard."""


def patterns() -> set[str]:
    """Every file below results/, logs/ and benchmarks/ that a rule names, its wildcards in braces."""
    text = "".join(path.read_text(encoding="utf-8") for path in RULES.glob("*.smk") if path.name != "demo.smk")
    found = {path for path in re.findall(r'"((?:results|logs|benchmarks)/[^"]+\.\w+)"', text) if "}.{" not in path}
    plain = {path.replace("{{", "{").replace("}}", "}") for path in found}
    plain |= {path.replace("{folder}", "probes") for path in plain}
    return {re.sub(r"\{(\w+)\}", lambda match: FILLED.get(match[1], match[0]), path) for path in plain}


def shape(pattern: str) -> str:
    """A regular expression for all names that a pattern can take; a sampling of the crop is a folder or nothing."""
    parts = re.split(r"\{(\w+)\}", pattern)
    texts = [re.escape(part) for part in parts[::2]]
    names = ["(?:[a-z]+-[0-9.]+/)?" if part == "sampling" else f"({NAME})" for part in parts[1::2]]
    return "".join(itertools.chain.from_iterable(itertools.zip_longest(texts, names, fillvalue="")))


def test_only_names_that_no_scan_can_have_meet_those_of_other_files() -> None:
    every = {re.sub(r"\[.*?\]", "", path) for path in patterns()}
    assert len(every) > 60
    meeting = set()
    for pattern, other in itertools.permutations(every, 2):
        example = re.sub(r"\{sampling\}", "", other)
        example = re.sub(r"\{\w+\}", "x", example)
        if "{" in pattern and (match := re.fullmatch(shape(pattern), example)) and "x" not in match.groups():
            meeting |= {(pattern, other, name) for name in match.groups()}
    assert {name for _, _, name in meeting} == set(LAYOUT_NAMES), meeting

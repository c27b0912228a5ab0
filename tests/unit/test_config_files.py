"""A config means what its text says, or is refused with the lines that say two things."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import planning
from project import ROOT
from stfpm3d.runtime.errors import InputError
from stfpm3d.study.config_files import check_config_files

TWICE = "cohort:\n  participants: table.tsv\ngrid: {size: 64}\ncohort:\n  modality: T1w\n"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (TWICE, "lines 1 and 4: the key cohort stands there 2 times"),
        ("grid:\n  size: 64\n  crop_mm: 156\n  size: 96\n", "lines 2 and 4: the key grid.size stands"),
        ("students:\n- name: s\n  epochs: 1\n  epochs: 2\n", "lines 3 and 4: the key students.epochs stands"),
        ("grid: {size: 64}\n'grid': {}\n# later\ngrid: {}\n", "lines 1, 2 and 4: the key grid stands there 3 times"),
        ('{\n\t"grid": {},\n\t"grid": {"size": 64}\n}\n', "lines 2 and 3: the key grid stands"),
    ],
)
def test_a_key_that_stands_twice_is_named_with_its_lines(tmp_path: Path, text: str, told: str) -> None:
    (tmp_path / "my.yaml").write_text(text)
    with pytest.raises(InputError, match=f"^{tmp_path}/my.yaml, {told}") as caught:
        check_config_files([tmp_path / "absent.yaml", tmp_path / "my.yaml"])
    assert "\n" not in str(caught.value)


def test_every_key_that_stands_twice_is_named(tmp_path: Path) -> None:
    (tmp_path / "my.yaml").write_text(TWICE)
    (tmp_path / "more.yaml").write_text("grid: {size: 1, size: 2}\n")
    with pytest.raises(InputError) as caught:
        check_config_files([tmp_path / "my.yaml", tmp_path / "more.yaml"])
    assert len(str(caught.value).splitlines()) == 2


@pytest.mark.parametrize(
    "content",
    [
        b"\xef\xbb\xbfgrid: {size: 64}\n",
        b"base: &base {size: 64}\nother: &other {crop_mm: 1}\ngrid:\n  <<: *base\n  <<: *other\n",
        b"students: [{name: a}, {name: b}]\ngrid: {name: a}\n",
        b'{"grid":\t{"size": 64}}',
        b"",
    ],
    ids=["byte order mark", "merged mappings", "one key in several rows", "JSON with tabs", "empty"],
)
def test_what_says_one_thing_passes(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "my.yaml").write_bytes(content)
    check_config_files([tmp_path / "my.yaml"])


@pytest.mark.parametrize(
    ("encoding", "told"),
    [("latin-1", "line 1 holds the byte 0xfc"), ("utf-16", "UTF-16"), ("utf-16-le", "line 1 holds the byte 0xfc")],
)
def test_another_encoding_is_named_with_its_file(tmp_path: Path, encoding: str, told: str) -> None:
    """Snakemake ends in a traceback without the file's name before a rule is read, so `make plan` says it."""
    path = tmp_path / "my.yaml"
    path.write_bytes("# M\u00fcnchen\ncohort: {modality: T1w}\n".encode(encoding))
    with pytest.raises(InputError, match=f"^{path} is no UTF-8 text .{told}.*; save it as UTF-8"):
        check_config_files([path])
    if encoding == "latin-1":
        command = [sys.executable, str(ROOT / "workflow/plan.py"), "--configfile", str(path)]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 1 and done.stderr.startswith(f"{path} is no UTF-8 text")


def test_a_run_refuses_a_config_with_a_key_twice_wherever_it_is_named(tmp_path: Path) -> None:
    """Of the two blocks the second alone would count, and the demo be planned instead of the user's table."""
    (tmp_path / "my.yaml").write_text(TWICE)
    command = ["--dry-run", "--snakefile", str(ROOT / "Snakefile")]
    named = planning.snakemake(tmp_path, [*command, "--configfile", "my.yaml"])
    (tmp_path / "config").mkdir()
    (tmp_path / "my.yaml").rename(tmp_path / "config/config.yaml")
    for status, output in (named, planning.snakemake(tmp_path, command)):
        assert status == 1 and "lines 1 and 4: the key cohort stands there 2 times" in output, output[-2000:]

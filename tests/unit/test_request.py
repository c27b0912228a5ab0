"""What is asked of predict is taken letter by letter, or refused with a reason."""

from __future__ import annotations

import pytest
from snakemake.cli import parse_config

from stfpm3d.prediction.request import Request, check_accelerator, read_request
from stfpm3d.runtime.errors import InputError


def asked(*written: str) -> Request:
    """What is read of a command line, by way of Snakemake's own reading of it."""
    return read_request(parse_config(written), written)


@pytest.mark.parametrize(
    "name",
    ["2026_12_01", "007", "1e3", "on", "null", "True", "[x]", "it's", "'q'", 'say "x"', "a: b", "a=b", "ü", "a b", "-"],
)
def test_a_name_is_what_was_written(name: str) -> None:
    assert asked(f"bundle={name}", f"scans={name}", f"out={name}")[:3] == (name, name, name)


def test_scans_and_bundle_may_have_braces_too() -> None:
    assert asked("bundle={b}", "scans={a: <b>}")[:3] == ("{b}", "{a: <b>}", "predictions")


@pytest.mark.parametrize(("name", "folder"), [("./a//b/", "a/b"), ("../a", "../a"), ("/a/.", "/a")])
def test_a_folder_is_written_as_snakemake_likes_it(name: str, folder: str) -> None:
    assert asked("bundle=b", "scans=s", f"out={name}").out == folder


@pytest.mark.parametrize(
    ("written", "told"),
    [
        (["bundle=", "scans="], "lacks scans"),
        (["bundle=b", "scan=s"], "has scan, expected bundle, scans, out"),
        (["bundle=b", "scans=s", "out={x}"], r"out=\{x\} holds '\{'"),
        (["bundle=b", "scans=s", "out=a<b>"], "holds '<'"),
        (["bundle=b", "scans=s", "accelerator=cuda"], "accelerator=cuda, expected one of auto, cpu, gpu"),
        (["bundle=b", "scans=s", "threads=two"], "threads=two, expected a whole number"),
        (["bundle=b", "scans=s", "threads=0"], "threads=0, expected a whole number"),
    ],
)
def test_what_cannot_be_meant_is_refused(written: list[str], told: str) -> None:
    with pytest.raises(InputError, match=told):
        asked(*written)


def test_a_number_in_a_config_file_is_no_name() -> None:
    with pytest.raises(InputError, match="out is read as 7 from a config file"):
        read_request({"bundle": "b", "scans": "s", "out": 7}, [])
    assert read_request({"bundle": "b", "scans": "s", "threads": 7}, []).threads == 7


def test_a_gpu_that_is_not_there_is_told_in_the_keys_of_predict() -> None:
    with pytest.raises(InputError, match="say accelerator=cpu or accelerator=auto"):
        check_accelerator("gpu", here=False)
    for accelerator, here in (("gpu", True), ("cpu", False), ("auto", False)):
        check_accelerator(accelerator, here)

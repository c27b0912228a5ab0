"""What a prediction is asked for: the keys of its `--config`, letter by letter as they were written."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from stfpm3d.runtime.errors import InputError
from stfpm3d.runtime.files import sha256

KEYS = ("bundle", "scans", "out", "accelerator", "threads", "trust")
ACCELERATORS = ("auto", "cpu", "gpu")
NO_NAME = re.compile(r"[{}<>\x00-\x1f]")
"""What the name of a folder of results may not hold: Snakemake takes {name} and <name> for names to fill in."""


class Request(NamedTuple):
    """A bundle, scans, and the folder of the predictions; where maps are computed.

    Without a bundle, "", the clone's model for the contrast of the scans is meant.
    """

    bundle: str
    scans: str
    out: str = "predictions"
    accelerator: str = "auto"
    threads: int = 1
    trust: str = ""
    """The beginning of the sha256 of code in the bundle that may be run."""


def read_request(config: Mapping[str, Any], written: Iterable[str]) -> Request:
    """Read what is asked for.

    Parameters
    ----------
    config
        The values as Snakemake has read them, from files as well.
    written
        The `key=value` of the command line. Snakemake takes 007 and 2026_12_01 for numbers and {a} for a mapping; here
        a name is what stands after the first `=`.

    Raises
    ------
    InputError
        When a key is missing, unknown or has a value that it cannot have.
    """
    said = dict(entry.split("=", 1) for entry in written if "=" in entry)
    given: dict[str, Any] = {key: said.get(key, value) for key, value in config.items()}
    given = {key: value for key, value in given.items() if value not in (None, "")}
    if unknown := [key for key in given if key not in KEYS]:
        raise InputError(f"--config has {', '.join(unknown)}, expected {', '.join(KEYS)}: correct the name.")
    if "scans" not in given:
        raise InputError("--config lacks scans: scans=TABLE, FILE or FOLDER.")
    for key, value in given.items():
        if not isinstance(value, str) and key != "threads":
            raise InputError(f"{key} is read as {value!r} from a config file, expected text: put it in quotes there.")
    return Request(
        given.get("bundle", ""),
        given["scans"],
        _folder(given.get("out", "predictions")),
        _accelerator(given.get("accelerator", "auto")),
        _threads(given.get("threads", 1)),
        given.get("trust", ""),
    )


def check_trust(module: Path | None, trust: str) -> None:
    """Raise `InputError` where a bundle brings a module, and `trust` does not consent to run this very code."""
    if module is not None and trust != (digest := sha256(module)[:12]):
        raise InputError(
            f"{module} is Python code of whoever made the bundle, and predict would run it with your rights; read it,"
            f" and if you trust it, add trust={digest} to --config, which allows this very code."
        )


def check_accelerator(accelerator: str, here: bool) -> None:
    """Raise `InputError` where a GPU is asked for and this machine, on which the jobs run, has none."""
    if accelerator == "gpu" and not here:
        raise InputError(
            "accelerator=gpu, but this machine has none that its system shows (no /dev/nvidia0): say accelerator=cpu or"
            " accelerator=auto, or run where there is a GPU."
        )


def _folder(out: str) -> str:
    if found := NO_NAME.search(out):
        raise InputError(
            f"out={out} holds {found[0]!r}, which Snakemake would take for the rim of a name to fill in; give a folder"
            " whose path has none of { } < > and no line break."
        )
    return str(Path(out))


def _accelerator(value: str) -> str:
    if value not in ACCELERATORS:
        raise InputError(f"accelerator={value}, expected one of {', '.join(ACCELERATORS)}.")
    return value


def _threads(value: Any) -> int:
    if not re.fullmatch("[1-9][0-9]*", str(value)):
        raise InputError(f"threads={value}, expected a whole number of 1 or more.")
    return int(value)

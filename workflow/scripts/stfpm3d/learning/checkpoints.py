"""Where a training keeps its checkpoints: a folder that belongs to one set of settings, code and data."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any


def checkpoints_beside(weights: Path | str) -> Path:
    """Where a network's checkpoints lie: for results/KIND/NAME/model.safetensors in results/checkpoints/KIND/NAME."""
    results, kind, name = Path(weights).parents[2], *Path(weights).parts[-3:-1]
    return results / "checkpoints" / kind / name


@contextmanager
def checkpoint_folder(parent: Path | str, params: Mapping[str, Any], files: Iterable[Path | str]) -> Iterator[Path]:
    """Yield the folder below `parent` for one training; when it has ended well, `parent` is removed.

    `parent` belongs to one network: what its trainings with other settings left behind goes as well. The folder's name
    is a digest of `params` (plain values: settings, digests of code and environment) and of the content of all input
    `files`, so that a training goes on only from checkpoints of its own kind. Snakemake does not know the folder: a
    failed job loses its outputs, and keeps its checkpoints.
    """
    digest = hashlib.sha256(json.dumps(dict(params), sort_keys=True).encode())
    for path in files:
        with Path(path).open("rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest())
    folder = Path(parent) / digest.hexdigest()[:16]
    yield folder
    if os.environ.get("LOCAL_RANK", "0") == "0":  # of a training on several devices
        shutil.rmtree(parent, ignore_errors=True)

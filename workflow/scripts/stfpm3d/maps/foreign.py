"""Maps by a Python file of the user's: it is given what it may see, and its failures are told with their line."""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from stfpm3d.imaging.grid import NetworkGrid, read_grid
from stfpm3d.imaging.volumes import Volume, load_mask, resample_like
from stfpm3d.maps.form import MapMaker, Scan, ScoredMap, array_of, map_on_mni, outside_minimum, scored
from stfpm3d.runtime.errors import InputError
from stfpm3d.runtime.files import replacing

log = logging.getLogger(__name__)


class OwnScan(NamedTuple):
    """What a method of the user's sees of a scan."""

    image: NDArray[np.float32]
    """(X, Y, Z), SDs of the scan's brain."""
    brain: NDArray[np.bool_]
    """(X, Y, Z), where the scan has brain."""
    affine: NDArray[np.float64]
    """(4, 4), from voxels to mm in MNI space."""


class Settings(dict[str, Any]):
    """The row's `settings`, and as attributes what the run hands over.

    Parameters
    ----------
    accelerator, threads, precision
        Of the config's section `compute`, as Lightning's Trainer takes them.
    seed
        Of the row.
    resume
        A folder that a training which is killed finds again, of the same settings, code and scans; None for maps.
    """

    def __init__(
        self,
        settings: Mapping[str, Any],
        *,
        seed: int,
        accelerator: str,
        threads: int,
        precision: str,
        resume: Path | None = None,
    ) -> None:
        super().__init__(settings)
        self.seed, self.resume = seed, resume
        self.accelerator, self.threads, self.precision = accelerator, threads, precision


class OwnScans(Sequence[OwnScan]):
    """Scans that are read one by one, when they are asked for; each is a pair of image and support."""

    def __init__(self, scans: Sequence[tuple[Path | str, Path | str]], grid: NetworkGrid | None) -> None:
        self.scans, self.grid = scans, grid

    def __len__(self) -> int:
        return len(self.scans)

    def __getitem__(self, number: Any) -> Any:
        if isinstance(number, slice):
            return OwnScans(self.scans[number], self.grid)
        image, support = self.scans[number]
        return seen_of(Scan("training scan", image, support), self.grid)[0]


def seen_of(scan: Scan, grid: NetworkGrid | None) -> tuple[OwnScan, Volume]:
    """What a method sees of a scan, on a network grid or without one on the MNI grid; and the scan's support there."""
    if grid is None:
        image, support = scan.volumes()
        return OwnScan(np.asarray(image.data, dtype=np.float32), support.data, image.affine), support
    array, support = array_of(scan, grid).astype(np.float32), load_mask(scan.support, scan.scan_id)
    held = resample_like(support, Volume(array, grid.affine), nearest=True)
    return OwnScan(array, held.data, grid.affine), support


def fit_own(
    files: Mapping[str, Any], scans: Sequence[tuple[str, str]], output: Path | str, resume: Path, **given: Any
) -> None:
    """Let a module's `fit` learn from scans, each a pair of image and support, and write one file.

    Parameters
    ----------
    files
        The `module` and, where it sees the network grid, the `grid`.
    given
        As `own_maps` takes it.

    Raises
    ------
    InputError
        When the module fails, or writes no file.
    """
    module, grid = Path(files["module"]), _grid(files)
    resume.mkdir(parents=True, exist_ok=True)
    settings = Settings(given.pop("settings"), **given, resume=resume)
    with replacing(output) as temporary:
        with told(module):
            loaded(module).fit(OwnScans(scans, grid), settings, temporary)
        if not temporary.is_file():
            raise InputError(f"{module}: fit wrote no file to its output; write one, to that very path.")


def own_maps(
    files: Mapping[str, Path | str],
    *,
    settings: Mapping[str, Any],
    seed: int,
    accelerator: str,
    threads: int,
    precision: str,
) -> MapMaker:
    """Makes maps by a function that the user's module makes.

    `files` holds the `brain_mask`, the `module`, what its `fit` has written, `fitted`, and the `grid` where it sees the
    network grid.
    """
    module, grid = Path(files["module"]), _grid(files)
    brain_mask = load_mask(files["brain_mask"], "template")
    shown = {role: Path(files[role]) for role in ("brain_mask", "fitted") if files.get(role)}
    handed = Settings(settings, seed=seed, accelerator=accelerator, threads=threads, precision=precision)
    with told(module):
        find = loaded(module).make_maps(shown, handed)

    def make(scan: Scan) -> ScoredMap:
        seen, support = seen_of(scan, grid)
        with told(module, f"{scan.scan_id}: "):
            values = np.asarray(find(seen), dtype=np.float32)
        _check(values, seen, f"{scan.scan_id}: {module}")
        if grid is None:
            return scored(outside_minimum(values, support), brain_mask)
        source = Volume(values, grid.affine)
        return scored(map_on_mni(source, support), brain_mask)._replace(source=source)

    return make


def loaded(path: Path) -> ModuleType:
    """The user's module; the digest of a rule's code does not follow it, since the rules count it by themselves."""
    module = ModuleType("own_method")
    module.__file__ = str(path)
    sys.modules["own_method"] = module  # so that objects of its classes can be saved and read
    exec(compile(path.read_bytes(), path, "exec"), module.__dict__)
    return module


@contextmanager
def told(module: Path, who: str = "") -> Iterator[None]:
    """What fails in a module is told in one sentence with the module's line; the traceback is in the log."""
    try:
        yield
    except Exception as error:
        lines = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(module)]
        place = f", line {lines[-1].lineno}, in {lines[-1].name}" if lines else ""
        log.exception("%s fails", module)
        raise InputError(f"{who}{module}{place}: {type(error).__name__}: {error}; correct the module.") from error


def _grid(files: Mapping[str, Any]) -> NetworkGrid | None:
    return read_grid(files["grid"]) if files.get("grid") else None


def _check(values: NDArray, seen: OwnScan, who: str) -> None:
    if values.shape != seen.image.shape:
        raise InputError(f"{who}: its map has shape {values.shape}, expected that of the scan, {seen.image.shape}.")
    if count := int((~np.isfinite(values[seen.brain])).sum()):
        raise InputError(
            f"{who}: its map has {count} voxels in the brain that are NaN or infinite; give each a number."
        )

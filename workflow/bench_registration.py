"""Measure the way from raw scans to the network's grid beside the same way with ANTs' Affine at its defaults.

CPU seconds of one thread, and how well the scans lie on the template (docs/benchmarks.md).
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ["ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS"] = "1"  # ITK reads it once
sys.path.pop(0)  # this folder, whose tabulate.py would hide a library of that name
sys.path.insert(0, str(Path(__file__).parent / "scripts"))

import numpy as np
import pandas as pd

from stfpm3d.imaging.background import load_scan
from stfpm3d.imaging.grid import network_grid, to_network_grid
from stfpm3d.imaging.placement import Target, measure_placement
from stfpm3d.imaging.registration import apply_transform, as_ants, read_transform, register
from stfpm3d.imaging.skullstrip import brain_support, strip
from stfpm3d.imaging.standardize import PERCENTILES, standardize
from stfpm3d.imaging.volumes import Volume, load_mask, load_volume
from stfpm3d.runtime.files import read_table

LANDMARKS = np.array(PERCENTILES, dtype=np.float64)


def ours(scan: Volume, target: Target, matrix: Path) -> None:
    """Register as the workflow does."""
    register(scan, target, [matrix], kind="AffineFast", seed=0)


def ants_affine(scan: Volume, target: Target, matrix: Path) -> None:
    """Register by ANTs' Affine at its defaults."""
    import ants

    found = ants.registration(as_ants(target.image), as_ants(scan), type_of_transform="Affine", random_seed=1)
    shutil.copyfile(found["fwdtransforms"][0], matrix)


def raw_to_grid(path: Path, target: Target, size: int, estimate: Callable[[Volume, Target, Path], None]) -> dict:
    """Take one scan to the grid and tell the CPU seconds, and the figures of where it lies."""
    with tempfile.TemporaryDirectory() as folder:
        matrix = Path(folder, "to_mni.mat")
        start = time.process_time()
        scan = load_scan(path)
        estimate(scan, target, matrix)
        image = apply_transform(scan, target.image, [matrix])
        support = brain_support(image, target.brain_mask)
        data = standardize(strip(image, support).data, support.data, LANDMARKS)
        to_network_grid(Volume(data, image.affine), network_grid(target.brain_mask, 156.0, size))
        seconds = time.process_time() - start
        placement = measure_placement(scan, read_transform([matrix]), target)
    return {"seconds": seconds, "overlap": placement.overlap, "similarity": placement.similarity}


def summary(rows: pd.DataFrame) -> dict[str, Any]:
    """Means over scans and the ratio of CPU seconds; of how they lie, the worst difference from ANTs."""
    ours, ants = (rows[rows["by"] == name].set_index("participant_id") for name in ("ours", "ants"))
    return {
        "scans": len(ours),
        "seconds": {"ours": ours["seconds"].mean(), "ants": ants["seconds"].mean()},
        "ratio": ants["seconds"].sum() / ours["seconds"].sum(),
        **{
            figure: {
                "ours": ours[figure].mean(),
                "ants": ants[figure].mean(),
                "least_difference": (ours[figure] - ants[figure]).min(),
                "least_difference_of": (ours[figure] - ants[figure]).idxmin(),
            }
            for figure in ("overlap", "similarity")
        },
    }


def main() -> None:
    """Read the command line, measure, and write a table of all scans and a summary."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--participants", type=Path, default=Path("results/cohort/participants.tsv"))
    parser.add_argument("--folder", type=Path, default=Path(), help="from which the table's paths count")
    parser.add_argument("--template", type=Path, default=Path("results/template"))
    parser.add_argument("--every", type=int, default=1, metavar="N", help="take every Nth scan")
    parser.add_argument("--size", type=int, default=112, help="edge of the grid in voxels")
    parser.add_argument("--output", type=Path, default=Path("benchmark_registration.tsv"))
    given = parser.parse_args()
    logging.basicConfig(level=logging.WARNING)
    mask = load_mask(given.template / "mask.nii.gz")
    targets = {
        stripped: Target(load_volume(given.template / f"{'brain' if stripped else 'head'}.nii.gz"), mask, stripped)
        for stripped in (False, True)
    }
    start = time.process_time()
    import ants  # noqa: F401

    imported = time.process_time() - start
    rows = []
    for row in read_table(given.participants)[:: given.every].to_dict("records"):
        target = targets[str(row["skull_stripped"]).lower() == "true"]
        for name, estimate in (("ours", ours), ("ants", ants_affine)):
            found = raw_to_grid(given.folder / row["image"], target, given.size, estimate)
            rows.append({"participant_id": row["participant_id"], "by": name, **found})
        pd.DataFrame(rows).to_csv(given.output, sep="\t", index=False, float_format="%.4f")
    print(json.dumps({"import_ants_seconds": round(imported, 2), **summary(pd.DataFrame(rows))}, indent=1))


if __name__ == "__main__":
    main()

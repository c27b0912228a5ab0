"""Draw 24 synthetic scans, as a segmenter learns from: python workflow/synthetic_examples.py RESULTS MODALITY PNG.

RESULTS is the folder of results of a run on scans of that contrast; docs/segmenter.md shows the picture.
"""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.pop(0)  # this folder, whose tabulate.py would hide a library of that name
sys.path.insert(0, str(Path(__file__).parent / "scripts"))

import pandas as pd
import torch

from stfpm3d.imaging.grid import mask_on_network_grid, midline_grid, to_network_grid
from stfpm3d.imaging.standardize import read_landmarks
from stfpm3d.imaging.volumes import load_mask, load_volume
from stfpm3d.learning.synthetic_scans import SyntheticScans
from stfpm3d.reporting.synthetic_examples import examples_png
from stfpm3d.simulation.scan import Healthy, Sample, Simulation
from stfpm3d.simulation.space import space_of

NUMBER, SEED, SPACING_MM = 24, 0, 2.0
MOST_SCANS = 8


def main(results: Path, modality: str, picture: Path) -> None:
    """Make samples of the run's healthy training scans, and write their picture."""
    split = pd.read_csv(results / "cohort/split.tsv", sep="\t", dtype=str)
    chosen = split[(split["group"] == "healthy") & (split["split"] == "train")]["participant_id"][:MOST_SCANS]
    grid = midline_grid(load_mask(results / "template/mask.nii.gz", "template"), SPACING_MM)
    scans = []
    for name in chosen:
        image = load_volume(results / f"standardize/{name}/image.nii.gz", name)
        support = load_mask(results / f"strip/{name}/mask.nii.gz", name)
        array = torch.from_numpy(to_network_grid(image, grid))
        scans.append(Healthy(array, torch.from_numpy(mask_on_network_grid(support, grid))))
    landmarks = torch.from_numpy(read_landmarks(results / "standardize/landmarks.tsv")).float()
    simulation = Simulation(space_of(grid), landmarks, modality)
    made = SyntheticScans(scans, simulation, NUMBER, seed=SEED, epoch=0, strength=1.0)
    samples = (made[item] for item in range(NUMBER))
    picture.write_bytes(examples_png([Sample(image, image > image.min(), lesion) for _, image, lesion in samples]))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], Path(sys.argv[3]))

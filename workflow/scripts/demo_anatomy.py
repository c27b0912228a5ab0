"""Bring the template's anatomy to the grid that the demo is rendered on."""

from typing import TYPE_CHECKING

from stfpm3d.imaging.template import isotropic_grid, tissues_on_grid
from stfpm3d.imaging.volumes import antialiased_resample, load_volume, save_volume
from stfpm3d.runtime.logs import rule_log

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with rule_log(snakemake.log[0]):
    head = load_volume(snakemake.input["head"], "template")
    grid = isotropic_grid(head, snakemake.params["resolution_mm"])
    save_volume(snakemake.output["head"], antialiased_resample(head, grid))
    for name, tissue in tissues_on_grid(grid)._asdict().items():
        save_volume(snakemake.output[name], tissue)

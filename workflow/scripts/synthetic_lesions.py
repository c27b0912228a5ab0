"""Insert synthetic lesions into copies of one healthy scan."""

from typing import TYPE_CHECKING

from stfpm3d.imaging.lesions import write_lesions
from stfpm3d.imaging.volumes import load_mask, load_volume
from stfpm3d.runtime.logs import rule_log

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with rule_log(snakemake.log[0]):
    subject = snakemake.wildcards["sub"]
    write_lesions(
        load_volume(snakemake.input["image"], subject),
        load_mask(snakemake.input["support"], subject),
        snakemake.output["images"],
        snakemake.output["masks"],
        scan_id=subject,
        sign=snakemake.params["sign"],
        seed=snakemake.params["seed"],
        given=snakemake.input["given"],
    )

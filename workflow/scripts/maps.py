"""Make one method's anomaly maps of a batch of scans."""

from typing import TYPE_CHECKING

from stfpm3d.maps.form import Scan, write_maps
from stfpm3d.maps.tables import read_maps
from stfpm3d.methods.registry import map_maker
from stfpm3d.runtime.logs import rule_log

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with rule_log(snakemake.log[0]):
    given, params = snakemake.input, snakemake.params
    subjects, files = params["subjects"], dict(given.items())
    images = given["images"] or read_maps([given["source"]]).set_index("scan_id")["map"][subjects]
    most = len(given["beside"]) // len(subjects)  # a scan
    scans = {
        name: Scan(sub, image, support, sub in params["fitted"], given["beside"][number * most : (number + 1) * most])
        for number, (name, sub, image, support) in enumerate(
            zip(params["names"], subjects, images, given["supports"], strict=True)
        )
    }
    write_maps(snakemake.output["table"], scans, map_maker(params["maker"], params["settings"], files))

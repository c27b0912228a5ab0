"""Write the report."""

from typing import TYPE_CHECKING

import pandas as pd

from stfpm3d.imaging.grid import read_grid
from stfpm3d.imaging.volumes import load_mask
from stfpm3d.maps.form import read_maps
from stfpm3d.reporting.networks import read_network
from stfpm3d.reporting.report import write_report
from stfpm3d.runtime.files import read_table
from stfpm3d.runtime.logs import rule_log

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with rule_log(snakemake.log[0]):
    given, params = snakemake.input, snakemake.params
    scans = pd.DataFrame(params["pictured"]).assign(image=given["images"])
    scans = scans.merge(read_maps(given["maps"]), "left", "scan_id", validate="one_to_one")
    scans["lesion_mask"] = scans["scan_id"].map(dict(zip(params["masked"], given["lesion_masks"], strict=True)))
    names = [network.partition("/")[2] for network in params["networks"]]
    settings = ("sites", "modality", "experiments", "shown", "initial", "healthy_quantile", "min_lesion_ml", "excluded")
    write_report(
        snakemake.output["page"],
        template=given["template"],
        metrics=read_table(given["metrics"]),
        scores=read_table(given["scores"]),
        curves=pd.concat(read_table(path) for path in given["curves"]),
        patients=pd.concat(read_table(path) for path in given["patients"]),
        lesions=pd.concat(read_table(path) for path in given["lesions"]),
        comparisons=read_table(given["comparisons"]),
        scans=scans,
        brain_mask=load_mask(given["brain_mask"], "template"),
        grid=read_grid(given["grid"]),
        registration=read_table(given["registration"]),
        networks=list(zip(names, map(read_network, given["networks"]), strict=True)),
        **{name: params[name] for name in settings},
    )

"""Compute what the paper's figures show of one scan."""

from typing import TYPE_CHECKING, Any

import numpy as np

from stfpm3d.maps.embeddings import channel_sums, pseudo_rgb
from stfpm3d.maps.form import Scan
from stfpm3d.maps.network import load_block_maps, network_maps
from stfpm3d.runtime.files import replacing
from stfpm3d.runtime.logs import rule_log

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with rule_log(snakemake.log[0]):
    given, params = snakemake.input, snakemake.params
    make = network_maps(dict(given.items()), **params["settings"])
    made = make(Scan(snakemake.wildcards["sub"], given["array"], given["support"], params["fitted"]))
    assert made.source is not None
    teacher = {name: given[name] for name in ("teacher", "atlas") if given.get(name)}  # all of its blocks
    where = {name: params["settings"][name] for name in ("accelerator", "threads", "precision")}
    features = load_block_maps(teacher, normalised=False, agreement=False, **where).features(np.load(given["array"]))
    arrays: dict[str, Any] = {f"sum{block}": sums for block, sums in enumerate(channel_sums(features), start=1)}
    arrays |= {**made.blocks, "rgb": pseudo_rgb(features, np.load(given["seen"])), "map": made.source.data}
    with replacing(snakemake.output["embeddings"]) as temporary:
        np.savez_compressed(temporary, **arrays)

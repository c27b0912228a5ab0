"""Compute what the paper's figures show of one scan."""

from typing import TYPE_CHECKING, Any

import numpy as np

from stfpm3d.learning.matching import combine_blocks
from stfpm3d.learning.resnet import STRIDES
from stfpm3d.maps.embeddings import channel_sums, pseudo_rgb
from stfpm3d.maps.network import BlockMaps, load_block_maps
from stfpm3d.runtime.files import replacing
from stfpm3d.runtime.logs import rule_log

if TYPE_CHECKING:
    from snakemake.iocontainers import snakemake

with rule_log(snakemake.log[0]):
    given, params = snakemake.input, snakemake.params
    block_maps = load_block_maps(dict(given.items()), **params["networks"])
    array = np.load(given["array"])
    features = BlockMaps(block_maps.teacher, atlas=block_maps.atlas).features(array)
    distances = block_maps(array, fitted=params["fitted"])
    combined = combine_blocks(distances, array.shape, params["combine"], params["blocks"])
    arrays: dict[str, Any] = {f"sum{block}": sums for block, sums in enumerate(channel_sums(features), start=1)}
    arrays |= {f"block{block}": distance[0].cpu().numpy() for block, distance in enumerate(distances, start=1)}
    arrays |= {"rgb": pseudo_rgb(features, np.load(given["brain_mask"])), "map": combined[0].cpu().numpy()}
    with replacing(snakemake.output["embeddings"]) as temporary:
        np.savez_compressed(temporary, **arrays, strides=STRIDES)

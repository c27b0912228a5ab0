"""Anomaly maps by networks: what each ResNet block finds in a scan, combined to one map on the MNI grid."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from stfpm3d.imaging.grid import NetworkGrid, mask_on_network_grid, read_grid
from stfpm3d.imaging.volumes import Volume, load_mask, resample_like
from stfpm3d.learning.channels import load_atlas, stack_channels
from stfpm3d.learning.compute import Precision, one_device
from stfpm3d.learning.folding import FoldedResNet
from stfpm3d.learning.matching import Combination, combine_blocks, feature_differences, unit_vectors
from stfpm3d.learning.resnet import STRIDES, AcsResNet, load_network
from stfpm3d.maps.form import Scan, ScoredMap, array_of, image_score, less_mirrored, map_on_mni, smoothed
from stfpm3d.maps.gaussian import FeatureGaussian, fit_gaussian, load_gaussian
from stfpm3d.maps.pooling import Pooling, block_poolings, in_medians, seen_voxels

OTHERS = ("student", "gaussian", "atlas")
"""What `load_block_maps` may find among its files besides the teacher."""


class BlockMaps:
    """What some ResNet blocks find anomalous in a scan.

    With a student the features are the differences of normalised features, without one they are the teacher's own. A
    map is half their squared length, or, with a `gaussian` of healthy scans, their distance from it at each position:
    the mean square of their deviations over channels.

    Parameters
    ----------
    teacher, student
        Networks in evaluation mode; without a student a Gaussian is needed (PaDiM).
    gaussian
        Of these features.
    atlas
        The second channel (X, Y, Z) of networks that have two.
    autocast
        The context of the networks' precision.
    blocks
        Their numbers: features, the Gaussian, poolings and maps are theirs alone, in this order.
    normalised
        Whether a teacher's own features are divided by their length at each position, as those of a pair always are.
    agreement
        Whether the features are the teacher's own, normalised, and behind them the differences, and the map the mean
        product of the deviations of both: what is unusual, and unlike what the student makes of it.
    poolings
        One a block: averages the deviations from the Gaussian over neighbours before they are squared, or multiplied.
    """

    def __init__(
        self,
        teacher: AcsResNet | FoldedResNet,
        student: AcsResNet | FoldedResNet | None = None,
        gaussian: FeatureGaussian | None = None,
        atlas: NDArray | None = None,
        autocast: Callable[[], AbstractContextManager] = nullcontext,
        *,
        blocks: Sequence[int] = (1, 2, 3),
        normalised: bool = False,
        agreement: bool = False,
        poolings: Sequence[Pooling] | None = None,
    ) -> None:
        self.teacher, self.student, self.gaussian, self.atlas = teacher, student, gaussian, atlas
        self.autocast, self.blocks = autocast, blocks
        self.normalised, self.agreement, self.poolings = normalised, agreement, poolings

    @torch.inference_mode()
    def features(self, scan: NDArray) -> list[Tensor]:
        """Features (1, channels, X', Y', Z') of a scan (X, Y, Z) after the blocks."""
        device = next(self.teacher.parameters()).device
        volume = torch.from_numpy(stack_channels(scan, self.atlas))[None].to(device)
        with self.autocast():
            teacher = self._pyramid(self.teacher, volume)
            student = self._pyramid(self.student, volume) if self.student else None
        if student is None:
            return [unit_vectors(block) if self.normalised else block.float() for block in teacher]
        differences = feature_differences(teacher, student)
        if not self.agreement:
            return list(differences)
        pairs = zip(teacher, differences, strict=True)
        return [torch.cat((unit_vectors(block), difference), dim=1) for block, difference in pairs]

    def _pyramid(self, network: AcsResNet | FoldedResNet, volume: Tensor) -> list[Tensor]:
        pyramid = network.pyramid(volume)
        return [pyramid[block - 1] for block in self.blocks]

    @torch.inference_mode()
    def __call__(
        self, scan: NDArray, support: NDArray[np.bool_] | None = None, *, fitted: bool = False
    ) -> list[Tensor]:
        """The blocks' maps (1, X', Y', Z') of a scan (X, Y, Z), each at its own size.

        `support` (X, Y, Z) is what the scan holds, which poolings ask for. `fitted` tells that the Gaussian has seen
        the scan, which is then taken out of it.
        """
        features = self.features(scan)
        if self.gaussian is None:
            return [difference.square().sum(dim=1) / 2 for difference in features]
        gaussian = self.gaussian.without(features) if fitted else self.gaussian
        deviations = gaussian.deviations(features)
        if self.poolings is not None:
            if support is None:
                raise ValueError("what the scan holds is needed to pool")
            pairs = zip(self.poolings, deviations, strict=True)
            deviations = [pooling(deviation, support) for pooling, deviation in pairs]
        factors = [each.chunk(2, dim=1) if self.agreement else (each, each) for each in deviations]
        return [(first * second).mean(dim=1) for first, second in factors]


def load_block_maps(
    files: Mapping[str, Path | str],
    *,
    blocks: Sequence[int] = (1, 2, 3),
    normalised: bool,
    agreement: bool,
    poolings: Sequence[Pooling] | None = None,
    accelerator: str,
    threads: int,
    precision: Precision,
) -> BlockMaps:
    """Load networks to where they are computed (see `one_device`); the rest as in `BlockMaps`.

    `files` holds the weights of the `teacher` and, where there are such, of the `student`, the `gaussian` and the
    `atlas`.
    """
    place = one_device(accelerator, threads, precision)
    student, gaussian, atlas = (Path(files[name]) if files.get(name) else None for name in OTHERS)
    return BlockMaps(
        _network(Path(files["teacher"]), place.device, max(blocks)),
        _network(student, place.device, max(blocks)) if student else None,
        load_gaussian(gaussian, place.device, blocks) if gaussian else None,
        load_atlas(atlas),
        place.autocast,
        blocks=blocks,
        normalised=normalised,
        agreement=agreement,
        poolings=poolings,
    )


def _network(path: Path, device: torch.device, last_block: int) -> AcsResNet | FoldedResNet:
    network = load_network(path, last_block)
    return FoldedResNet(network) if device.type == "cpu" else network.to(device)


def fit_features(block_maps: BlockMaps, arrays: Iterable[Path]) -> FeatureGaussian:
    """The Gaussian of the features of scans, .npy (X, Y, Z) on the network grid."""
    return fit_gaussian(block_maps.features(np.load(array)) for array in arrays)


class NetworkMaps:
    """Makes maps by networks.

    Parameters
    ----------
    block_maps
        Makes the blocks' maps of a scan.
    grid
        The network's grid in MNI space.
    brain_mask
        The template's, over which a map's maximum is the score.
    combine
        How the blocks' maps become one; the paper multiplies those of blocks 1, 2 and 3.
    in_medians
        Whether each block's map is divided by its own median over the positions that see brain.
    smoothing_mm
        FWHM of a Gaussian over the map on the network grid, 0 for none.
    mirror_share
        Share of its mirror image that is taken from the smoothed map.
    asymmetry_weight
        Weight of what is added: how much brighter (`lesion_sign` 1) or darker (-1) the scan, smoothed as the map, is
        than its mirror image, and nothing where it is not.
    """

    def __init__(
        self,
        block_maps: BlockMaps,
        grid: NetworkGrid,
        brain_mask: Volume,
        *,
        combine: Combination,
        in_medians: bool,
        smoothing_mm: float,
        mirror_share: float,
        asymmetry_weight: float,
        lesion_sign: int,
    ) -> None:
        self.block_maps = block_maps
        self.grid = grid
        self.brain_mask = brain_mask
        self.combine: Combination = combine
        self.smoothing_mm, self.mirror_share = smoothing_mm, mirror_share
        self.asymmetry_weight, self.lesion_sign = asymmetry_weight, lesion_sign
        self.regional = bool(block_maps.poolings or smoothing_mm or mirror_share or asymmetry_weight)
        self.seen: list[NDArray[np.bool_]] | None = None
        if in_medians:
            brain = mask_on_network_grid(brain_mask, grid)
            self.seen = [seen_voxels(brain, STRIDES[block - 1]) > 0 for block in block_maps.blocks]

    def __call__(self, scan: Scan) -> ScoredMap:
        """The map on the MNI grid, its score, and the blocks' maps on the network grid.

        Position i of block n lies at network voxel `strides[n - 1]` * i. All is float32: float16 sets a third of a
        product's voxels to zero.
        """
        array = array_of(scan, self.grid)
        support = load_mask(scan.support, scan.scan_id)
        held = resample_like(support, Volume(array, self.grid.affine), nearest=True) if self.regional else None
        distances = self.block_maps(array, held.data if held else None, fitted=scan.fitted)
        if self.seen is not None:
            distances = [in_medians(block, seen) for block, seen in zip(distances, self.seen, strict=True)]
        numbers = self.block_maps.blocks
        anomaly = combine_blocks(distances, self.grid.shape, self.combine, numbers)[0].cpu().numpy()
        source = Volume(anomaly, self.grid.affine)
        if held:
            source = self._regional(source, array, held)
        on_mni = map_on_mni(source, support)
        pairs = zip(numbers, distances, strict=True)
        blocks = {f"block{number}": block[0].cpu().numpy() for number, block in pairs}
        return ScoredMap(
            on_mni,
            image_score(on_mni, self.brain_mask),
            {**blocks, "strides": np.array(STRIDES)},
            source,
        )

    def _regional(self, source: Volume, array: NDArray, support: Volume) -> Volume:
        """The map smoothed, less its mirror image, plus the asymmetry of the scan's `array` (network grid)."""
        found = self._less_mirrored(source, support, self.mirror_share)
        if not self.asymmetry_weight:
            return found
        brightness = Volume(self.lesion_sign * array.astype(np.float32), self.grid.affine)
        asymmetry = self._less_mirrored(brightness, support, 1.0)
        return Volume(found.data + self.asymmetry_weight * np.maximum(asymmetry.data, 0), self.grid.affine)

    def _less_mirrored(self, values: Volume, support: Volume, share: float) -> Volume:
        return less_mirrored(smoothed(values, support, self.smoothing_mm), support, share)


def network_maps(
    files: Mapping[str, Path | str],
    *,
    combine: Combination,
    blocks: Sequence[int],
    normalised: bool,
    agreement: bool,
    pooling_mm: float,
    in_medians: bool,
    smoothing_mm: float,
    mirror_share: float,
    asymmetry_weight: float,
    lesion_sign: int,
    accelerator: str,
    threads: int,
    precision: Precision,
) -> NetworkMaps:
    """Makes maps by the networks in some files: those of `load_block_maps`, the `grid` and the `brain_mask`.

    `pooling_mm` is the FWHM of the Gaussian that averages deviations over neighbours, 0 for none; the rest as in
    `load_block_maps` and `NetworkMaps`.
    """
    grid, brain_mask = read_grid(files["grid"]), load_mask(files["brain_mask"], "template")
    block_maps = load_block_maps(
        files,
        blocks=blocks,
        normalised=normalised,
        agreement=agreement,
        poolings=block_poolings(brain_mask, grid, pooling_mm, blocks) if pooling_mm else None,
        accelerator=accelerator,
        threads=threads,
        precision=precision,
    )
    return NetworkMaps(
        block_maps,
        grid,
        brain_mask,
        combine=combine,
        in_medians=in_medians,
        smoothing_mm=smoothing_mm,
        mirror_share=mirror_share,
        asymmetry_weight=asymmetry_weight,
        lesion_sign=lesion_sign,
    )

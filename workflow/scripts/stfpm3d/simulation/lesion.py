"""Lesions as they look: gliomas, small lesions of white matter, infarcts, and cavities.

Images are float32 (X, Y, Z) in units of the scan's bright tissue, as in `acquisition`; levels of tissue are those of
the scan itself, so that one code makes lesions that are dark in T1w and bright in T2w and FLAIR. A function of a kind
changes the image in a box around the lesion and returns the lesion (X, Y, Z), boolean. All lengths are mm.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from stfpm3d.simulation.draws import Draws
from stfpm3d.simulation.space import Space, blurred, noise, rotation

Kind = Literal["glioma", "small", "infarct", "cavity"]

EDGE_MM = 1.4
"""Sigma that partial volume gives to tissue classes."""
OUTLINE_VOXELS = 0.8
"""Sigma, in voxels, that takes single voxels from a glioma's ragged outline; a lesion of a few voxels would vanish."""


class Levels(NamedTuple):
    """Grey values of a scan's tissues, and of tissue full of water: what oedema and demyelination come near to."""

    white: float
    grey: float
    fluid: float
    oedema: float


QUANTILES = {"T1w": (0.85, 0.30, 0.02), "T2w": (0.25, 0.65, 0.98), "FLAIR": (0.35, 0.80, 0.02)}
"""Where white matter, grey matter and fluid lie among a brain's grey values."""


def levels_of(values: Tensor, modality: str) -> Levels:
    """The levels of a healthy scan, from its brain's grey values (N,), by contrast: T1w, T2w or FLAIR."""
    white, grey, fluid = (float(level) for level in values.quantile(torch.tensor(QUANTILES[modality])))
    oedema = {
        "T1w": max(white + 2 * (grey - white), grey + 0.7 * (fluid - grey)),  # never as dark as fluid
        "T2w": white + 0.8 * (fluid - white),
        "FLAIR": white + 3 * (grey - white),
    }
    return Levels(white, grey, fluid, oedema[modality])


class Tissue(NamedTuple):
    """The part of a scan around a lesion: space, image (changed in place), brain, and the scan's levels."""

    space: Space
    image: Tensor
    brain: Tensor
    levels: Levels

    @property
    def white(self) -> Tensor:
        """Share of white matter (X, Y, Z), from 0 to 1."""
        share = (self.image - self.levels.grey) / (self.levels.white - self.levels.grey)
        return blurred(share.clamp(0, 1), self.space, EDGE_MM)

    @property
    def fluid(self) -> Tensor:
        """Share of fluid (X, Y, Z), from 0 to 1."""
        share = (self.image - self.levels.grey) / (self.levels.fluid - self.levels.grey)
        return ((share - 0.35) / 0.3).clamp(0, 1)

    def mix(self, share: Tensor, level: Tensor | float) -> None:
        """Replace a share (X, Y, Z) of what is in the image by a level or an image of levels."""
        self.image.add_(share * (level - self.image))


def outline(space: Space, centre_mm: Tensor, radius_mm: float, draws: Draws, *, ragged: bool = True) -> Tensor:
    """About 1 at the centre of a lesion, 0 at its border, negative outside: an ellipsoid whose border is irregular."""
    axes = torch.diag(torch.exp(0.25 * draws.white(3)))
    axes = axes / axes.det() ** (1 / 3) @ rotation([draws.uniform(0, 360) for _ in range(3)])
    inside = 1 - ((space.places_mm - centre_mm) @ axes.T).norm(dim=-1) / radius_mm
    if not ragged:
        return inside
    inside = inside + draws.uniform(0.1, 0.45) * noise(space, max(12, draws.uniform(0.4, 1) * 2 * radius_mm), draws)[0]
    if draws.chance(0.6):
        lobes_mm = max(10, draws.uniform(0.15, 0.3) * 2 * radius_mm)
        inside = inside + draws.uniform(0.05, 0.25) * noise(space, lobes_mm, draws)[0]
    return inside


def rising(inside: Tensor, border: float) -> Tensor:
    """How much of a voxel is lesion: 0.5 at an outline of 0, 0.73 at one of `border`."""
    return torch.sigmoid(
        (inside / border).clamp(min=-30)
    )  # far outside, numbers too small would take ten times as long


def held_by_falx(inside: Tensor, space: Space, centre_mm: Tensor, draws: Draws) -> Tensor:
    """An outline that crosses the midline less than it would: the falx holds most lesions on their side."""
    beyond_mm = draws.uniform(-4, 4) - space.places_mm[..., 0] * (1 if centre_mm[0] > 0 else -1)
    return inside - (beyond_mm / draws.uniform(4, 12)).clamp(0, 3) * draws.uniform(0.3, 1)


def glioma(tissue: Tissue, centre_mm: Tensor, radius_mm: float, draws: Draws) -> Tensor:
    """A tumour: oedema that follows white matter and spares fluid, mostly with cores of necrosis, tumour or blood."""
    space, image, levels = tissue.space, tissue.image, tissue.levels
    white, fluid, brain = tissue.white, tissue.fluid, tissue.brain.float()
    inside = outline(space, centre_mm, radius_mm, draws)
    if draws.chance(0.7):
        inside = inside + draws.uniform(0, 0.9) * (white - 0.5)
    if draws.chance(0.75):
        inside = held_by_falx(inside, space, centre_mm, draws)
    border = draws.uniform(0.04, 0.2)
    within = rising(inside, border) * brain
    extent = within * (1 - draws.uniform(0.6, 1) * fluid) if draws.chance(0.7) else within
    lesion = extent > draws.uniform(0.25, 0.5)

    depth = draws.uniform(0.05, 0.65) * (0.5 if draws.chance(0.3) else 1) * (levels.oedema - levels.white)
    kind = draws.uniform(0, 1)
    if kind < 0.45:  # the texture of the tissue is lost
        target = torch.full_like(image, levels.white + 1.5 * depth)
    elif kind < 0.9:  # it is kept
        target = image + depth * (0.4 + 0.6 * white)
    else:  # like grey matter
        target = torch.full_like(image, levels.white + draws.uniform(0.2, 1) * (levels.grey - levels.white))
    span = abs(levels.white - levels.grey)
    target = target + draws.uniform(0, 0.25) * span * noise(space, draws.uniform(8, 32), draws)[0]
    share = extent * draws.uniform(0.6, 1)
    if draws.chance(0.5):
        patchy = 1 + draws.uniform(0.2, 0.5) * noise(space, draws.uniform(12, 48), draws)[0]
        share = (share * patchy.clamp(0.2, 1)).clamp(0, 1)
    tissue.mix(share, target)
    for _ in range(0 if draws.chance(0.25) else 1 + draws.below(3)):
        lesion = lesion | core(tissue, within, centre_mm, radius_mm, draws)
    return blurred(lesion.float(), space, OUTLINE_VOXELS * space.spacing_mm) > 0.5


def core(tissue: Tissue, within: Tensor, centre_mm: Tensor, radius_mm: float, draws: Draws) -> Tensor:
    """A necrosis, a solid part or blood inside a tumour, which reaches as far as `within` (X, Y, Z, 0 to 1) says.

    A third of them have a wall of another grey value.
    """
    space, (white, grey, fluid, _) = tissue.space, tissue.levels
    middle = centre_mm + 0.3 * radius_mm * draws.white(3)
    inside = outline(space, middle, radius_mm * draws.uniform(0.2, 0.7), draws)
    extent = rising(inside, draws.uniform(0.04, 0.15)) * within
    kind = draws.uniform(0, 1)
    if kind < 0.4:  # necrosis
        level = fluid + draws.uniform(0, 0.8) * (grey - fluid)
    elif kind < 0.7:  # solid tumour
        level = grey + draws.uniform(-0.3, 0.7) * (white - grey)
    else:  # blood, fat or protein
        level = white + draws.uniform(0, 0.5) * (white - grey)
    if draws.chance(0.3):
        wall = torch.exp(-(((inside - 0.15) / 0.15) ** 2).clamp(max=30)) * within
        tissue.mix(wall * draws.uniform(0.3, 1), grey + draws.uniform(-0.3, 1) * (white - grey))
    texture = draws.uniform(0, 0.3) * abs(white - grey) * noise(space, draws.uniform(8, 28), draws)[0]
    tissue.mix(extent, level + texture)
    return extent > 0.5


def small_lesion(tissue: Tissue, centre_mm: Tensor, radius_mm: float, draws: Draws) -> Tensor:
    """A spot in white matter, as of multiple sclerosis or small-vessel disease: smooth, nearly as bright as oedema."""
    white, grey, fluid, oedema = tissue.levels
    inside = outline(tissue.space, centre_mm, radius_mm, draws, ragged=False)
    inside = inside + draws.uniform(0, 0.5) * (tissue.white - 0.6)
    extent = rising(inside, draws.uniform(0.1, 0.35)) * tissue.brain * (1 - tissue.fluid)
    level = white + draws.uniform(0.35, 1) * (oedema - white)
    if draws.chance(0.1):  # a hole
        level = grey + draws.uniform(0.4, 1) * (fluid - grey)
    tissue.mix(extent * draws.uniform(0.7, 1), level)
    return extent > 0.5


def infarct(tissue: Tissue, centre_mm: Tensor, radius_mm: float, draws: Draws) -> Tensor:
    """A stroke: grey and white matter alike within a sharp border, fresh (watery) or old (nearly fluid)."""
    _, grey, fluid, oedema = tissue.levels
    inside = held_by_falx(outline(tissue.space, centre_mm, radius_mm, draws), tissue.space, centre_mm, draws)
    extent = rising(inside, draws.uniform(0.02, 0.08)) * tissue.brain
    level = grey + draws.uniform(0.3, 1) * ((fluid if draws.chance(0.5) else oedema) - grey)
    texture = draws.uniform(0, 0.2) * abs(level - grey) * noise(tissue.space, draws.uniform(8, 24), draws)[0]
    tissue.mix(extent * draws.uniform(0.6, 1), level + texture)
    return extent > 0.5


def cavity(tissue: Tissue, centre_mm: Tensor, radius_mm: float, draws: Draws) -> Tensor:
    """A cyst or a resection cavity: fluid within a smooth, sharp border, half of them with a wall."""
    white, grey, fluid, oedema = tissue.levels
    inside = outline(tissue.space, centre_mm, radius_mm, draws, ragged=draws.chance(0.5))
    border = draws.uniform(0.02, 0.06)
    if draws.chance(0.5):
        rim = rising(inside + draws.uniform(0.1, 0.4), border) * tissue.brain
        level = draws.uniform(0.3, 1) * ((oedema if draws.chance(0.7) else grey) - white)
        tissue.mix(rim * draws.uniform(0.3, 1), white + level)
    extent = rising(inside, border) * tissue.brain
    tissue.mix(extent, fluid + draws.uniform(0, 0.25) * (grey - fluid))
    return extent > 0.5


class Form(NamedTuple):
    """What a kind of lesion is."""

    make: Callable[[Tissue, Tensor, float, Draws], Tensor]
    share: float
    """Its share of the scans with lesions."""
    most: int
    """Lesions of a scan, at most."""
    diameter_mm: tuple[float, float]
    mass_effect: float
    """How likely one displaces what surrounds it."""


KINDS: dict[Kind, Form] = {
    "glioma": Form(glioma, 0.65, 3, (12, 88), 0.75),  # BraTS: 8 to 90 mm, one to three parts
    "small": Form(small_lesion, 0.15, 12, (4, 14), 0.0),  # 3 mm and more; at 2 mm less is a voxel
    "infarct": Form(infarct, 0.1, 2, (10, 70), 0.1),  # fresh ones swell a little
    "cavity": Form(cavity, 0.1, 1, (10, 55), 0.5),
}
"""The range of lesions. Atrophy, wide ventricles and sulci are not among them: healthy scans have them as well."""

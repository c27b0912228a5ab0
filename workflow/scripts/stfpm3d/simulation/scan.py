"""A synthetic scan: a healthy one with lesions, of another shape, from another scanner, standardized again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
from torch import Tensor

from stfpm3d.imaging.standardize import KNOTS, PERCENTILES
from stfpm3d.simulation.acquisition import acquired, contrast_curve, through
from stfpm3d.simulation.draws import Draws
from stfpm3d.simulation.geometry import moved, push, ventricles, wider_sulci
from stfpm3d.simulation.lesion import KINDS, Form, Levels, Tissue, levels_of
from stfpm3d.simulation.space import Space, blurred

CLIP_SD = 6.0
"""Standardized grey values beyond it say no more than it does."""
LEAST_BRAIN = 0.45
"""Share of the brain that must be left by an acquisition."""
SAMPLE = 30_000
"""Voxels from which a synthetic scan's percentiles are taken."""
TENTORIUM_MM = -34.0
"""Below it (z) there are few lesions."""


@contextmanager
def without_denormals() -> Iterator[None]:
    """Takes numbers too small for full precision as 0: a field's far ends would take ten times as long as the rest."""
    torch.set_flush_denormal(True)
    try:
        yield
    finally:
        torch.set_flush_denormal(False)


class Healthy(NamedTuple):
    """A standardized healthy scan: `image` (X, Y, Z) in SDs of its `brain` (X, Y, Z), boolean."""

    image: Tensor
    brain: Tensor

    def mirrored(self) -> Healthy:
        """The scan as in a mirror. Voxel i of n lies at x = (i - n/2) spacings: its partner is n - i, 0 has none."""
        return Healthy(mirrored(self.image), mirrored(self.brain))


class Sample(NamedTuple):
    """What a segmenter learns from: a standardized `image`, its `brain` and its `lesion` (X, Y, Z), boolean both."""

    image: Tensor
    brain: Tensor
    lesion: Tensor


Acquisition = Callable[[Tensor, Tensor, Space, float, Draws], tuple[Tensor, Tensor]]
"""Gives image and brain as another scanner would, as `acquisition.acquired` does."""


class Simulation(NamedTuple):
    """What samples are made by.

    Parameters
    ----------
    space
        Where the scans lie.
    landmarks
        Nyúl landmarks (13,) of the study: synthetic scans are standardized as real ones.
    modality
        T1w, T2w or FLAIR.
    lesioned
        Share of the samples with a lesion.
    mass_effect
        Whether lesions displace tissue.
    acquire
        Draws an acquisition.
    """

    space: Space
    landmarks: Tensor
    modality: str
    lesioned: float = 0.75
    mass_effect: bool = True
    acquire: Acquisition = acquired

    @without_denormals()
    def sample(self, healthy: Healthy, draws: Draws, strength: float) -> Sample:
        """A synthetic scan made of a healthy one, its shape and acquisition as random as `strength` (0 to 1) says."""
        if draws.chance(0.5):
            healthy = healthy.mirrored()
        image, levels = in_scanner_units(healthy, self.modality)
        brain = healthy.brain.float()
        form = self._form(draws)
        places = self._places(form, healthy, levels, image, draws) if form else []
        shift = torch.zeros(*self.space.shape, 3)
        for centre_mm, radius_mm in places:
            if form and self.mass_effect and draws.chance(form.mass_effect):
                amount_mm = min(draws.uniform(0, 0.5) * radius_mm, 18)
                shift += push(
                    self.space, centre_mm, radius_mm * draws.uniform(0.7, 1.1), amount_mm, draws.uniform(8, 36)
                )
        if draws.chance(0.45 * min(1, strength)):
            shift += ventricles(self.space, draws)
        image, warped = moved(torch.stack([image, brain]), self.space, shift, draws, strength)
        kept = warped > 0.5
        if draws.chance(0.3 * min(1, strength)):
            image = wider_sulci(image, kept, levels.fluid, levels.white, self.space, draws)
        lesion = torch.zeros(self.space.shape, dtype=torch.bool)
        for centre_mm, radius_mm in places:
            assert form
            box, space = self.space.around(centre_mm, 2.5 * radius_mm + 10)
            lesion[box] |= form.make(Tissue(space, image[box], kept[box], levels), centre_mm, radius_mm, draws)
        image, kept = self._acquired(image, kept, int(healthy.brain.sum()), strength, draws)
        standard = self._standardized(image, kept, strength, draws)
        return Sample(standard, kept, lesion & kept)

    @without_denormals()
    def reacquired(self, healthy: Healthy, draws: Draws, strength: float) -> Tensor:
        """A healthy scan (X, Y, Z) of the same shape as another scanner would give it, standardized again."""
        image, _ = in_scanner_units(healthy, self.modality)
        image, brain = self._acquired(image, healthy.brain, int(healthy.brain.sum()), strength, draws)
        return self._standardized(image, brain, strength, draws)

    def _acquired(
        self, image: Tensor, brain: Tensor, voxels: int, strength: float, draws: Draws
    ) -> tuple[Tensor, Tensor]:
        """Image and brain of another acquisition; unchanged if it leaves too little of a brain of `voxels`."""
        if strength == 0:
            return image, brain
        seen, left = self.acquire(image, brain, self.space, strength, draws)
        return (seen, left) if left.sum() > LEAST_BRAIN * voxels else (image, brain)

    def _form(self, draws: Draws) -> Form | None:
        """The kind of a sample's lesions; none for a healthy one."""
        if not draws.chance(self.lesioned):
            return None
        place, *others = KINDS.values()
        left = draws.uniform(0, 1) - place.share
        while left > 0 and others:
            place = others.pop(0)
            left -= place.share
        return place

    def _places(
        self, form: Form, healthy: Healthy, levels: Levels, image: Tensor, draws: Draws
    ) -> list[tuple[Tensor, float]]:
        """Centre (MNI mm) and radius (mm) of each lesion, in white matter where the kind lies there."""
        deep = blurred(healthy.brain.float(), self.space, 4.0) > 0.97
        if form is KINDS["small"]:
            middle = (levels.white + levels.grey) / 2
            deep &= (image > middle) if levels.white > levels.grey else (image < middle)
        inside = deep.nonzero()
        low, high = form.diameter_mm
        count = 1 if draws.chance(0.6) else 1 + draws.below(form.most)
        places = []
        for number in range(count):
            largest = high if number == 0 else max(low, 0.4 * high)
            smallest = 32 if form is KINDS["glioma"] and number == 0 and draws.chance(0.7) else low
            low_ones = draws.chance(0.15)
            centre_mm = self.space.places_mm[tuple(inside[draws.below(len(inside))])]
            while centre_mm[2] < TENTORIUM_MM and not low_ones:
                centre_mm = self.space.places_mm[tuple(inside[draws.below(len(inside))])]
            places.append((centre_mm, draws.log_uniform(smallest, largest) / 2))
        return places

    def _standardized(self, image: Tensor, brain: Tensor, strength: float, draws: Draws) -> Tensor:
        """Nyúl and z-norm as in `imaging.standardize`; in some scans another contrast is left, as it is in reality."""
        image = (image.clamp(min=0) * brain).contiguous()
        values = image[brain]
        if draws.chance(0.85) or strength == 0:
            some = values[torch.randint(0, len(values), (SAMPLE,), generator=draws.generator)]
            image = on_landmarks(image, some.quantile(torch.tensor(PERCENTILES)[KNOTS] / 100), self.landmarks[KNOTS])
            image = image * brain
        standard = normed(image, brain)
        if strength > 0 and draws.chance(0.4):
            grey, curve = contrast_curve(7, 0.3 * strength, draws)
            bent = normed(through(standard, (grey - 4, curve - 4)), brain)
            standard = torch.where(brain, bent, bent[~brain].min())
        return standard.clamp(-CLIP_SD, CLIP_SD)


def mirrored(volume: Tensor) -> Tensor:
    """A volume (..., X, Y, Z) in the mirror x -> -x, where voxel n/2 of n lies at x = 0; voxel 0 keeps its value."""
    first, others = volume[..., :1, :, :], volume[..., 1:, :, :]
    return torch.cat([first, others.flip(-3)], dim=-3)


def in_scanner_units(healthy: Healthy, modality: str) -> tuple[Tensor, Levels]:
    """A standardized scan in units of its bright tissue, about 0 where the scanner measured nothing, and its levels."""
    values = healthy.image[healthy.brain][::7]
    background, bright = float(healthy.image[~healthy.brain].median()), float(values.quantile(0.85))
    zero = background - 0.25 * (bright - background)
    image = (healthy.image - zero) / (bright - zero) * healthy.brain
    return image, levels_of((values - zero) / (bright - zero), modality)


def on_landmarks(image: Tensor, percentiles: Tensor, landmarks: Tensor) -> Tensor:
    """An image (X, Y, Z) whose percentiles (K,) fall on landmarks (K,), linearly between them and beyond."""
    slopes = landmarks.diff() / percentiles.diff().clamp(min=1e-5)
    segment = torch.bucketize(image, percentiles[1:-1].contiguous(), right=True)
    return landmarks[segment] + slopes[segment] * (image - percentiles[segment])


def normed(image: Tensor, brain: Tensor) -> Tensor:
    """An image with mean 0 and SD 1 over its brain."""
    values = image[brain]
    return (image - values.mean()) / (values.std() + 1e-6)

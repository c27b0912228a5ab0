"""How a scan was taken: contrast, slices, blur, bias, noise and stripping, drawn at random.

What a network learns on scans of one scanner follows that scanner. Here each training scan gets another one
(domain randomisation; B. Billot et al., SynthSeg, Medical Image Analysis 86, 2023). Images are float32 (X, Y, Z) in
units of the scan's bright tissue, with 0 where the scanner measures nothing; brains are boolean. A `strength` of 1 is
the full range, 0 changes nothing.

torchio has transforms for most of this. They serve in validation (`simulation.unseen`), as acquisitions that
the training has not seen; in training they would take 5 to 20 times as long as these.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from stfpm3d.simulation.draws import Draws
from stfpm3d.simulation.space import Space, along, blurred, linear_sampling, noise

Curve = tuple[Tensor, Tensor]
"""Grey values that are equally far apart, and what each of them becomes."""


def contrast_curve(highest: float, spread: float, draws: Draws) -> Curve:
    """A random curve from 0 to `highest` that keeps the order of grey values; `spread` 0 leaves them as they are."""
    steps = torch.exp(spread * draws.white(7))
    values = torch.cat([torch.zeros(1), steps.cumsum(0) / steps.sum() * highest])
    return torch.linspace(0, highest, len(values)), values


def through(image: Tensor, curve: Curve) -> Tensor:
    """An image after a curve, which goes on linearly beyond its ends."""
    grey, values = curve
    place = ((image - grey[0]) / (grey[1] - grey[0])).clamp(-0.5, len(grey) - 0.5)
    segment = place.floor().clamp(0, len(grey) - 2).long()
    return values[segment] + (place - segment) * (values[segment + 1] - values[segment])


def other_contrast(image: Tensor, space: Space, strength: float, draws: Draws) -> Tensor:
    """An image in another sequence's contrast; in half of the scans it varies over the brain."""
    spread = draws.uniform(0, 0.5) * strength
    highest = max(1.4, float(image.flatten()[::7].quantile(0.999)))
    grey, values = contrast_curve(highest, spread, draws)
    changed = through(image, (grey, values))
    if draws.chance(0.5):
        _, other = contrast_curve(highest, 0.7 * spread, draws)
        share = torch.sigmoid(1.5 * noise(space, draws.uniform(120, 280), draws)[0])
        changed = share * changed + (1 - share) * through(image, (grey, 0.6 * values + 0.4 * other))
    return changed


def other_sharpness(image: Tensor, space: Space, strength: float, draws: Draws) -> Tensor:
    """A blurred image: a Gaussian with a sigma of about 1 mm, equal or different along the axes."""
    sigmas = [abs(draws.normal(0.9)) * strength for _ in range(3)]
    return blurred(image, space, sigmas if draws.chance(0.6) else sigmas[0])


def thick_slices(image: Tensor, space: Space, strength: float, draws: Draws) -> Tensor:
    """An image measured in slices of 2 to 6 mm, mostly axial ones, and interpolated.

    A slice is a mean over its thickness or, in a third of the scans, one plane; slices may differ in brightness.
    """
    axis = 2 if draws.chance(0.65) else draws.below(2)
    step = draws.uniform(2, 6) / space.spacing_mm
    if step <= 1:
        return image
    up = linear_sampling(image.shape[axis], step, draws.uniform(0, 1))
    down = up.T / (up.sum(dim=0)[:, None] + 1e-6)
    if draws.chance(0.3):
        down = (down == down.max(dim=1, keepdim=True).values).float()
        down = down / down.sum(dim=1, keepdim=True)
    if draws.chance(0.4):
        down = down * (1 + draws.uniform(0, 0.06) * strength * draws.white(len(down), 1))
    return along(image, axis, up @ down).contiguous()


def bias_field(brain: Tensor, space: Space, strength: float, draws: Draws) -> Tensor:
    """A factor (X, Y, Z) that varies over 7 to 20 cm, in some scans over 3 to 7 cm or with the depth in the brain."""
    logarithm = draws.uniform(0, 0.22) * noise(space, draws.uniform(140, 400), draws)[0]
    if draws.chance(0.4):
        logarithm = logarithm + draws.uniform(0, 0.06) * noise(space, draws.uniform(70, 140), draws)[0]
    if draws.chance(0.5):
        rim = 1 - blurred(brain.float(), space, draws.uniform(8, 18))
        logarithm = logarithm + draws.uniform(-0.15, 0.4) * rim * brain
    return torch.exp(strength * logarithm)


def noisy(image: Tensor, space: Space, strength: float, draws: Draws) -> Tensor:
    """An image with Gaussian or Rician noise of about 3 % of bright tissue, white or smooth over 4 to 10 mm."""
    level = abs(draws.normal(0.026)) * strength
    width_mm = 0.0 if draws.chance(0.5) else draws.uniform(2.5, 5) * 2
    real = image + level * noise(space, width_mm, draws)[0]
    if draws.chance(0.5):
        return real
    return (real**2 + (level * draws.white(*image.shape)) ** 2).sqrt()


def restripped(image: Tensor, brain: Tensor, space: Space, strength: float, draws: Draws) -> tuple[Tensor, Tensor]:
    """Image and brain as another stripping would leave them: up to some mm more or less at the surface.

    Where the new brain is larger, the image goes on with grey values as of meninges and bone.
    """
    soft = blurred(brain.float(), space, 3.0) + draws.uniform(0, 0.12) * noise(space, draws.uniform(30, 100), draws)[0]
    stripped = soft > 0.5 + draws.normal(0.13) * strength
    if draws.chance(0.5):
        return image, stripped & brain
    beyond = draws.uniform(0.1, 1.2) + draws.uniform(0.05, 0.4) * noise(space, draws.uniform(12, 40), draws)[0]
    stripped &= blurred(brain.float(), space, 2.0) > 0.1
    return torch.where(brain, image, beyond.clamp(0, 1.8)), stripped


def without_a_part(brain: Tensor, space: Space, draws: Draws) -> Tensor:
    """A brain of which the field of view, or a faulty stripping, has cut a part off."""
    if draws.chance(0.5):
        direction = F.normalize(draws.white(3), dim=0)
        depth = space.places_mm @ direction
        return brain & (depth < depth[brain][::11].quantile(draws.uniform(0.9, 0.995)))
    rim = (brain & (blurred(brain.float(), space, 4.0) < 0.7)).nonzero()
    bitten = space.places_mm[tuple(rim[draws.below(len(rim))])]
    ragged = space.distance_mm(bitten) + 4 * noise(space, 40, draws)[0]
    return brain & (ragged > draws.uniform(8, 20))


def without_cerebellum(brain: Tensor, space: Space) -> Tensor:
    """A brain without what lies low and behind."""
    return brain & ~((space.places_mm[..., 2] < -34) & (space.places_mm[..., 1] < -32))


def acquired(image: Tensor, brain: Tensor, space: Space, strength: float, draws: Draws) -> tuple[Tensor, Tensor]:
    """Image and brain as another scanner, sequence and stripping would give them."""
    image = other_contrast(image, space, strength, draws)
    steps: list[tuple[float, Callable[..., Tensor]]] = [(0.85, other_sharpness), (0.45, thick_slices)]
    for probability, step in steps:
        if draws.chance(probability):
            image = step(image, space, strength, draws)
    image = noisy(image * bias_field(brain, space, strength, draws), space, strength, draws)
    if draws.chance(0.8):
        image, brain = restripped(image, brain, space, strength, draws)
    if draws.chance(0.12):
        brain = without_a_part(brain, space, draws)
    if draws.chance(0.04):
        brain = without_cerebellum(brain, space)
    return image, brain

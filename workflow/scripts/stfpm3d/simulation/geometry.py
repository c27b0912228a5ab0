"""Where tissue lies in a synthetic scan: what a lesion displaces, and how healthy brains differ in shape.

Displacements are (X, Y, Z, 3) in mm. They say where tissue goes; an image follows by `moved`. A mass displaces what
surrounds it; ventricles, sulci and an inexact registration differ between healthy people, and are no lesions.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from stfpm3d.simulation.draws import Draws
from stfpm3d.simulation.space import Space, noise, pulled, rotation

VENTRICLES_MM = ((13.0, 10.0, 10.0), (13.0, -10.0, 16.0), (13.0, -32.0, 14.0))
"""Centres of a lateral ventricle's front, body and atrium on the right side (MNI)."""
CENTRE_MM = torch.tensor([0.0, -20.0, 0.0])
"""About the middle of the brain: what a scan is turned around."""


def push(space: Space, centre_mm: Tensor, radius_mm: float, amount_mm: float, decay_mm: float) -> Tensor:
    """Displacement away from a point, as by a growing ball.

    It grows linearly from the centre to `amount_mm` at the `radius_mm`, and beyond it falls by e every `decay_mm`.
    """
    away = space.places_mm - centre_mm
    distance = away.norm(dim=-1, keepdim=True).clamp(min=1e-3)
    beyond = torch.exp(-(distance - radius_mm).clamp(min=0) / decay_mm)
    return away / distance * (distance / radius_mm).clamp(max=1) * beyond * amount_mm


def ventricles(space: Space, draws: Draws) -> Tensor:
    """Displacement by wider (or, less often, narrower) ventricles, on both sides or on one."""
    total, amount_mm = torch.zeros(*space.shape, 3), draws.uniform(1, 6) * (1 if draws.chance(0.85) else -0.5)
    sides = (-1, 1) if draws.chance(0.55) else ((-1,) if draws.chance(0.5) else (1,))
    for side in sides:
        for x, y, z in VENTRICLES_MM:
            centre = torch.tensor(
                [side * (x + draws.uniform(-3, 3)), y + draws.uniform(-4, 4), z + draws.uniform(-4, 4)]
            )
            share = draws.uniform(0.5, 1)
            total += push(space, centre, draws.uniform(8, 16), amount_mm * share, draws.uniform(6, 12))
    return total


def moved(volumes: Tensor, space: Space, displacement: Tensor, draws: Draws, strength: float) -> Tensor:
    """Volumes (C, X, Y, Z) after a displacement and, as strong as `strength` says, an inexact registration.

    A registration errs by a few degrees, per cent and mm, and by up to 2 mm that vary over 3 to 10 cm.
    """
    affine, offset_mm = torch.eye(3), torch.zeros(3)
    if strength > 0:
        scale = torch.diag(1 + 0.025 * strength * draws.white(3))
        affine = rotation([draws.normal(2 * strength) for _ in range(3)]) @ scale
        offset_mm = 1.8 * strength * draws.white(3)
        if draws.chance(0.8):
            wobble = noise(space, draws.uniform(32, 100), draws, channels=3).permute(1, 2, 3, 0)
            displacement = displacement + draws.uniform(0, 2) * strength * wobble
    source = (space.places_mm - CENTRE_MM - displacement) @ affine.T + CENTRE_MM + offset_mm
    return pulled(volumes, space, source)


def wider_sulci(image: Tensor, brain: Tensor, fluid: float, white: float, space: Space, draws: Draws) -> Tensor:
    """An image whose cortical fluid takes some of the tissue beside it, as with age; white matter stays.

    `fluid` and `white` are the image's levels of fluid and of white matter; `brain` (X, Y, Z) is boolean.
    """
    sign = 1.0 if fluid > white else -1.0
    nearest = sign * F.max_pool3d(sign * image[None, None], 3, stride=1, padding=1)[0, 0]
    nearest = sign * (sign * nearest).clamp(max=sign * fluid)
    share = (draws.uniform(0.1, 0.6) + 0.2 * noise(space, 120, draws)[0]).clamp(0, 0.8)
    to_fluid = sign * (sign * (nearest - image)).clamp(min=0)
    deep = sign * (image - white) < 0.05  # as white as white matter or more
    return image + share * to_fluid * brain * ~deep

"""Whole heads on the template's own grid, for two cohorts in which an image score means much or nothing.

In both, healthy participants and patients come as heads of one kind, without pose. In `matched` either group is scanned
at both sites, and patients have lesions. In `shortcut` each group has a site of its own and nobody a lesion: whatever
tells the groups apart is the site.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from stfpm3d.demo.anatomy import draw_variation, vary_anatomy
from stfpm3d.demo.growth import enclosing_level
from stfpm3d.demo.participants import lesion_plan, participant_generators
from stfpm3d.demo.render import SITES, acquire, grow_tumour, t2_signal, tumour_contrast
from stfpm3d.imaging.fields import warp
from stfpm3d.imaging.volumes import Volume

LESION_VOLUME_ML = (1.0, 20.0)
"""Larger ones would have a say in the standardization of what lies beyond them."""


class RenderedHead(NamedTuple):
    """A scan on the template's grid, and a patient's lesion mask; a sham marks where nothing was changed."""

    image: Volume
    lesion_mask: Volume | None


def render_head(
    participant_id: str,
    group: str,
    site: str,
    seed: int,
    head: Volume,
    gm: Volume,
    wm: Volume,
    csf: Volume,
    *,
    lesions: bool,
) -> RenderedHead:
    """Render one participant: given group, site and `lesions`, a function of `seed` and `participant_id` alone.

    Lesions push nothing away: beyond them a patient's head is a healthy one's.

    Parameters
    ----------
    head, gm, wm, csf : whole-head T1 template and tissue probabilities on one isotropic RAS+ MNI grid, the scan's
    lesions : False leaves the tissue of patients as it is; their masks, the same ones, are then shams that mark where
        nothing was changed, so that whoever removes lesions has a region to remove
    """
    traits_rng, scan_rng, lesion_rng = participant_generators(seed, participant_id, 3)
    anatomy, shape = vary_anatomy(head, gm, wm, csf, draw_variation(traits_rng), traits_rng)
    tissue = t2_signal(anatomy, SITES[site], gm, scan_rng)
    signal, mask = warp(tissue, shape), None
    if group == "patient":
        volume_ml, isointense = lesion_plan(seed, participant_id, LESION_VOLUME_ML)
        level, contrast = tumour_contrast(tissue, anatomy, isointense, lesion_rng)
        tumour, _ = grow_tumour(anatomy, shape, gm, volume_ml, level, contrast, lesion_rng)
        mask = Volume(tumour.density > enclosing_level(tumour.density, gm, volume_ml), gm.affine)
        if lesions:
            signal += tumour.weight * (tumour.signal - signal)
    scan = acquire(signal, gm, gm, np.eye(4), SITES[site], scan_rng)
    return RenderedHead(Volume(scan, gm.affine), mask)

"""A registration proves itself: a header that turns the scan is refused, and a lesion is no reason to doubt."""

import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
from scipy.spatial.transform import Rotation

from stfpm3d.demo.render import render_subject
from stfpm3d.imaging import registration
from stfpm3d.imaging.background import load_scan
from stfpm3d.imaging.orientations import describe, turns
from stfpm3d.imaging.placement import Target
from stfpm3d.imaging.registration import register
from stfpm3d.imaging.similarity import local_similarity
from stfpm3d.imaging.template import Template, brain_mask, build_template, fetch_head_template, tissues_on_grid
from stfpm3d.imaging.volumes import Volume, load_volume
from stfpm3d.runtime.errors import InputError

HALF_TURN = np.diag([-1.0, -1, 1])
NOD = Rotation.from_euler("x", 90, degrees=True).as_matrix()


class Scans(NamedTuple):
    """A template, a demo head (T2w) and a brain (T1w) with background 0, both turned a little and moved."""

    template: Template
    head: Volume
    brain: Volume

    def target(self, *, stripped: bool) -> Target:
        return Target(self.template.brain if stripped else self.template.head, self.template.mask, stripped)


@pytest.fixture(scope="module")
def scans(tmp_path_factory) -> Scans:
    path = tmp_path_factory.mktemp("template") / "head.nii.gz"
    fetch_head_template(path)
    template = build_template(load_volume(path), brain_mask(), 2.0)
    tissues = tissues_on_grid(template.head)
    rendered = render_subject("sub-demoH08", "healthy", "south", 0, template.head, tissues.gm, tissues.wm, tissues.csf)
    noise = np.random.default_rng(0).normal(0, 0.05, template.brain.shape)
    data = template.brain.data * (1 + noise).clip(0.5)
    return Scans(template, rendered.image, turned(Volume(data.astype(np.float32), template.brain.affine), SMALL, 30))


SMALL = Rotation.from_euler("xyz", [5, 5, -8], degrees=True).as_matrix()


def turned(scan: Volume, matrix: np.ndarray, shift_mm: float = 0.0) -> Volume:
    """A scan whose header is multiplied by a matrix (3, 3), and moved along x."""
    affine = np.eye(4)
    affine[:3, :3], affine[0, 3] = matrix, shift_mm
    return Volume(scan.data, affine @ scan.affine)


def without_ants(*given, **settings):
    raise AssertionError("ANTs is not needed")


@pytest.fixture(autouse=True)
def no_ants(monkeypatch) -> None:
    monkeypatch.setattr(registration, "estimate_linear", without_ants)


@pytest.mark.parametrize(
    ("stripped", "matrix", "said"),
    [
        (False, HALF_TURN, r"180 degrees about z \(bottom to top\), x, y, z of its affine being -x, -y, z"),
        (True, HALF_TURN, r"180 degrees about z \(bottom to top\), x, y, z of its affine being -x, -y, z"),
        (False, np.diag([1.0, -1, 1]), r"180 degrees about z .* \(or mirrored, x, -y, z, which looks the same\)"),
        (True, np.diag([-1.0, 1, -1]), "180 degrees about y"),
        (True, NOD, r"-90 degrees about x \(left to right\), x, y, z of its affine being x, z, -y"),
    ],
)
def test_a_scan_whose_header_turns_it_is_refused_and_told_how_it_fits(scans, tmp_path, stripped, matrix, said):
    scan = turned(scans.brain if stripped else scans.head, matrix)
    with pytest.raises(InputError, match=rf"^sub-7: t1.nii does not lie as its header says: it fits .* {said}"):
        register(
            scan, scans.target(stripped=stripped), [tmp_path / "a.mat"], kind="AffineFast", seed=0, who="sub-7: t1.nii"
        )
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("stripped", [False, True])
def test_a_scan_whose_header_is_right_fits_best_as_it_is(scans, tmp_path, stripped):
    scan = scans.brain if stripped else scans.head
    for oblique in (np.eye(3), Rotation.from_euler("x", 20, degrees=True).as_matrix()):
        found = register(
            turned(scan, oblique), scans.target(stripped=stripped), [tmp_path / "a.mat"], kind="AffineFast", seed=0
        )
        assert found.starts == 1
        assert found.placement.margin > 0.2


def test_a_scan_said_to_lie_in_the_templates_space_is_refused_when_it_is_turned(scans, tmp_path):
    scan = turned(scans.template.brain, HALF_TURN)
    with pytest.raises(InputError, match="180 degrees about z"):
        register(scan, scans.target(stripped=True), [tmp_path / "a.mat"], kind="none", seed=0)


@pytest.mark.parametrize("level", [0.05, 0.6, 3.0])
def test_a_lesion_of_half_a_hemisphere_is_no_reason_to_doubt_a_registration(scans, tmp_path, level):
    brain = scans.template.brain
    x, y, _ = (np.indices(brain.shape).T @ brain.affine[:3, :3].T + brain.affine[:3, 3]).T
    lesion = (brain.data > 0) & (x > 4) & (y > -20)
    tissue = np.where(lesion, level * np.median(brain.data[brain.data > 0]), brain.data)
    noisy = tissue * np.random.default_rng(0).normal(1, 0.5, brain.shape).clip(0.1)
    scan = Volume(noisy.astype(np.float32), scans.brain.affine)
    found = register(scan, scans.target(stripped=True), [tmp_path / "a.mat"], kind="AffineFast", seed=0)
    assert (found.starts, found.placement.similarity > 0.7) == (1, True)


def test_the_24_turns_of_a_cube_are_rotations_that_begin_with_none():
    found = turns()
    assert len({turn.tobytes() for turn in found}) == 24
    assert all(np.linalg.det(turn) == pytest.approx(1) for turn in found)
    np.testing.assert_array_equal(found[0], np.eye(3))


def test_a_turn_is_said_as_it_is_undone():
    # Points that should be at (x, y, z) are at (x, -z, y): y is to be read from the header's z, z from its -y.
    assert "-90 degrees about x (left to right), x, y, z of its affine being x, z, -y " in describe(
        np.rint(NOD).astype(int)
    )
    assert "120 degrees about the diagonal of" in describe(np.eye(3, dtype=int)[[1, 2, 0]])


def test_the_median_block_decides_and_not_the_lesioned_one():
    template = np.random.default_rng(0).uniform(size=(12, 4, 4))
    scan = 1 - template
    scan[8:] = np.random.default_rng(1).uniform(size=(4, 4, 4))
    everywhere = np.ones(scan.shape, dtype=bool)
    assert local_similarity(1 - template, template, everywhere, 4) > 0.99  # any contrast
    assert local_similarity(scan, template, everywhere, 4) > 0.8  # one block of three holds something else
    assert local_similarity(scan, template, np.arange(12)[:, None, None] + np.zeros((1, 4, 4)) >= 8, 4) < 0.8


REAL = os.environ.get("STFPM3D_REAL_DATA", "")


@pytest.mark.skipif(not REAL, reason="STFPM3D_REAL_DATA names no folder of real scans")
def test_real_scans_are_registered_at_once_and_refused_when_turned(tmp_path):
    fetch_head_template(tmp_path / "head.nii.gz")
    template = build_template(load_volume(tmp_path / "head.nii.gz"), brain_mask(), 2)
    table = pd.read_csv(Path(REAL, "real_t1/participants.tsv"), sep="\t")
    kinds = table.groupby("skull_stripped").head(4)
    for row in kinds.to_dict("records"):
        scan, stripped = load_scan(Path(REAL, "real_t1", row["image"])), bool(row["skull_stripped"])
        target = Target(template.brain if stripped else template.head, template.mask, stripped)
        found = register(scan, target, [tmp_path / "a.mat"], kind="AffineFast", seed=0)
        assert (found.starts, found.placement.margin > 0.2) == (1, True), row["participant_id"]
        with pytest.raises(InputError, match="180 degrees about z"):
            register(turned(scan, HALF_TURN), target, [tmp_path / "b.mat"], kind="AffineFast", seed=0)

"""Quality control of registration: the figures, the outliers and the page."""

import numpy as np
import pandas as pd
import pytest

from stfpm3d.imaging.alignment import flag_outliers, measure_alignment, robust_z
from stfpm3d.imaging.placement import Placement
from stfpm3d.imaging.registration import Registration, write_registration
from stfpm3d.imaging.similarity import correlation_ratio
from stfpm3d.imaging.template import Template
from stfpm3d.imaging.volumes import Volume, save_volume
from stfpm3d.reporting.quality import write_quality

GRID = np.diag([4, 4, 4, 1.0])


@pytest.fixture
def template() -> Template:
    """A head of 20 voxels around a brain of 12, both textured."""
    texture = np.random.default_rng(0).uniform(50, 100, (24, 24, 24)).astype(np.float32)
    head, brain = np.zeros((2, 24, 24, 24), dtype=bool)
    head[2:22, 2:22, 2:22], brain[6:18, 6:18, 6:18] = True, True
    return Template(*(Volume(data, GRID) for data in (texture * head, texture * brain, brain)))


def moved(volume: Volume, voxels: int) -> Volume:
    return Volume(np.roll(volume.data, voxels, axis=2), volume.affine)


def test_the_correlation_ratio_is_worked_out_by_hand():
    # Two bins whose means, 2 and 6, spread by 2; the template's four values spread by the square root of 5.
    assert correlation_ratio(np.array([0, 0, 1, 1]), np.array([1, 3, 5, 7])) == pytest.approx(2 / np.sqrt(5))


def test_the_correlation_ratio_needs_no_linear_relation():
    scan, noise = np.random.default_rng(1).uniform(-1, 1, (2, 100_000))
    assert correlation_ratio(scan, scan**2) > 0.99  # a parabola correlates with nothing
    assert correlation_ratio(scan, noise) < 0.03


def test_a_stripped_scan_is_compared_with_the_mask_by_its_own_brain(template):
    there = measure_alignment(template.brain, template.head, template.mask, skull_stripped=True)
    off = measure_alignment(moved(template.brain, 3), template.head, template.mask, skull_stripped=True)
    assert (there.coverage, there.dice) == (1, 1)
    assert (off.coverage, off.dice) == (9 / 12, 9 / 12)  # of 12 layers 9 are shared
    assert off.correlation_ratio < 0.2 < 0.99 < there.correlation_ratio


def test_a_whole_head_has_no_brain_outline_and_its_field_of_view_is_covered(template):
    cut = template.head.data.copy()
    cut[:, :, 15:] = 0
    figures = measure_alignment(Volume(cut, GRID), template.head, template.mask, skull_stripped=False)
    assert np.isnan(figures.dice)
    assert figures.coverage == 9 / 12


def test_robust_z_counts_what_lies_below_the_median():
    z = robust_z(pd.Series([0.1, 0.4, 0.5, 0.6, 0.9]))
    deviation = 1.4826 * 0.1  # distances from the median, 0.5: 0.4, 0.1, 0, 0.1, 0.4
    np.testing.assert_allclose(z, [0.4 / deviation, 0.1 / deviation, 0, 0, 0])


def test_of_fewer_than_five_scans_none_can_be_told_to_stand_out():
    values = [0.9, 0.9, 0.9, 0.1]
    assert robust_z(pd.Series(values)).isna().all()
    assert robust_z(pd.Series([*values, np.nan])).isna().all()
    assert robust_z(pd.Series([*values, 0.9])).tolist()[3] > 100
    kinds = pd.DataFrame({"correlation_ratio": [*values, *values, 0.9], "coverage": 1.0, "dice": np.nan})
    flagged = flag_outliers(kinds.assign(skull_stripped=[True] * 4 + [False] * 5))
    assert flagged.index[flagged["outlier"]].tolist() == [7] == flagged.index[:1].tolist()
    assert flagged.index[flagged["z"].isna()].tolist() == [0, 1, 2, 3] == flagged.index[-4:].tolist()


def test_outliers_are_sought_within_a_kind_of_scan():
    good, poor = np.linspace(0.5, 0.52, 9), np.linspace(0.3, 0.32, 9)
    figures = pd.DataFrame(
        {
            "correlation_ratio": [*good, *poor, 0.31],
            "coverage": 1.0,
            "skull_stripped": [True] * 9 + [False] * 9 + [True],
        }
    ).assign(dice=np.nan)
    flagged = flag_outliers(figures)
    assert flagged.index[flagged["outlier"]].tolist() == [18]
    assert flagged.index[0] == 18


def page_of(template, folder, kinds, astray=None):
    """The quality page and table of whole heads (False) and stripped scans (True), one of them shifted."""
    rows = []
    for number, stripped in enumerate(kinds):
        noise = np.random.default_rng(number).normal(0, 5, (24, 24, 24)).astype(np.float32)
        data = (template.brain if stripped else template.head).data
        image = Volume(data + noise * (data > 0), GRID)
        save_volume(folder / f"{number}.nii.gz", moved(image, 2) if number == astray else image)
        rows.append({"scan_id": f"sub-{number}", "group": "healthy", "site": "A<B", "skull_stripped": stripped})
        found = Registration(
            Placement(0.9, 0.9, 1.0, 10.0, 2.0, 0.95, 0.4, 0.3, 0.2), "crown", 6 if number == astray else 1
        )
        write_registration(folder / f"{number}.json", found)
    scans = pd.DataFrame(rows).assign(
        image=[folder / f"{number}.nii.gz" for number in range(len(rows))],
        placement=[folder / f"{number}.json" for number in range(len(rows))],
    )
    page_template = "workflow/scripts/stfpm3d/reporting/templates/quality.html.j2"
    page, table, pictures = folder / "index.html", folder / "registration.tsv", folder / "pictures"
    files = {"page": page, "table": table, "pictures": pictures, "report": folder / "report/index.html"}
    write_quality(scans, template, space="MNI", page_template=page_template, **files)
    return page.read_text(encoding="utf-8"), pd.read_csv(table, sep="\t", na_values="n/a")


def test_the_page_lists_the_scan_that_went_astray_first(template, tmp_path):
    text, listed = page_of(template, tmp_path, [False] * 8, astray=5)
    assert listed["scan_id"][0] == "sub-5"
    assert listed["outlier"].tolist() == [True] + [False] * 7
    assert "1 of 8 scans stands out" in text
    assert "1 scan was hard to register" in text
    assert listed[["rotation_deg", "overlap", "start", "starts"]].to_numpy()[0].tolist() == [10, 0.95, "crown", 6]
    assert "A&lt;B" in text
    assert str(tmp_path) not in text
    assert "too few scans of this kind to tell" not in text
    assert text.index('src="pictures/sub-5.png"') < text.index('src="pictures/sub-0.png"')
    assert all((tmp_path / f"pictures/sub-{number}.png").read_bytes().startswith(b"\x89PNG") for number in range(8))


def test_the_page_says_where_there_are_too_few_scans_to_tell(template, tmp_path):
    text, listed = page_of(template, tmp_path, [False] * 5 + [True] * 2)
    assert listed["z"].isna().tolist() == [False] * 5 + [True] * 2
    assert "No scan stands out" in text
    assert text.count("too few scans of this kind to tell") == 2
    assert "Of 2 scans nothing is said" in text
    text, _ = page_of(template, tmp_path, [False, True])
    assert "Too few scans to tell which stand out" in text
    assert "nan" not in text

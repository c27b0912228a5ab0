"""Quality control of registration: a table of figures, a picture of each scan, a page that shows the worst first."""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path

import pandas as pd

from stfpm3d.imaging.alignment import LEAST_DEVIATION, LEAST_SCANS, OUTLIER_Z, flag_outliers, measure_alignment
from stfpm3d.imaging.placement import LIKELY_SIMILARITY, LIMITS
from stfpm3d.imaging.template import Template
from stfpm3d.imaging.volumes import load_volume
from stfpm3d.reporting.figures import BESIDE_MIDLINE_MM, BRAIN_MASK, TEMPLATE, contour_png, picture_size
from stfpm3d.reporting.pages import write_page
from stfpm3d.runtime.files import replacing

MOST_TOLD = 20
"""Of the scans that were hard to register."""

log = logging.getLogger(__name__)


def write_quality(
    scans: pd.DataFrame,
    template: Template,
    *,
    space: str,
    page_template: Path | str,
    page: Path | str,
    table: Path | str,
    pictures: Path,
    report: Path | str,
) -> None:
    """Measure, draw and list registered scans, read one at a time.

    Parameters
    ----------
    scans
        One row a scan: `scan_id`, `group`, `site`, `skull_stripped`, `image` (on the MNI grid) and `placement` (the
        JSON of `imaging.registration.write_registration`).
    template
        What the scans were registered to.
    space
        The template's name.
    page_template
        The page's Jinja2 template.
    page, table
        The files to write.
    pictures
        The folder to write a PNG of each scan to, below the page's.
    report
        The report, to which the page links relative to itself.
    """
    pictures.mkdir(exist_ok=True)
    measured, sizes = [], []
    for number, scan in enumerate(scans.to_dict("records"), start=1):
        image = load_volume(scan["image"], scan["scan_id"])
        stripped = bool(scan["skull_stripped"])
        placement = json.loads(Path(scan["placement"]).read_text(encoding="utf-8"))
        alignment = measure_alignment(image, template.head, template.mask, skull_stripped=stripped)
        measured.append(alignment._asdict() | placement)
        picture = contour_png(image, template.brain if stripped else template.head, template.mask)
        sizes.append(picture_size(picture))
        with replacing(pictures / f"{scan['scan_id']}.png") as temporary:
            temporary.write_bytes(picture)
        log.info("%s (%d of %d)", scan["scan_id"], number, len(scans))
    found = scans.join(pd.DataFrame(measured, index=scans.index))
    widths, heights = zip(*sizes, strict=True)
    figures = flag_outliers(found.assign(width=widths, height=heights))
    for scan in figures[figures["outlier"]].to_dict("records"):
        log.warning("%s stands out (robust z %.1f); look at its picture", scan["scan_id"], scan["z"])
    with replacing(table) as temporary:
        listed = figures.drop(columns=["image", "placement", "width", "height"])
        listed.to_csv(temporary, sep="\t", index=False, na_rep="n/a", float_format="%.4f")
    write_page(
        page,
        page_template,
        report=os.path.relpath(report, Path(page).parent),
        scans=figures.to_dict("records"),
        pictures=pictures.name,
        space=space,
        likely_similarity=LIKELY_SIMILARITY,
        limits=LIMITS,
        colours={"template": TEMPLATE, "brain_mask": BRAIN_MASK},
        outlier_z=OUTLIER_Z,
        least_deviation=LEAST_DEVIATION,
        least_scans=LEAST_SCANS,
        beside_midline_mm=BESIDE_MIDLINE_MM,
        most_told=MOST_TOLD,
    )

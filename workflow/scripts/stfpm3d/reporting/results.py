"""What the report stands on: the tables of all experiments, and the test scans."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import NamedTuple

import pandas as pd

from stfpm3d.reporting.pseudonyms import by_number, pseudonyms, renamed
from stfpm3d.study.cohort import scan_ids

log = logging.getLogger(__name__)


class Results(NamedTuple):
    """Tables of all experiments, which are listed in the tables' order, and of the test scans."""

    metrics: pd.DataFrame
    scores: pd.DataFrame
    curves: pd.DataFrame
    patients: pd.DataFrame
    lesions: pd.DataFrame
    """These five as `evaluation.experiment` makes them."""
    comparisons: pd.DataFrame
    """Each experiment against the reference (`evaluation.comparison`)."""
    registration: pd.DataFrame
    """The table of `quality.write_quality`."""
    scans: pd.DataFrame
    """The test scans: `participant_id` (and `session_id`), `group`, and `image` and `lesion_mask`, paths on the MNI
    grid; a mask may be missing."""
    maps: Mapping[str, pd.DataFrame]
    """Each experiment's maps of the test scans, by `scan_id`: `map`, a path on the MNI grid, and `blocks`, a path of
    block1 to block3 (.npz), or missing."""
    sites: Mapping[str, str]
    """The site of each test scan, by its id."""

    def identified(self, *, anonymous: bool = False) -> Results:
        """With a `scan_id` in each table of scans: their own or a pseudonym; which is whose, the log tells alone."""
        found = self
        if anonymous:
            names = pseudonyms(scan_ids(self.scans).tolist(), self.scans["group"].tolist())
            for scan_id, name in names.items():
                log.info("%s is %s on the page", scan_id, name)
            found = self._replace(
                scores=renamed(self.scores, names),
                patients=renamed(self.patients, names),
                lesions=renamed(self.lesions, names),
                scans=by_number(renamed(self.scans, names)),
                maps={experiment: maps.rename(index=names) for experiment, maps in self.maps.items()},
                sites={names[scan_id]: site for scan_id, site in self.sites.items() if scan_id in names},
            )
        tables = {name: getattr(found, name) for name in ("scores", "patients", "lesions", "scans")}
        return found._replace(**{name: table.assign(scan_id=scan_ids(table)) for name, table in tables.items()})

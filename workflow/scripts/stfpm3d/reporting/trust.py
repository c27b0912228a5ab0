"""Whether an image score can be trusted: what the probes of the shortcut say, in words."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
import pandas as pd

from stfpm3d.probes.regions import MIN_SUBJECTS
from stfpm3d.probes.separation import ALPHA, FIRES_FROM, fires
from stfpm3d.reporting.findings import Findings, listed, number, p_equals, percent

SITE_FACTOR = 5
"""A site's false-positive rate this many times the nominal one is worth a warning."""
UNPROBED = "It also rises when the groups come from different scanners, sites or preparation."


class Verdict(NamedTuple):
    """Whether an experiment's image AUROC is evidence of lesion detection."""

    level: Literal["warning", "fine", "unknown"]
    sentences: list[str]
    """The verdict with its figures first, then what stands beside it."""


class Probe(NamedTuple):
    """One probe that may fire: what it looks at, its AUROC and p, and the subjects behind them."""

    what: str
    auroc: float
    p: float
    n_healthy: int
    n_patient: int

    @property
    def figures(self) -> str:
        """What it looks at, with its figures."""
        return f"{self.what} (AUROC {number(self.auroc)}, {p_equals(self.p)})"


def verdict(metrics: pd.DataFrame, experiment: str) -> Verdict:
    """Judge an experiment's image AUROC by the probes.

    It is a warning when any of them fires, unknown when one that keeps silence could not be measured, else fine.

    Parameters
    ----------
    metrics
        The metrics table of all experiments; its protocol `probes` may be missing.
    experiment
        Name of an experiment with scores.
    """
    strict, probed = Findings(metrics), Findings(metrics, "probes")
    image_auroc = f"Image AUROC {number(strict.value(experiment, 'image_auroc'))}"
    probes = _probes(probed, experiment)
    fired = [probe.figures for probe in probes if fires(probe.auroc, probe.p)]
    silent = [probe.figures for probe in probes if not np.isnan(probe.auroc) and probe.figures not in fired]
    beside = [text] if (text := _evidence(strict, probed, experiment)) else []
    if fired:
        text = (
            f"{image_auroc} on this cohort is not evidence of lesion detection: patients are told from healthy scans"
            f" by {listed(fired)} as well. Scanner, site or preparation can be the cause; mass effect and atrophy"
            " remain possible."
        )
        return Verdict("warning", [text, *beside])
    if not probes:
        text = f"{image_auroc}: whether it is evidence of lesion detection was not measured. {UNPROBED}"
        return Verdict("unknown", [text, *beside])
    if len(silent) < len(probes):
        few = next(probe for probe in probes if np.isnan(probe.auroc))
        text = (
            f"{image_auroc}: too few to tell whether it is evidence of lesion detection (fewer than {MIN_SUBJECTS}"
            f" subjects in a group: {few.n_healthy} healthy, {few.n_patient} patients with a lesion mask). {UNPROBED}"
        )
        also = f" What could be checked keeps silent: {listed(silent)}." if silent else ""
        return Verdict("unknown", [text + also, *beside])
    text = (
        f"{image_auroc} passes the check for a shortcut: patients are not told from healthy scans where no lesion is to"
        f" be seen, by {listed(silent)}; none reaches {FIRES_FROM:.2f} with p < {ALPHA:g}."
    )
    return Verdict("fine", [text, *beside])


def site_warning(metrics: pd.DataFrame, experiment: str, healthy_quantile: float) -> str | None:
    """What to say when the threshold of the other sites fails at one; None where it holds or there is one site."""
    found = Findings(metrics, "probes")
    nominal = 1 - healthy_quantile
    if experiment not in found.with_metric("probe_site_fpr"):
        return None
    rate = found.value(experiment, "probe_site_fpr")
    if not rate >= SITE_FACTOR * nominal:
        return None
    return (
        f"The threshold does not hold at every site: at the worst one {percent(rate)} of the healthy test scans' brain "
        f"lies above the threshold that the other sites' scans set, {rate / nominal:.0f} times the {percent(nominal)} "
        "that it stands for."
    )


def _probes(found: Findings, experiment: str) -> list[Probe]:
    """The probes that may fire, in the order of the page; none where they are switched off."""
    place = "from the place of a lesion that healthy tissue has replaced"
    known = {
        ("histogram", "probe_histogram"): "histograms of intensity with the lesions left out",
        (experiment, "probe_removed_6mm"): f"this map's maximum farther than 6 mm {place}",
        (experiment, "probe_removed_30mm"): f"this map's maximum farther than 30 mm {place}",
    }
    return [
        Probe(
            what,
            auroc=found.value(name, metric),
            p=found.value(name, f"{metric}_p"),
            n_healthy=found.count(name, metric, "healthy"),
            n_patient=found.count(name, metric, "patient"),
        )
        for (name, metric), what in known.items()
        if name in found.with_metric(metric)
    ]


def _evidence(strict: Findings, probed: Findings, experiment: str) -> str:
    """What speaks for the detection of lesions, whatever the groups differ in; empty where nothing is known."""

    def value(found: Findings, metric: str) -> float:
        return found.value(experiment, metric) if experiment in found.with_metric(metric) else np.nan

    control = number(value(probed, "probe_slices_control"))
    figures = {
        f"slices with lesion against the others {{}} (healthy scans in these slices {control})": value(
            probed, "probe_slices"
        ),
        "the lesion against its mirrored place {}": value(probed, "probe_mirror"),
        "healthy scans with a synthetic lesion against themselves {}": value(strict, "synthetic_auroc_paired"),
    }
    known = [text.format(number(auroc)) for text, auroc in figures.items() if not np.isnan(auroc)]
    return f"AUROCs within scans, where no difference between sites helps: {listed(known)}." if known else ""

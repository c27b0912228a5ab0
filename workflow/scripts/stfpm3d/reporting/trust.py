"""Whether an image score can be trusted: what the probes of the shortcut say, in words."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
import pandas as pd

from stfpm3d.evaluation.probes import ALPHA, FIRES_FROM, fires
from stfpm3d.reporting.findings import Findings, number, p_value, percent
from stfpm3d.study.regions import MIN_SUBJECTS

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
        p = p_value(self.p)
        return f"{self.what} (AUROC {number(self.auroc)}, p {p if p.startswith('<') else f'= {p}'})"


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
    image_auroc = f"Image AUROC {number(Findings(metrics).value(experiment, 'image_auroc'))}"
    probes = _probes(Findings(metrics, "probes"), experiment)
    fired = [probe for probe in probes if fires(probe.auroc, probe.p)]
    silent = [probe for probe in probes if not np.isnan(probe.auroc) and probe not in fired]
    beside = [text] if (text := _evidence(metrics, experiment)) else []
    if fired:
        telling = _listed([probe.figures for probe in fired])
        first = (
            f"{image_auroc} on this cohort is not evidence of lesion detection: patients are told from healthy scans by "
            f"{telling} as well. Scanner, site or preparation can be the cause; mass effect and atrophy remain possible."
        )
        return Verdict("warning", [first, *beside])
    if not probes:
        first = f"{image_auroc}: whether it is evidence of lesion detection was not measured. {UNPROBED}"
        return Verdict("unknown", [first, *beside])
    if len(silent) < len(probes):
        few = next(probe for probe in probes if np.isnan(probe.auroc))
        first = (
            f"{image_auroc}: whether it is evidence of lesion detection, there are too few to tell (fewer than "
            f"{MIN_SUBJECTS} subjects in a group: {few.n_healthy} healthy, {few.n_patient} patients with a lesion mask). "
            f"{UNPROBED}"
        )
        if silent:
            first += f" What could be checked keeps silent: {_listed([probe.figures for probe in silent])}."
        return Verdict("unknown", [first, *beside])
    first = (
        f"{image_auroc} passes the check for a shortcut: patients are not told from healthy scans where no lesion is to "
        f"be seen, by {_listed([probe.figures for probe in silent])}; none reaches {FIRES_FROM:.2f} with p < {ALPHA:g}."
    )
    return Verdict("fine", [first, *beside])


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
            *(found.value(name, row) for row in (metric, f"{metric}_p")),
            *(found.count(name, metric, group) for group in ("healthy", "patient")),
        )
        for (name, metric), what in known.items()
        if name in found.with_metric(metric)
    ]


def _evidence(metrics: pd.DataFrame, experiment: str) -> str:
    """What speaks for the detection of lesions, whatever the groups differ in; empty where nothing is known."""

    def value(protocol: str, metric: str) -> float:
        found = Findings(metrics, protocol)
        return found.value(experiment, metric) if experiment in found.with_metric(metric) else np.nan

    control = number(value("probes", "probe_slices_control"))
    figures = {
        "slices with lesion against the others {} (healthy scans in the same slices " + control + ")": value(
            "probes", "probe_slices"
        ),
        "the lesion against its mirrored place {}": value("probes", "probe_mirror"),
        "healthy scans with a synthetic lesion against themselves without it {}": value(
            "strict", "synthetic_auroc_paired"
        ),
    }
    known = [text.format(number(figure)) for text, figure in figures.items() if not np.isnan(figure)]
    return f"AUROCs that neither site nor scanner can raise: {_listed(known)}." if known else ""


def _listed(parts: list[str]) -> str:
    """Parts of a sentence as a list in words."""
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"

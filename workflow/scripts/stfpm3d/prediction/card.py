"""The model card of a bundle: in plain words what it was trained on, how well it does, and what it is not for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from stfpm3d.prediction.likeness import contrast_limits
from stfpm3d.runtime.files import replacing

MEASURED = {
    "voxel_auprc": "voxel AUPRC: average precision over the brain voxels of patients",
    "prevalence": "share of lesion among these voxels, which is chance's voxel AUPRC",
    "image_auroc": "image AUROC: patients against healthy scans by their score",
    "dice": "Dice at the threshold, mean over patients",
    "lesion_recall": "share of the lesions that are found at the threshold",
    "lesion_precision": "share of the findings in patients that are lesions",
    "healthy_fp_ml": "ml above the threshold in a healthy scan, mean",
}
"""The metrics of the strict protocol that the card names."""


def write_card(
    output: Path | str,
    template: Path | str,
    *,
    settings: Mapping[str, Any],
    participants: Sequence[Mapping[str, Any]],
    metrics: pd.DataFrame,
    threshold: float,
    least_likeness: float,
    notes: str,
    development: bool,
) -> None:
    """Write the card (Markdown) from its template.

    Parameters
    ----------
    settings
        As `contents.bundled_settings`.
    participants
        One entry a scan: `group`, `site` and `split`.
    metrics
        The metrics table, of this experiment and of its probes.
    threshold
        The headline's.
    least_likeness
        Of the validation scans.
    notes
        Markdown that becomes a section of the card; "" for none.
    development
        Whether the test scans had a say in how the method was made: they are then called development scans.
    """
    scans = pd.DataFrame(list(participants))
    counts = pd.crosstab(scans["split"], scans["group"]).reindex(["train", "val", "test"], fill_value=0)
    own = metrics[metrics["experiment"] == settings["experiment"]]
    test = own[(own["split"] == "test") & own["value"].notna()]
    strict = test[test["protocol"] == "strict"].set_index("metric")
    environment = Environment(
        loader=FileSystemLoader(Path(template).parent), undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )  # Markdown: nothing is escaped
    text = environment.get_template(Path(template).name).render(
        settings=settings,
        counts={part: dict(row) for part, row in counts.iterrows()},
        sites=sorted(scans["site"].unique()),
        threshold=f"{threshold:.4g}",
        least_likeness=least_likeness,
        limits=contrast_limits(least_likeness),
        notes=notes,
        development=development,
        metrics=[(text, _interval(strict.loc[name])) for name, text in MEASURED.items() if name in strict.index],
        probes=[(row["metric"], _interval(row)) for row in test[test["protocol"] == "probes"].to_dict("records")],
    )
    with replacing(output) as temporary:
        temporary.write_text(text, encoding="utf-8")


def _interval(row: Any) -> str:
    """A value with its 95 % interval and the scans behind it."""
    ends = "" if pd.isna(row["ci_low"]) else f" ({row['ci_low']:.3g} to {row['ci_high']:.3g})"
    return f"{row['value']:.3g}{ends}, {row['n_patient']:.0f} patients, {row['n_healthy']:.0f} healthy scans"

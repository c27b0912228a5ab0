"""A bundle is made of what a run has trained, fitted and measured."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import yaml

from stfpm3d.imaging.volumes import load_mask, load_volume
from stfpm3d.prediction.bundle import write_bundle
from stfpm3d.prediction.card import write_card
from stfpm3d.prediction.likeness import likeness, read_healthy_mean
from stfpm3d.prediction.record import record_of
from stfpm3d.prediction.slimming import slimmed
from stfpm3d.runtime.errors import InputError
from stfpm3d.runtime.files import replacing


def make_bundle(
    folder: Path | str,
    files: Mapping[str, str],
    *,
    validation: Sequence[tuple[str, str]],
    scores: pd.DataFrame,
    metrics: pd.DataFrame,
    settings: Mapping[str, Any],
    config: Mapping[str, Any],
    participants: Sequence[Mapping[str, Any]],
    made_by: Mapping[str, Any],
    card_template: Path | str,
    notes: Path | str | None = None,
    development: bool = False,
) -> None:
    """Write an experiment's bundle.

    Parameters
    ----------
    folder
        What else it holds is removed.
    files, settings, config
        As `contents.bundled_files`, `bundled_settings` and `published_config` name them.
    validation
        Standardized image and support of each validation scan (MNI grid).
    scores
        The experiment's score of each scan, with `group` and `split`.
    metrics
        The table of all metrics.
    participants
        `group`, `site` and `split` of each scan.
    made_by
        Versions of the packages, and the digest of the code.
    card_template
        Of the model card.
    notes
        A Markdown file that becomes a section of the card.
    development
        Whether the test scans had a say in how the method was made.

    Raises
    ------
    InputError
        When no healthy validation scan sets a threshold.
    """
    threshold = _threshold(metrics, settings["experiment"])
    healthy = scores[(scores["split"] == "val") & (scores["group"] == "healthy")]["score"]
    with tempfile.TemporaryDirectory() as scratch:
        given = {**files, **slimmed(files, settings, Path(scratch))}
        mean = read_healthy_mean(given["statistics"])
        likenesses = [likeness(load_volume(image), load_mask(support), mean) for image, support in validation]
        description = {
            **settings,
            "threshold": threshold,
            "validation": {
                "scores": [float(score) for score in np.sort(healthy.dropna())],
                "least_likeness": min(likenesses),
            },
            "record": record_of(metrics, settings["experiment"]),
            "made_by": made_by,
        }
        card, config_file = Path(scratch, "MODEL_CARD.md"), Path(scratch, "config.yaml")
        write_card(
            card,
            card_template,
            settings=settings,
            participants=participants,
            metrics=metrics,
            threshold=threshold,
            least_likeness=min(likenesses),
            notes=Path(notes).read_text(encoding="utf-8").strip() if notes else "",
            development=development,
        )
        with replacing(config_file) as temporary:
            temporary.write_text(yaml.safe_dump(dict(config), sort_keys=False), encoding="utf-8")
        write_bundle(folder, {**given, "MODEL_CARD": card, "config": config_file}, description)


def _threshold(metrics: pd.DataFrame, experiment: str) -> float:
    """The headline threshold of the strict protocol."""
    keys = {"experiment": experiment, "protocol": "strict", "split": "val", "metric": "threshold"}
    values = metrics.loc[(metrics[list(keys)] == pd.Series(keys)).all(axis=1), "value"].dropna()
    if values.empty:
        raise InputError(
            f"experiment {experiment!r} has no threshold, which healthy validation scans set; add some, and make the"
            " bundle again."
        )
    return float(values.iloc[0])

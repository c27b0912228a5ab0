"""95 % bootstrap intervals: subjects are drawn with replacement, patients and healthy subjects separately.

An interval says how far a number would move with other test subjects. It says nothing of another training: seeds are
shown apart.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

DRAWS = 2000
CHUNK = 100  # draws that are computed at once
TAILS = (0.025, 0.975)

Weights = NDArray[np.float64]


class Estimate(NamedTuple):
    """A number and the ends of its 95 % interval; NaN where the scans do not allow it."""

    value: float
    ci_low: float = np.nan
    ci_high: float = np.nan


def drawn_weights(subjects: Sequence[str], rng: np.random.Generator, draws: int) -> Weights:
    """How often each scan stands in each draw (draws, scans), given its subject; a subject's scans come together."""
    names, index = np.unique(subjects, return_inverse=True)
    return rng.multinomial(len(names), np.full(len(names), 1 / len(names)), size=draws)[:, index].astype(float)


def interval(
    statistic: Callable[..., NDArray[np.float64]], *groups: Sequence[str], seed: int = 0, draws: int = DRAWS
) -> tuple[float, float]:
    """Percentile bootstrap of a statistic (Efron & Tibshirani 1993, chapter 13).

    Parameters
    ----------
    statistic
        Takes the weights (draws, scans) of each group and returns its value in each draw, NaN where it has none.
    groups
        The subject of each scan, for every group that is resampled by itself.

    Returns
    -------
    The 2.5th and 97.5th percentile; NaN when a group has fewer than two subjects, or no draw has a value.
    """
    if any(len(set(subjects)) < 2 for subjects in groups):
        return np.nan, np.nan
    rng = np.random.default_rng(seed)
    weights = [drawn_weights(subjects, rng, draws) for subjects in groups]
    chunks = (slice(start, start + CHUNK) for start in range(0, draws, CHUNK))
    with np.errstate(invalid="ignore"):  # a draw without lesions or components: 0 / 0
        values = np.concatenate([statistic(*(of_group[chunk] for of_group in weights)) for chunk in chunks])
    known = values[~np.isnan(values)]
    low, high = np.quantile(known, TAILS) if known.size else (np.nan, np.nan)
    return float(low), float(high)


def ratio_estimate(numerators: ArrayLike, denominators: ArrayLike, subjects: Sequence[str]) -> Estimate:
    """A sum over scans divided by another; NaN when the second is zero."""
    above, below = np.asarray(numerators, dtype=float), np.asarray(denominators, dtype=float)
    value = above.sum() / below.sum() if below.sum() else np.nan
    return Estimate(float(value), *interval(lambda weights: (weights @ above) / (weights @ below), subjects))


def mean_estimate(values: ArrayLike, subjects: Sequence[str]) -> Estimate:
    """The mean over scans; NaN when there is none."""
    return ratio_estimate(values, np.ones(len(subjects)), subjects)

"""Numbers that have no scale of their own: values of maps, thresholds, scores and losses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


def significant(value: float, digits: int = 3) -> float:
    """A number rounded to so many significant digits, whatever its magnitude; 0, NaN and infinities stay.

    A map's values may be millionths or thousands: rounded to fixed decimals the small ones would all be 0.
    """
    return float(f"{value:.{digits - 1}e}")


def rounded(table: pd.DataFrame, no_scale: Sequence[str], digits: int = 4) -> pd.DataFrame:
    """The table with so many significant digits in the columns that have no scale, and decimals in the others."""
    kept = {name: [significant(value, digits) for value in table[name]] for name in no_scale}
    return table.round(digits).assign(**kept)

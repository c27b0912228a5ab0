"""Numbers that have no scale of their own: values of maps, thresholds, scores and losses."""

from __future__ import annotations


def significant(value: float, digits: int = 3) -> float:
    """A number rounded to so many significant digits, whatever its magnitude; 0, NaN and infinities stay.

    A map's values may be millionths or thousands: rounded to fixed decimals the small ones would all be 0.
    """
    return float(f"{value:.{digits - 1}e}")

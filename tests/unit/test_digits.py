"""What has no scale keeps its significant digits."""

from math import isnan, nan

import pandas as pd
import pytest

from stfpm3d.runtime.digits import rounded, significant


@pytest.mark.parametrize(
    ("value", "digits", "expected"),
    [
        (1.25e-4, 3, 1.25e-4),
        (8.0449e-6, 3, 8.04e-6),
        (-0.000123456, 4, -0.0001235),
        (123456.0, 3, 123000.0),
        (0.0, 3, 0.0),
    ],
)
def test_small_and_large_numbers_keep_as_many_digits(value: float, digits: int, expected: float) -> None:
    assert significant(value, digits) == expected


def test_what_is_missing_stays_missing() -> None:
    assert isnan(significant(nan))


def test_in_a_table_only_what_has_a_scale_is_rounded_to_decimals() -> None:
    table = pd.DataFrame({"peak": [1.25e-4, nan], "volume_ml": [0.000049, 12.34567], "side": ["left", "right"]})
    expected = pd.DataFrame({"peak": [1.25e-4, nan], "volume_ml": [0.0, 12.3457], "side": ["left", "right"]})
    pd.testing.assert_frame_equal(rounded(table, ["peak"]), expected)

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from stfpm3d.maps.separable import gaussian


@pytest.mark.parametrize("mode", ["reflect", "constant"])
def test_a_gaussian_by_matrices_is_ndimages(mode) -> None:
    values = np.random.default_rng(0).normal(size=(2, 9, 12, 20)).astype(np.float32)
    sigma = (1.0, 0.4, 6.0)  # the last wider than its axis is long
    expected = ndimage.gaussian_filter(values, sigma, mode=mode, axes=(1, 2, 3))
    np.testing.assert_allclose(gaussian(values, sigma, mode=mode), expected, atol=1e-6)

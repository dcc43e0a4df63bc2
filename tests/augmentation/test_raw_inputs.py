"""A change of standardised inputs in raw units."""

import numpy as np
from toy_data import pictures, vectors

from mtbkd.augmentation.raw_inputs import in_raw_layout, raw_deviation


def test_the_deviations_that_the_inputs_were_divided_by():
    np.testing.assert_allclose(raw_deviation(vectors()), [3.0, 0.5], rtol=1e-5)
    np.testing.assert_allclose(raw_deviation(pictures(channels=3)), [50.0] * 3, rtol=1e-5)
    np.testing.assert_allclose(raw_deviation(pictures(flat=True)), 50.0, rtol=1e-5)


def test_channels_come_last_in_raw_pictures():
    data = pictures(channels=3)
    found = in_raw_layout(data.pool.x, data.pool.raw)
    np.testing.assert_allclose(found * 50 + 100, data.pool.raw, atol=1e-3)

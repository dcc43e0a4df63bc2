"""The made table of a rare class: its counts, its moments as stated, its splits."""

import numpy as np
import pytest

from mtbkd.data.imbalanced import ImbalancedConfig, load, table
from mtbkd.errors import InputError


def test_sizes_and_shares_of_the_default():
    data = load(ImbalancedConfig(), 0)
    assert [len(rows) for rows in data.splits.values()] == [2500, 1000, 1500]
    assert [int((y == 1).sum()) for y in (data.teacher_y, data.validation.y, data.test.y)] == [50, 20, 30]
    assert (data.pool.y >= 0).sum() == 500
    assert (data.pool.y == 1).sum() == 10
    np.testing.assert_allclose(data.pool.x.mean(0), np.zeros(10), atol=1e-5)
    np.testing.assert_allclose(data.pool.x.std(0, correction=0), np.ones(10), atol=1e-5)


def test_the_kinds_have_the_stated_means_and_spreads():
    x, y = table(ImbalancedConfig(rows=60_000, rare_fraction=0.5, shift=4.0), 3)
    assert (y == 1).sum() == 30_000
    ordinary, rare = x[y == 0], x[y == 1]
    np.testing.assert_allclose(ordinary.mean(0), np.zeros(10), atol=0.03)  # 5 standard errors
    np.testing.assert_allclose(ordinary.std(0), np.ones(10), atol=0.02)
    first = rare[rare[:, :3].sum(1) > 6]  # sums 12 +- 1.7 and 0 +- .9
    second = rare[rare[:, :3].sum(1) <= 6]
    assert abs(len(first) - 15_000) < 20
    np.testing.assert_allclose(first.mean(0), [4, 4, 4, 0, 0, 0, 0, 0, 0, 0], atol=0.05)
    np.testing.assert_allclose(first.std(0)[3:], np.ones(7), atol=0.03)
    np.testing.assert_allclose(second.mean(0), [0, 0, 0, -4, -4, 4, 0, 0, 0, 0], atol=0.03)
    np.testing.assert_allclose(second.std(0), np.full(10, 0.5), atol=0.02)


def test_the_seed_decides_and_rows_are_shuffled():
    config = ImbalancedConfig(rows=400, rare_fraction=0.1)
    (x, y), (again, _), (other, _) = table(config, 1), table(config, 1), table(config, 2)
    assert np.array_equal(x, again)
    assert not np.array_equal(x, other)
    assert y[:40].sum() < 40


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"features": 5}, r"data\.features is 5"),
        ({"rows": 40, "rare_fraction": 0.02}, "a class with fewer than two rows"),
        ({"shift": -1.0}, r"data\.shift is -1"),
    ],
)
def test_bad_values_are_named(settings, message):
    with pytest.raises(InputError, match=message):
        ImbalancedConfig(**settings)

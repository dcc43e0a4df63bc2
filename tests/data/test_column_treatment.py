"""Treatment of columns: by hand, and by what a rotation must keep."""

import numpy as np
import pytest

from mtbkd.data.column_treatment import Block, balance, rotate

POOL = np.array([0, 1, 2, 3])


def test_balance_by_hand():
    # In the pool: mean 2, deviation 1; mean 0, deviation 10; constant.
    x = np.array([[1, 10, 5], [3, -10, 5], [1, 10, 5], [3, -10, 5], [7, -5, 6.0]])
    found = balance(x, POOL, (Block("first", 1), Block("others", 2, 0.5)), limit=2.0)
    expected = [[-1, 0.5, 0], [1, -0.5, 0], [-1, 0.5, 0], [1, -0.5, 0], [2, -0.25, 0]]
    np.testing.assert_allclose(found, expected, atol=1e-7)
    assert found.dtype == np.float32


@pytest.fixture
def correlated():
    """Nine rows of five columns, the pool's first four of which span fewer than five axes."""
    rng = np.random.default_rng(0)
    return rng.normal(size=(9, 5)) @ rng.normal(size=(5, 5)) + 3


def test_a_rotation_keeps_every_distance(correlated):
    turned = rotate(correlated, POOL)
    assert turned.shape == (9, 5)

    def distances(x):
        return np.linalg.norm(x[:, None] - x[None], axis=-1)

    np.testing.assert_allclose(distances(turned), distances(correlated), rtol=1e-5, atol=1e-5)


def test_a_rotated_pool_is_centred_and_uncorrelated_with_falling_variances(correlated):
    inside = rotate(correlated, POOL)[POOL].astype(np.float64)
    np.testing.assert_allclose(inside.mean(0), 0, atol=1e-5)
    covariance = inside.T @ inside
    np.testing.assert_allclose(covariance, np.diag(np.diag(covariance)), atol=1e-4)
    assert (np.diff(np.diag(covariance)) <= 1e-5).all()
    expected = np.linalg.svd(correlated[POOL] - correlated[POOL].mean(0), compute_uv=False) ** 2
    np.testing.assert_allclose(np.diag(covariance)[:4], expected, rtol=1e-4, atol=1e-5)


def test_rows_outside_the_pool_do_not_move_it(correlated):
    other = correlated.copy()
    other[4:] += 100
    assert np.array_equal(rotate(correlated, POOL)[POOL], rotate(other, POOL)[POOL])
    blocks = (Block("all", 5),)
    assert np.array_equal(balance(correlated, POOL, blocks, 3)[POOL], balance(other, POOL, blocks, 3)[POOL])


def test_the_sign_of_an_axis_is_settled():
    # The only axis with variance is (-1, -2) / sqrt(5) or its opposite; its largest entry is made positive.
    turned = rotate(np.array([[0.0, 0.0], [1.0, 2.0]]), np.array([0, 1]))
    np.testing.assert_allclose(turned[:, 0], [-np.sqrt(5) / 2, np.sqrt(5) / 2], rtol=1e-6)

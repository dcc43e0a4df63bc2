import numpy as np
import pytest

from mtbkd.errors import InputError
from mtbkd.evaluation.nested_rhat import nested_rhat


def test_by_hand():
    # superchain 0: chains (0, 2), (2, 4): means 1, 3; superchain 1: (4, 8), (6, 6): means 6, 6
    x = np.array([[0.0, 2], [2, 4], [4, 8], [6, 6]])
    # B: of means 2, 6: 8. W: (2 + (2 + 2) / 2 + 0 + (8 + 0) / 2) / 2 = 4
    assert nested_rhat(x, 2) == pytest.approx(np.sqrt(1 + 8 / 4))


def test_single_draws_and_single_chains_by_hand():
    # one draw a chain: variances within chains are 0. Superchain means 1, 6; variances of chains 2, 8
    assert nested_rhat(np.array([[0.0], [2], [4], [8]]), 2) == pytest.approx(np.sqrt(1 + 12.5 / 5))
    # one chain a superchain: R-hat without its factor (n - 1) / n. Means 1, 6; variances of draws 2, 8
    assert nested_rhat(np.array([[0.0, 2], [4, 8]]), 2) == pytest.approx(np.sqrt(1 + 12.5 / 5))


def test_it_does_not_see_the_spread_between_chains_of_one_start():
    # chains that each stay where they are, the same places from each start: B is 0
    x = np.array([[0.0, 1], [5, 6], [0, 1], [5, 6]])
    assert nested_rhat(x, 2) == 1
    assert nested_rhat(x, 4) > 3


@pytest.mark.parametrize(("m", "n", "excess"), [(64, 1, 1 / 64), (16, 4, 1 / 80), (4, 16, 1 / 68)])
def test_converged_chains_are_at_their_expected_excess(m, n, excess):
    # B is 1 / (M n); W is 1 of one draw a chain, else 1 + 1 / n, as the chains' means vary too. Of 500 quantities and
    # 10 superchains the mean of B is known to sqrt(2 / 9 / 500) = 2 %
    x = np.random.default_rng(0).standard_normal((10 * m, n, 500))
    assert (np.square(nested_rhat(x, 10)) - 1).mean() == pytest.approx(excess, rel=4 * 0.021)


def test_shapes_and_what_is_undefined():
    x = np.random.default_rng(0).standard_normal((4, 3, 2, 5))
    x[..., 1, 1] = 7.0
    found = nested_rhat(x, 2)
    assert found.shape == (2, 5)
    assert np.isnan(found).sum() == 1
    assert np.isnan(nested_rhat(x, 1)).all()
    assert np.isnan(nested_rhat(x[:, :1], 4)).all()
    assert np.isinf(nested_rhat(np.repeat([[1.0], [1], [2], [2]], 3, axis=1), 2))


@pytest.mark.parametrize("k", [0, 3, 5])
def test_superchains_of_unequal_size_are_refused(k):
    with pytest.raises(InputError, match="divisor of 4"):
        nested_rhat(np.ones((4, 10)), k)


def test_draws_without_chains_are_refused():
    with pytest.raises(InputError, match="chains and draws first"):
        nested_rhat(np.ones(4), 2)

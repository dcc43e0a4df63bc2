import numpy as np
import pytest

from mtbkd.comparison.pareto import pareto_front


def by_brute_force(cost, loss):
    points = np.column_stack([cost, loss])
    dominated = [((points <= one).all(1) & (points < one).any(1)).any() for one in points]
    return {i for i, beaten in enumerate(dominated) if not beaten}


@pytest.mark.parametrize("seed", range(20))
def test_the_front_is_what_nothing_dominates(seed):
    rng = np.random.default_rng(seed)
    # Whole numbers: ties in one and in both.
    cost, loss = rng.integers(0, 6, (2, 15)).astype(float)
    front = pareto_front(cost, loss)
    assert set(front) == by_brute_force(cost, loss)
    assert len(front) == len(set(front))
    assert list(cost[front]) == sorted(cost[front])


def test_by_hand():
    # Cheap and bad, dear and good, and one that the second beats in both.
    assert pareto_front([1, 2, 3], [0.9, 0.1, 0.2]) == [0, 1]
    assert pareto_front([1, 1], [0.5, 0.4]) == [1]
    assert pareto_front([5], [7]) == [0]


def test_what_is_not_finite_is_never_on_it():
    assert pareto_front([1, 2, np.nan], [np.inf, 0.5, 0.1]) == [1]
    assert pareto_front([np.nan], [1.0]) == []

import itertools

import numpy as np
import pytest

from mtbkd.errors import InputError
from mtbkd.evaluation.selective import accuracy_at_coverage, aurc, excess_aurc, risk_coverage


def test_aurc_by_hand():
    confidence, correct = [0.9, 0.8, 0.7, 0.6], [True, False, True, False]
    coverage, risk = risk_coverage(confidence, correct)
    assert coverage.tolist() == [0.25, 0.5, 0.75, 1]
    assert risk.tolist() == pytest.approx([0, 1 / 2, 1 / 3, 2 / 4])
    assert aurc(confidence, correct) == pytest.approx((1 / 2 + 1 / 3 + 1 / 2) / 4)


def test_ties_are_averaged_over_all_their_orders():
    confidence = np.array([0.9, 0.5, 0.5, 0.5, 0.2])
    correct = np.array([True, True, False, True, False])
    middle = [1, 2, 3]
    by_order = []
    for order in itertools.permutations(middle):
        error = 1.0 - correct[[0, *order, 4]]
        by_order.append((np.cumsum(error) / np.arange(1, 6)).mean())
    assert aurc(confidence, correct) == pytest.approx(np.mean(by_order))
    assert aurc(confidence[::-1], correct[::-1]) == pytest.approx(np.mean(by_order))


def test_constant_confidence_has_the_error_rate_as_its_aurc():
    correct = np.arange(50) % 5 != 0
    assert aurc(np.ones(50), correct) == pytest.approx(0.2)


def test_excess_is_0_for_the_perfect_ranking():
    assert excess_aurc([0.9, 0.8, 0.2, 0.1], [True, True, False, False]) == pytest.approx(0)
    # Oracle with 2 errors of 4: risks 0, 0, 1/3, 1/2.
    assert aurc([0.9, 0.8, 0.2, 0.1], [True, True, False, False]) == pytest.approx((1 / 3 + 1 / 2) / 4)
    assert excess_aurc([0.1, 0.2, 0.8, 0.9], [True, True, False, False]) > 0.4


@pytest.mark.parametrize(("coverage", "kept"), [(0.7, 7), (0.8, 8), (0.75, 8), (1.0, 10), (0.01, 1)])
def test_accuracy_at_coverage_keeps_at_least_that_share(coverage, kept):
    correct = np.array([True] * 6 + [False] * 4)
    expected = min(6, kept) / kept
    assert accuracy_at_coverage(-np.arange(10), correct, coverage) == pytest.approx(expected)


@pytest.mark.parametrize("coverage", [0, 1.5, float("nan")])
def test_bad_coverage_is_refused(coverage):
    with pytest.raises(InputError, match="coverage"):
        accuracy_at_coverage([0.5], [True], coverage)

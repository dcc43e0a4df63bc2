"""t intervals and paired differences against scipy and by hand."""

import math

import numpy as np
import pytest
from scipy import stats

from mtbkd.t_interval import Interval, paired_interval, shown, t_interval


def test_the_interval_is_students():
    values = [0.9, 0.92, 0.97, 0.95]
    low, high = stats.t.interval(0.95, 3, np.mean(values), stats.sem(values))
    found = t_interval(values)
    assert (found.low, found.high) == pytest.approx((low, high))
    # By hand: t of one degree of freedom at .975 is 12.7062, the standard error of 1 and 2 is 1/2.
    two = t_interval([1.0, 2.0])
    assert (two.mean, two.half) == pytest.approx((1.5, 6.3531), rel=1e-4)


def test_it_holds_the_mean_as_often_as_it_says():
    drawn = np.random.default_rng(0).normal(3.0, 2.0, (2000, 5))
    inside = [abs(one.mean - 3) <= one.half for one in map(t_interval, drawn)]
    assert np.mean(inside) == pytest.approx(0.95, abs=0.015)  # three standard errors


def test_few_and_missing_values():
    one = t_interval([0.5])
    assert (one.mean, one.count, one.excludes_zero) == (0.5, 1, False)
    assert math.isnan(one.half)
    assert math.isinf(t_interval([0.5, None]).mean)
    assert math.isinf(t_interval([0.5, math.inf]).mean)
    assert not t_interval([0.5, math.inf]).excludes_zero
    assert math.isnan(t_interval([]).mean)


def test_equal_values_prove_nothing():
    for values in ([0.5, 0.5], [0.975 - 0.95, 0.95 - 0.925], [0.0, 0.0, 0.0]):
        found = t_interval(values)
        assert found.mean == pytest.approx(values[0])
        assert found.half == 0
        assert not found.excludes_zero
    assert t_interval([0.5, 0.5, 0.6]).half > 0


def test_differences_are_taken_pair_by_pair():
    one = {0: 1.0, 1: 2.0, 2: 4.0}
    other = {2: 3.0, 1: 1.5, 0: 0.5, 3: 100.0}
    found = paired_interval(one, other)
    assert found == t_interval([0.5, 0.5, 1.0])  # seeds 0, 1, 2; 3 has no partner
    test = stats.ttest_rel([1.0, 2.0, 4.0], [0.5, 1.5, 3.0]).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx((test.low, test.high))
    # The same seeds make the difference surer than either mean.
    assert found.half < t_interval(list(one.values())).half
    assert paired_interval(one, {0: None, 1: 1.0, 2: 1.0}) is None
    assert paired_interval(one, {0: math.inf, 1: 1.0, 2: 1.0}) is None
    assert paired_interval(one, {7: 1.0}) is None


def test_an_interval_excludes_zero_as_scipys_test_rejects():
    rng = np.random.default_rng(1)
    for _ in range(50):
        a, b = rng.normal(0.5, 1.0, (2, 6))
        found = paired_interval(dict(enumerate(a)), dict(enumerate(b)))
        assert found.excludes_zero == (stats.ttest_rel(a, b).pvalue < 0.05)


@pytest.mark.parametrize(
    ("found", "signed", "text"),
    [
        (Interval(0.9, 0.0123, 5), False, "0.900 ± 0.012"),
        (Interval(0.02, 0.03, 5), True, "+0.020 ± 0.030"),
        (Interval(-0.02, math.nan, 1), True, "-0.020"),
        (Interval(math.inf, math.nan, 3), False, "∞"),
        (Interval(math.nan, math.nan, 0), False, ""),
        (None, True, ""),
    ],
)
def test_what_is_shown(found, signed, text):
    assert shown(found, signed) == text

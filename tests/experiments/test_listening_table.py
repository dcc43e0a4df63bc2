"""The study's table: t intervals and paired differences against scipy and by hand."""

import math

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from experiments.listening.paired_table import Interval, overview, paired, shown, t_interval, table


def test_the_interval_is_students():
    values = [0.9, 0.92, 0.97, 0.95]
    low, high = stats.t.interval(0.95, 3, np.mean(values), stats.sem(values))
    found = t_interval(values)
    assert (found.mean - found.half, found.mean + found.half) == pytest.approx((low, high))
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
    assert shown(t_interval([0.5, np.nan])) == "∞"
    assert shown(t_interval([])) == ""
    assert shown(one) == "0.500"


def test_differences_are_taken_seed_by_seed():
    one = pd.Series({0: 1.0, 1: 2.0, 2: 4.0})
    other = pd.Series({2: 3.0, 1: 1.5, 0: 0.5, 3: 100.0})
    found = paired(one, other)
    expected = t_interval([0.5, 0.5, 1.0])  # seeds 0, 1, 2; 3 has no partner
    assert found == expected
    # The same seeds make the difference sure where neither mean is.
    assert found.half < t_interval(one).half
    assert paired(one, pd.Series({0: None, 1: 1.0, 2: 1.0})) is None
    assert paired(one, pd.Series({7: 1.0})) is None


def test_a_star_where_the_interval_excludes_zero():
    assert shown(Interval(-0.02, 0.01, 5), signed=True) == "-0.020 ± 0.010 *"
    assert shown(Interval(0.02, 0.03, 5), signed=True) == "+0.020 ± 0.030"


def test_the_table_leaves_out_what_no_run_has():
    rows = [
        {"way": way, "seed": seed, "nll": nll, "aupr": None}
        for way, nlls in {"uniform": [0.5, 0.7], "entropy": [0.4, 0.6], "best": [0.5, None]}.items()
        for seed, nll in enumerate(nlls)
    ]
    text = table(pd.DataFrame(rows), {"nll": "NLL", "aupr": "AUPR"}, {"nll": "NLL - uniform"}, "uniform")
    lines = text.splitlines()
    assert lines[0] == "| way | seeds | NLL | NLL - uniform |"
    # .6 +- 12.706 * .1; the difference is -.1 on both seeds, its interval a point.
    assert lines[2] == "| uniform | 2 | 0.600 ± 1.271 |  |"
    assert lines[3] == "| entropy | 2 | 0.500 ± 1.271 | -0.100 ± 0.000 * |"
    assert lines[4] == "| best | 2 | ∞ |  |"
    without = table(pd.DataFrame(rows), {"nll": "NLL"}, {"nll": "d"}, "absent")
    assert without.splitlines()[0] == "| way | seeds | NLL |"


def test_one_score_at_a_glance():
    rows = [
        ("uniform", "good", 0.1),
        ("uniform", "one_bad", 0.5),
        ("uniform", "good", 0.2),
        ("best", "good", None),
    ]
    text = overview(pd.DataFrame(rows, columns=["way", "teachers", "nll"]), "nll", "teachers")
    assert text.splitlines() == [
        "| way | good | one bad |",
        "|---|---|---|",
        "| uniform | 0.150 ± 0.635 | 0.500 |",
        "| best | ∞ |  |",
    ]

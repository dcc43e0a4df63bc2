import math

import numpy as np
import pytest
import torch

from mtbkd.evaluation.score_intervals import nll_interval, wilson_interval
from mtbkd.evaluation.scores import evaluate


@pytest.mark.parametrize(("hits", "n"), [(0, 1), (1, 1), (9, 10), (176, 180), (50, 100)])
def test_wilson_by_its_formula(hits, n):
    p, z = hits / n, 1.959963984540054
    middle, half = p + z**2 / (2 * n), z * math.sqrt(p * (1 - p) / n + z**2 / (4 * n**2))
    expected = [(middle - half) / (1 + z**2 / n), (middle + half) / (1 + z**2 / n)]
    np.testing.assert_allclose(wilson_interval(np.arange(n) < hits), expected, atol=1e-12)


def test_nll_of_three_inputs_by_hand():
    # losses 0, 1, 2: mean 1, sd 1, t_{2, 0.975} = 4.302653: 1 - 2.48 is cut at 0
    p = np.exp(-np.array([0.0, 1.0, 2.0]))
    low, high = nll_interval(np.stack([p, 1 - p], -1), np.zeros(3, int))
    assert low == 0
    assert high == pytest.approx(1 + 4.302653 / math.sqrt(3), abs=1e-6)


def test_nll_of_one_input_and_of_an_impossible_one_has_no_interval():
    assert nll_interval([[0.5, 0.5]], [0]) is None
    assert nll_interval([[0.5, 0.5], [0.0, 1.0]], [0, 0]) is None


def test_nine_intervals_in_ten_hold_the_mean():
    rng = np.random.default_rng(0)
    p = rng.beta(8, 2, (1000, 400))
    means = -np.log(p)
    # digamma(10) - digamma(8), the mean of -log of a Beta(8, 2)
    truth = 1 / 8 + 1 / 9
    held = [
        low < truth < high
        for low, high in (nll_interval(np.stack([row, 1 - row], -1), np.zeros(400, int)) for row in p)
    ]
    assert means.mean() == pytest.approx(truth, abs=0.002)
    # 950 of 1000 +- 4 sd of 6.9
    assert np.sum(held) == pytest.approx(950, abs=28)


def test_scores_carry_them():
    probs = torch.tensor([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7]])
    scores = evaluate(probs, torch.tensor([0, 1, 1]))
    low, high = wilson_interval([True, False, True])
    assert (scores["accuracy_low"], scores["accuracy_high"]) == (low, high)
    low, high = nll_interval(probs, [0, 1, 1])
    assert (scores["nll_low"], scores["nll_high"]) == pytest.approx((low, high))
    assert evaluate(torch.tensor([[0.0, 1.0]]), torch.tensor([0]))["nll_low"] is None

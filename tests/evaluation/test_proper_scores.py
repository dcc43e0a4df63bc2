import math

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss, log_loss

from mtbkd.evaluation import proper_scores
from tests.calibrated import calibrated


def test_nll_by_hand():
    assert proper_scores.nll([[0.5, 0.5], [0.25, 0.75]], [0, 0]) == pytest.approx(math.log(8) / 2)
    assert proper_scores.nll(np.full((1, 1000), 1e-3), [5]) == pytest.approx(math.log(1000))


def test_nll_is_infinite_where_the_truth_was_excluded():
    assert proper_scores.nll([[0.0, 1.0], [0.5, 0.5]], [0, 0]) == math.inf


def test_brier_is_summed_over_classes_not_halved():
    assert proper_scores.brier([[0.0, 1.0]], [0]) == 2
    assert proper_scores.brier([[0.7, 0.2, 0.1]], [0]) == pytest.approx(0.09 + 0.04 + 0.01)


def test_proper_scores_agree_with_sklearn():
    probs, y = calibrated(200)
    assert proper_scores.nll(probs, y) == pytest.approx(log_loss(y, probs, labels=range(10)))
    assert proper_scores.brier(probs, y) == pytest.approx(
        brier_score_loss(y, probs, labels=range(10), scale_by_half=False)
    )


def test_decomposition_by_hand():
    # Class 0 is claimed with .8 of four inputs, of which three are, and with .2 of four, of which one is; class 1 with
    # what is left. Of each class: claims are .05 off everywhere; the bins' shares .75 and .25 are .25 from 1/2.
    probs = [[0.8, 0.2]] * 4 + [[0.2, 0.8]] * 4
    found = proper_scores.brier_decomposition(probs, [0, 0, 0, 1, 0, 1, 1, 1])
    assert found.reliability == pytest.approx(2 * 0.05**2)
    assert found.resolution == pytest.approx(2 * 0.25**2)
    assert found.uncertainty == pytest.approx(2 * 0.5 * 0.5)
    assert found.within_bins == pytest.approx(0, abs=1e-12)


def test_remainder_is_the_variance_within_bins_less_twice_the_covariance():
    """Stephenson, Coelho and Jolliffe 2008, in a loop over classes and bins."""
    probs, y = calibrated(300, k=4, seed=5)
    rest = 0.0
    for k in range(4):
        true = (y == k).astype(float)
        for b in range(5):
            inside = (probs[:, k] > b / 5) & (probs[:, k] <= (b + 1) / 5)
            p, o = probs[inside, k], true[inside]
            if len(p):
                rest += ((p - p.mean()) ** 2 - 2 * (p - p.mean()) * (o - o.mean())).sum() / 300
    found = proper_scores.brier_decomposition(probs, y, bins=5)
    assert found.within_bins == pytest.approx(rest)
    assert abs(rest) > 1e-3


def test_parts_agree_with_murphy_over_distinct_forecasts():
    """Murphy 1973 groups inputs by the whole forecast; few forecasts, each class claimed differently in each."""
    forecasts = np.array([[0.7, 0.2, 0.1], [0.1, 0.6, 0.3], [0.25, 0.05, 0.7], [0.4, 0.35, 0.25]])
    rng = np.random.default_rng(0)
    which = rng.integers(4, size=500)
    probs, y = forecasts[which], rng.integers(3, size=500)
    shares = np.bincount(y, minlength=3) / 500
    reliability = resolution = 0.0
    for f, forecast in enumerate(forecasts):
        true = np.bincount(y[which == f], minlength=3) / (which == f).sum()
        reliability += (which == f).mean() * ((forecast - true) ** 2).sum()
        resolution += (which == f).mean() * ((true - shares) ** 2).sum()
    found = proper_scores.brier_decomposition(
        probs, y, bins=20
    )  # no two claims of a class share a bin of 1/20
    assert found.reliability == pytest.approx(reliability)
    assert found.resolution == pytest.approx(resolution)
    assert found.uncertainty == pytest.approx(1 - (shares**2).sum())
    assert found.within_bins == pytest.approx(0, abs=1e-12)


def test_always_claiming_the_shares_has_the_uncertainty_only():
    y = np.array([0] * 5 + [1] * 3 + [2] * 2)
    found = proper_scores.brier_decomposition(np.tile([0.5, 0.3, 0.2], (10, 1)), y)
    assert found.reliability == pytest.approx(0, abs=1e-12)
    assert found.resolution == pytest.approx(0, abs=1e-12)
    assert found.uncertainty == pytest.approx(0.25 + 0.21 + 0.16)


def test_one_input():
    found = proper_scores.brier_decomposition([[0.3, 0.7]], [0])
    assert found.reliability == pytest.approx(0.49 + 0.49)
    assert (found.resolution, found.uncertainty) == (0, 0)


def test_sharpness_by_hand():
    assert proper_scores.sharpness([[0.5, 0.5], [1.0, 0.0]]) == pytest.approx((0.5 + 1) / 2)
    assert proper_scores.sharpness(np.full((3, 1000), 1e-3)) == pytest.approx(1e-3)


def test_a_calibrated_student_has_the_brier_score_that_its_sharpness_claims():
    probs, y = calibrated(20_000)
    # The sd of one input's score is about .4, of the mean of 20,000 .003.
    assert proper_scores.brier(probs, y) == pytest.approx(1 - proper_scores.sharpness(probs), abs=0.01)

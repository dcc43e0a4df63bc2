import math

import numpy as np
import pytest
import torch
from sklearn.metrics import brier_score_loss, log_loss
from torchmetrics.functional.classification import multiclass_calibration_error

from mtbkd.evaluation import calibration


def calibrated(n: int, k: int = 10, seed: int = 0, scale: float = 2.0):
    """Probabilities, and labels drawn from them."""
    rng = np.random.default_rng(seed)
    logits = scale * rng.standard_normal((n, k))
    probs = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    y = (probs.cumsum(1) > rng.random((n, 1))).argmax(1)
    return probs, y


def test_nll_by_hand():
    assert calibration.nll([[0.5, 0.5], [0.25, 0.75]], [0, 0]) == pytest.approx(math.log(8) / 2)


def test_nll_is_infinite_where_the_truth_was_excluded():
    assert calibration.nll([[0.0, 1.0], [0.5, 0.5]], [0, 0]) == math.inf


def test_brier_is_summed_over_classes_not_halved():
    assert calibration.brier([[0.0, 1.0]], [0]) == 2
    assert calibration.brier([[0.7, 0.2, 0.1]], [0]) == pytest.approx(0.09 + 0.04 + 0.01)


def test_proper_scores_agree_with_sklearn():
    probs, y = calibrated(200)
    assert calibration.nll(probs, y) == pytest.approx(log_loss(y, probs, labels=range(10)))
    assert calibration.brier(probs, y) == pytest.approx(
        brier_score_loss(y, probs, labels=range(10), scale_by_half=False)
    )


def test_ece_by_hand():
    # Bins (9/15, 10/15] and (11/15, 12/15] and (14/15, 1]: gaps .65 - .5 over 2, .8 - 1 over 1, 1 - 0 over 1.
    probs = [[0.65, 0.35], [0.65, 0.35], [0.2, 0.8], [1.0, 0.0]]
    assert calibration.ece(probs, [0, 1, 1, 1]) == pytest.approx((2 * 0.15 + 0.2 + 1.0) / 4)


@pytest.mark.parametrize("bins", [5, 15])
def test_ece_agrees_with_torchmetrics(bins):
    probs, y = calibrated(500, k=7, seed=3)
    probs = probs**2 / (probs**2).sum(1, keepdims=True)  # overconfident, so that there is something to see
    other = multiclass_calibration_error(torch.tensor(probs), torch.tensor(y), num_classes=7, n_bins=bins)
    assert calibration.ece(probs, y, bins) == pytest.approx(float(other))
    assert calibration.ece(probs, y, bins) > 0.1


def test_confidence_on_an_edge_belongs_to_the_lower_bin():
    # With 2 bins, .5 is in (0, .5] together with .4, where the gaps +.5 and -.4 cancel to .1.
    probs = [[0.5, 0.3, 0.2], [0.4, 0.3, 0.3]]
    assert calibration.ece(probs, [0, 1], bins=2) == pytest.approx(abs(0.5 - 0.4) / 2)


def test_adaptive_ece_by_hand():
    # Two bins of two: (.5, .6) with one hit and (.8, .9) with one hit.
    probs = [[0.5, 0.5], [0.6, 0.4], [0.8, 0.2], [0.9, 0.1]]
    expected = (abs(1 - 1.1) + abs(1 - 1.7)) / 4
    assert calibration.ece_adaptive(probs, [0, 1, 0, 1], bins=2) == pytest.approx(expected)


def test_adaptive_ece_does_not_depend_on_the_order_of_ties():
    probs = np.tile([[0.7, 0.3]], (10, 1))
    y = np.array([0] * 7 + [1] * 3)
    assert calibration.ece_adaptive(probs, y, bins=5) == pytest.approx(0)
    assert calibration.ece_adaptive(probs, y[::-1], bins=5) == pytest.approx(0)


def test_classwise_ece_agrees_with_a_loop():
    probs, y = calibrated(300, k=4, seed=5, scale=3)
    loop = 0.0
    for k in range(4):
        for b in range(15):
            inside = (probs[:, k] > b / 15) & (probs[:, k] <= (b + 1) / 15)
            loop += abs((probs[inside, k] - (y[inside] == k)).sum()) / 300
    assert calibration.ece_classwise(probs, y) == pytest.approx(loop / 4)


def test_interval_reflects_the_bootstrap_quantiles():
    probs, y = calibrated(120, seed=1)
    rng = np.random.default_rng(9)
    resampled = []
    for _ in range(4000):
        rows = rng.integers(120, size=120)
        resampled.append(calibration.ece(probs[rows], y[rows]))
    low, high = np.quantile(resampled, [0.025, 0.975])
    point = calibration.ece(probs, y)
    found = calibration.ece_interval(probs, y, np.random.default_rng(0), repetitions=4000)
    # Quantiles of 4,000 resamplings of a quantity with sd .02 are known to about .001.
    assert found == pytest.approx((max(0, 2 * point - high), max(0, 2 * point - low)), abs=0.003)


def test_bootstrap_inflation_is_taken_off_for_a_calibrated_student():
    lows, inflated = [], []
    for seed in range(20):
        probs, y = calibrated(1000, seed=seed)
        low, high = calibration.ece_interval(probs, y, np.random.default_rng(seed), repetitions=400)
        lows.append(low)
        inflated.append(2 * calibration.ece(probs, y) - high)
    # The ECE of the truth is 0: the bootstrap's own lower quantile stays near .033, reflected ones near 0.
    assert min(inflated) > 0.025
    assert max(lows) < 0.02
    assert np.median(lows) < 0.003


def test_interval_leaves_0_for_a_miscalibrated_student():
    probs, _ = calibrated(1000, scale=4)
    wrong = (probs.argmax(1) + 1) % 10
    low, high = calibration.ece_interval(probs, wrong, np.random.default_rng(0))
    assert 0.5 < low < calibration.ece(probs, wrong) < high


def test_band_covers_the_ece_of_calibrated_students():
    inside = 0
    for seed in range(100):
        probs, y = calibrated(200, seed=seed)
        low, high = calibration.ece_band(probs, np.random.default_rng(seed), repetitions=300)
        inside += low <= calibration.ece(probs, y) <= high
    assert 88 <= inside <= 100  # binomial(100, .95): 95 +- 2.2


def test_band_of_certain_predictions_is_0():
    assert calibration.ece_band(np.eye(3), np.random.default_rng(0)) == (0, 0)


def test_band_tells_overconfidence():
    probs, y = calibrated(1000)
    sharpened = probs**3 / (probs**3).sum(1, keepdims=True)
    assert calibration.ece(sharpened, y) > calibration.ece_band(sharpened, np.random.default_rng(0))[1]


def test_same_seed_same_interval_whatever_the_chunks(monkeypatch):
    probs, y = calibrated(100)
    whole = calibration.ece_interval(probs, y, np.random.default_rng(4), repetitions=50)
    band = calibration.ece_band(probs, np.random.default_rng(4), repetitions=50)
    monkeypatch.setattr(calibration, "CHUNK_ELEMENTS", 700)
    assert calibration.ece_interval(probs, y, np.random.default_rng(4), repetitions=50) == whole
    assert calibration.ece_band(probs, np.random.default_rng(4), repetitions=50) == pytest.approx(band)


def test_reliability_adds_up_to_the_ece():
    probs, y = calibrated(400, seed=2)
    r = calibration.reliability(probs, y, np.random.default_rng(0))
    filled = r.count > 0
    assert r.count.sum() == 400
    assert np.isnan(r.accuracy[~filled]).all()
    gaps = np.abs(r.accuracy - r.confidence)[filled] * r.count[filled]
    assert gaps.sum() / 400 == pytest.approx(calibration.ece(probs, y))
    assert (r.low[filled] <= r.confidence[filled] + 1e-9).all()
    assert (r.confidence[filled] <= r.high[filled] + 1e-9).all()


def test_one_input_and_many_classes():
    probs = np.full((1, 1000), 1e-3)
    assert calibration.nll(probs, [5]) == pytest.approx(math.log(1000))
    assert calibration.ece_adaptive(probs, [0]) == pytest.approx(0.999)
    low, high = calibration.ece_interval(probs, [0], np.random.default_rng(0))
    assert low == high == pytest.approx(0.999)

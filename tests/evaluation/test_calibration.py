import numpy as np
import pytest
import torch
from torchmetrics.functional.classification import binary_calibration_error, multiclass_calibration_error

from mtbkd.evaluation import calibration
from tests.calibrated import calibrated


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


def test_adaptive_bins_by_hand():
    # Ranks 0, 1 | 2, 3 | 4: the three of .7 begin at rank 1, so that all are in the first bin.
    probs = [[0.9, 0.1], [0.7, 0.3], [0.3, 0.7], [0.6, 0.4], [0.7, 0.3]]
    assert calibration.adaptive_bins(probs, [0] * 5, bins=3).bin_of.tolist() == [2, 0, 0, 0, 0]


def test_mce_by_hand():
    # As for the ECE: gaps .15 over two inputs, .2 and 1 over one.
    probs = [[0.65, 0.35], [0.65, 0.35], [0.2, 0.8], [1.0, 0.0]]
    assert calibration.mce(probs, [0, 1, 1, 1]) == pytest.approx(1.0)
    assert calibration.mce(probs, [0, 1, 0, 0]) == pytest.approx(0.8)


def test_mce_agrees_with_torchmetrics():
    probs, y = calibrated(500, k=7, seed=3)
    other = multiclass_calibration_error(
        torch.tensor(probs), torch.tensor(y), num_classes=7, n_bins=15, norm="max"
    )
    assert calibration.mce(probs, y) == pytest.approx(float(other))


def test_the_error_of_a_class_agrees_with_torchmetrics():
    # Of two classes, told as the probability of the second: what torchmetrics takes as a binary confidence.
    probs, y = calibrated(400, k=3, seed=6)
    for k, error in enumerate(calibration.ece_of_classes(probs, y)):
        other = binary_calibration_error(torch.tensor(probs[:, k]), torch.tensor(y == k), n_bins=15)
        assert error == pytest.approx(float(other), abs=1e-6)


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


def test_band_agrees_with_labels_drawn_one_by_one():
    """Cells of nearly equal confidence are drawn at once: the quantiles are those of single draws."""
    probs, _ = calibrated(300, seed=1)
    rng = np.random.default_rng(5)
    drawn = [calibration.ece(probs, (probs.cumsum(1) > rng.random((300, 1))).argmax(1)) for _ in range(4000)]
    found = calibration.ece_band(probs, np.random.default_rng(0), repetitions=4000)
    # Quantiles at 2.5 % of 4,000 draws with sd .01 are known to about .0005 each.
    assert found == pytest.approx(np.quantile(drawn, [0.025, 0.975]), abs=0.002)


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
    assert calibration.ece_adaptive(probs, [0]) == pytest.approx(0.999)
    assert calibration.mce(probs, [0]) == pytest.approx(0.999)

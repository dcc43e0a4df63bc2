import numpy as np
import pytest

from mtbkd.evaluation import calibration, calibration_intervals
from mtbkd.evaluation.calibration_intervals import Resamples
from tests.calibrated import calibrated

NAMES = ("ece", "ece_adaptive", "ece_classwise", "mce")


def ece_with_fixed_bins(probs, y, rows):
    """The adaptive error of resampled rows in the bins of the data."""
    binned = calibration.adaptive_bins(probs, y)
    gap, bin_of = binned.gap[rows], binned.bin_of[rows]
    return sum(abs(gap[bin_of == b].sum()) for b in range(binned.bins)) / len(rows)


def test_intervals_reflect_the_quantiles_of_errors_computed_anew():
    probs, y = calibrated(120, k=4, seed=1)
    resamples = Resamples.of(120, 300, np.random.default_rng(0))
    row_of = resamples.block.argsort()
    resampled = {name: [] for name in NAMES}
    for drawn in resamples.drawn.astype(int):
        rows = np.repeat(row_of, drawn)
        assert len(rows) == 120
        resampled["ece_adaptive"].append(ece_with_fixed_bins(probs, y, rows))
        for name in ("ece", "ece_classwise", "mce"):
            resampled[name].append(getattr(calibration, name)(probs[rows], y[rows]))
    rng = np.random.default_rng(0)
    found = calibration_intervals.calibration_intervals(probs, y, rng, repetitions=300)
    assert found.keys() == set(NAMES)
    for name in NAMES:
        low, high = np.quantile(resampled[name], [0.025, 0.975])
        point = getattr(calibration, name)(probs, y)
        assert found[name] == pytest.approx(np.clip([2 * point - high, 2 * point - low], 0, 1)), name


def test_blocks_of_rows_give_the_intervals_that_rows_give(monkeypatch):
    probs, y = calibrated(3000, k=4, seed=2)
    probs = probs**1.5 / (probs**1.5).sum(1, keepdims=True)
    found = {}
    for blocks in (3000, 600):
        monkeypatch.setattr(calibration_intervals, "BLOCKS", blocks)
        rng = np.random.default_rng(1)
        found[blocks] = calibration_intervals.calibration_intervals(probs, y, rng, repetitions=2000)
    for name in ("ece", "ece_adaptive", "ece_classwise"):
        low, high = found[3000][name]
        # 600 blocks tell the spread to 1 / sqrt(2 * 600) = 3 %, and 2,000 resamplings a bound to 2 % of the width.
        assert found[600][name] == pytest.approx((low, high), abs=0.1 * (high - low)), name
        assert high - low > 0.005


def test_each_resample_draws_as_many_inputs_as_there_are():
    few = Resamples.of(7, 5, np.random.default_rng(0))
    assert few.sizes.tolist() == [7] * 5
    assert sorted(few.block) == list(range(7))
    many = Resamples.of(calibration_intervals.BLOCKS * 3 // 2, 20, np.random.default_rng(0))
    # Blocks of one and of two inputs: sizes differ a little, and their mean is n. sd of one: sqrt(2000) / 2 = 22.
    assert many.sizes.mean() == pytest.approx(3000, abs=25)
    assert np.bincount(many.block).tolist() == [2] * 1000 + [1] * 1000


def test_bootstrap_inflation_is_taken_off_for_a_calibrated_student():
    lows, inflated = [], []
    for seed in range(20):
        probs, y = calibrated(1000, seed=seed)
        rng = np.random.default_rng(seed)
        low, high = calibration_intervals.calibration_intervals(probs, y, rng, repetitions=400)["ece"]
        lows.append(low)
        inflated.append(2 * calibration.ece(probs, y) - high)
    # The ECE of the truth is 0: the bootstrap's own lower quantile stays near .033, reflected ones near 0.
    assert min(inflated) > 0.025
    assert max(lows) < 0.02
    assert np.median(lows) < 0.003


def test_interval_leaves_0_for_a_miscalibrated_student():
    probs, _ = calibrated(1000, scale=4)
    wrong = (probs.argmax(1) + 1) % 10
    found = calibration_intervals.calibration_intervals(probs, wrong, np.random.default_rng(0))
    assert 0.5 < found["ece"][0] < calibration.ece(probs, wrong) < found["ece"][1]


def test_one_input_and_many_classes():
    found = calibration_intervals.calibration_intervals(
        np.full((1, 1000), 1e-3), [0], np.random.default_rng(0)
    )
    assert found["ece"] == found["mce"] == pytest.approx((0.999, 0.999))
    # One class is .999 off and 999 are .001.
    assert found["ece_classwise"] == pytest.approx((2 * 0.999 / 1000,) * 2)


def test_chunks_of_classes_change_nothing(monkeypatch):
    probs, y = calibrated(200, k=7)
    rng = np.random.default_rng(3)
    whole = calibration_intervals.calibration_intervals(probs, y, rng, repetitions=50)
    monkeypatch.setattr(calibration_intervals, "CLASSES", 3)
    rng = np.random.default_rng(3)
    parts = calibration_intervals.calibration_intervals(probs, y, rng, repetitions=50)
    assert parts["ece_classwise"] == pytest.approx(whole["ece_classwise"])

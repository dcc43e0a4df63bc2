import math

import numpy as np
import pytest
from scipy.stats import norm

from mtbkd.evaluation import calibration, calibration_intervals
from mtbkd.evaluation.calibration_intervals import Gaps, Resamples, inverted
from tests.calibrated import calibrated

NAMES = ("ece", "ece_adaptive", "ece_classwise", "mce")


def intervals(probs, y, seed=0, repetitions=1000):
    rng = np.random.default_rng(seed)
    return calibration_intervals.calibration_intervals(probs, y, rng, repetitions=repetitions)


def sharpened(n, seed, power, k=10):
    """Labels of calibrated probabilities, which are then claimed with more confidence."""
    probs, y = calibrated(n, k, seed)
    return probs**power / (probs**power).sum(1, keepdims=True), y


# ---- closed forms --------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("hits", [300, 380])
def test_one_bin_has_the_normal_interval_of_a_share(hits):
    """Of 400 inputs, all claimed with .6, hits are a binomial: its share -+ 1.96 standard errors, less .6."""
    probs = np.tile([0.6, 0.4], (400, 1))
    y = np.arange(400) >= hits
    share = hits / 400
    error = 1.96 * math.sqrt(share * (1 - share) / 400)
    found = intervals(probs, y, repetitions=5000)
    # Shares come in steps of 1 / 400, of which a quantile is one.
    assert found["ece"] == pytest.approx((share - 0.6 - error, share - 0.6 + error), abs=1 / 400)
    for name in NAMES:
        assert found[name] == pytest.approx(found["ece"], abs=1e-4)


def test_an_error_of_0_ends_where_chance_does():
    """Half of 400 claimed with .5 hit: the error is 0, and |normal| has its .975 quantile at 2.24 sd."""
    probs = np.tile([0.5, 0.5], (400, 1))
    found = intervals(probs, np.arange(400) < 200, repetitions=5000)["ece"]
    assert found == pytest.approx((0, norm.ppf(0.9875) * 0.5 / 20), abs=1 / 400)


def test_ends_are_where_the_error_is_a_quantile_of_what_chance_would_show():
    """Two gaps with independent normal noise: the probability that |t g1 + e1| + |t g2 + e2| is less, on a grid."""
    rng = np.random.default_rng(0)
    gaps, sd = np.array([0.15, -0.1]), np.array([0.05, 0.08])
    noise = sd * rng.standard_normal((40_000, 2))
    low, high = inverted([Gaps(gaps, noise)], lambda own: np.abs(own).sum(1), 0.95)
    grid = np.linspace(-0.5, 0.5, 1001)
    first, second = (norm.pdf(grid, scale=s) * (grid[1] - grid[0]) for s in sd)
    for end, expected in ((low, 0.975), (high, 0.025)):
        t = end / 0.25
        shown = np.abs(t * gaps[0] + grid)[:, None] + np.abs(t * gaps[1] + grid)
        # .975 of 40,000 is known to .0008; the sum's own grid to about as much.
        assert ((shown < 0.25) * first[:, None] * second).sum() == pytest.approx(expected, abs=0.004)
    assert 0.04 < low < 0.25 < high


# ---- resamples -----------------------------------------------------------------------------------------------------
def test_resampled_sums_are_those_of_repeated_rows():
    probs, y = calibrated(120, k=4, seed=1)
    resamples = Resamples.of(120, 20, np.random.default_rng(0))
    row_of = resamples.block.argsort()
    for binned in (calibration.top_label_bins(probs, y), calibration.adaptive_bins(probs, y)):
        sums, counts = resamples.sums(binned, binned.gap), resamples.sums(binned, None)
        for r, drawn in enumerate(np.rint(resamples.drawn).astype(int)):
            rows = np.repeat(row_of, drawn)
            assert len(rows) == 120
            for b in range(binned.bins):
                inside = rows[binned.bin_of[rows] == b]
                assert sums[r, b] == pytest.approx(binned.gap[inside].sum())
                assert counts[r, b] == pytest.approx(len(inside))


def test_each_resample_counts_as_many_inputs_as_there_are():
    many = Resamples.of(calibration_intervals.BLOCKS * 3 // 2, 20, np.random.default_rng(0))
    sizes = np.bincount(many.block)
    assert sizes.tolist() == [2] * 1000 + [1] * 1000
    assert many.drawn @ sizes == pytest.approx([3000] * 20)


def test_blocks_of_rows_give_the_intervals_that_rows_give(monkeypatch):
    probs, y = sharpened(3000, seed=2, power=1.5, k=4)
    found = {}
    for blocks in (3000, 600):
        monkeypatch.setattr(calibration_intervals, "BLOCKS", blocks)
        found[blocks] = intervals(probs, y, seed=1, repetitions=2000)
    for name in ("ece", "ece_adaptive", "ece_classwise"):
        low, high = found[3000][name]
        # 600 blocks tell the spread to 1 / sqrt(2 * 600) = 3 %, and 2,000 resamplings a bound to 2 % of the width.
        assert found[600][name] == pytest.approx((low, high), abs=0.1 * (high - low)), name
        assert high - low > 0.005


# ---- coverage ------------------------------------------------------------------------------------------------------
def test_a_calibrated_student_may_have_no_error_at_all():
    """97.5 % of lower ends are to be 0; of 40 data sets 39 are expected, with sd 1."""
    lows = {name: [] for name in NAMES}
    for seed in range(40):
        for name, (low, _) in intervals(*calibrated(1000, seed=seed), seed, 300).items():
            lows[name].append(low)
    for name in ("ece", "ece_adaptive", "ece_classwise"):
        assert sum(low == 0 for low in lows[name]) >= 35, name


@pytest.mark.parametrize(("power", "k"), [(1.3, 10), (2.0, 3)])
def test_the_true_error_is_within(power, k):
    """The error of 100,000 inputs is nearly free of chance; of 40 data sets 38 are to hold it, with sd 1.4."""
    probs, y = sharpened(100_000, seed=999, power=power, k=k)
    true = {name: getattr(calibration, name)(probs, y) for name in NAMES}
    held = dict.fromkeys(NAMES, 0)
    for seed in range(40):
        found = intervals(*sharpened(500, seed, power, k), seed, 300)
        for name in NAMES:
            held[name] += found[name][0] <= true[name] <= found[name][1]
    for name in ("ece", "ece_adaptive", "ece_classwise"):
        assert held[name] >= 30, name


def test_interval_leaves_0_for_a_miscalibrated_student():
    probs, _ = calibrated(1000, scale=4)
    wrong = (probs.argmax(1) + 1) % 10
    low, high = intervals(probs, wrong)["ece"]
    assert 0.5 < low < calibration.ece(probs, wrong) < high


# ---- edges ---------------------------------------------------------------------------------------------------------
def test_one_input_and_many_classes():
    found = intervals(np.full((1, 1000), 1e-3), [0])
    assert found["ece"] == found["mce"] == pytest.approx((0.999, 0.999))
    # One class is .999 off and 999 are .001.
    assert found["ece_classwise"] == pytest.approx((2 * 0.999 / 1000,) * 2, rel=1e-5)


def test_no_error_and_no_chance():
    assert intervals(np.eye(3), [0, 1, 2]) == dict.fromkeys(NAMES, (0, 0))


def test_chunks_of_classes_change_nothing(monkeypatch):
    probs, y = sharpened(200, 0, 2.0, k=7)
    whole = intervals(probs, y, repetitions=50)
    monkeypatch.setattr(calibration_intervals, "CLASSES", 3)
    assert intervals(probs, y, repetitions=50)["ece_classwise"] == pytest.approx(
        whole["ece_classwise"], rel=1e-4
    )

"""Sets by hand, and coverage in repeated draws of exchangeable rows, where it is known exactly."""

import math

import numpy as np
import pytest
import torch

from mtbkd.errors import InputError
from mtbkd.evaluation.conformal import (
    aps_scores,
    conformal_coverage,
    expected_coverage,
    prediction_sets,
    threshold,
    threshold_scores,
)
from mtbkd.prediction import Prediction
from mtbkd.prediction_summary import PredictionSummary
from tests.calibrated import calibrated

SCORES = (threshold_scores, aps_scores)


class Always:
    """A generator whose uniform numbers are all the same."""

    def __init__(self, value: float) -> None:
        self.value = value

    def random(self, shape: tuple[int, ...]) -> np.ndarray:
        return np.full(shape, self.value)


# ---- by hand -------------------------------------------------------------------------------------------------------
def test_threshold_is_the_right_score():
    scores = np.array([0.9, 0.1, 0.5, 0.3, 0.7, 0.2, 0.8, 0.4, 0.6])  # n = 9: ranks ceil(10 (1 - alpha))
    assert threshold(scores, 0.1) == 0.9
    assert threshold(scores, 0.2) == 0.8
    assert threshold(scores, 0.25) == 0.8
    assert threshold(scores, 0.5) == 0.5


@pytest.mark.parametrize("n", [19, 29, 99, 999])
def test_rounding_does_not_move_the_rank(n):
    scores = np.arange(1, n + 1)
    assert [threshold(scores, j / (n + 1)) for j in range(1, n + 1)] == [n + 1 - j for j in range(1, n + 1)]


def test_scores_by_hand():
    probs = np.array([[0.2, 0.5, 0.3]])
    assert threshold_scores(probs, Always(0)) == pytest.approx(np.array([[0.8, 0.5, 0.7]]))
    # In falling order .5, .3, .2: all before, and a share u of its own.
    assert aps_scores(probs, Always(0)) == pytest.approx(np.array([[0.8, 0, 0.5]]))
    assert aps_scores(probs, Always(0.25)) == pytest.approx(np.array([[0.85, 0.125, 0.575]]))


def test_sets_agree_with_the_definition_of_romano_sesia_and_candes():
    """Their eq. 5: the classes down to mass tau, the last left out if u <= (mass - tau) / p_last; u turned round."""
    probs, _ = calibrated(200, k=5, seed=3)
    rng = np.random.default_rng(0)
    u, tau = rng.random(200), 0.8
    scores = np.concatenate([aps_scores(p[None], Always(1 - v)) for p, v in zip(probs, u, strict=True)])
    for p, v, score in zip(probs, u, scores, strict=True):
        order = np.argsort(-p)
        mass = p[order].cumsum()
        last = int((mass >= tau).argmax())
        left_out = v <= (mass[last] - tau) / p[order[last]]
        expected = set(order[: last if left_out else last + 1].tolist())
        assert set(np.flatnonzero(score <= tau).tolist()) == expected


def test_coverage_and_sizes_by_hand():
    # Scores of the true classes .1, .2, .3, .4 (n = 4): at alpha .4 the third smallest, .3.
    calibration = torch.tensor([[0.9, 0.1], [0.2, 0.8], [0.7, 0.3], [0.6, 0.4]], dtype=torch.float64)
    test = torch.tensor([[0.75, 0.25], [0.6, 0.4], [0.1, 0.9], [0.5, 0.5]], dtype=torch.float64)
    y = torch.tensor([0, 1, 0, 0])
    found = conformal_coverage(calibration, y, test, torch.tensor([0, 0, 0, -1]), threshold_scores, 0.4)
    assert found.threshold == pytest.approx(0.3)
    # Sets {0}, {}, {1}: the first holds its class; the fourth row has no label.
    assert (found.calibration_rows, found.test_rows) == (4, 3)
    assert found.coverage == pytest.approx(1 / 3)
    assert (found.mean_size, found.empty, found.single) == pytest.approx((2 / 3, 1 / 3, 2 / 3))
    assert found.coverage_by_class == pytest.approx((1 / 3, math.nan), nan_ok=True)
    assert found.size_by_class == pytest.approx((2 / 3, math.nan), nan_ok=True)
    sets = prediction_sets(calibration, y, test, threshold_scores, 0.4)
    assert sets.tolist() == [[True, False], [False, False], [False, True], [False, False]]


def test_expected_coverage_by_hand():
    # n = 1, alpha .5: the probability is Beta(1, 1), so that 0, 1, 2, 3 of three are covered equally often.
    assert expected_coverage(1, 3, 0.5, mass=0.4) == pytest.approx((1 / 3, 2 / 3))


# ---- exchangeable rows ---------------------------------------------------------------------------------------------
@pytest.mark.parametrize("score", SCORES)
@pytest.mark.parametrize(("n", "alpha"), [(19, 0.1), (50, 0.2)])
def test_coverage_is_exact_for_exchangeable_rows(score, n, alpha):
    """ceil((n + 1)(1 - alpha)) / (n + 1) without ties, though the student is badly calibrated."""
    repeats, m = 1500, 20
    probs, y = calibrated(repeats * (n + m), k=4, seed=7)
    probs = probs**2 / (probs**2).sum(1, keepdims=True)
    rng = np.random.default_rng(1)
    scores = score(probs, rng)
    true = scores[np.arange(len(y)), y].reshape(repeats, n + m)
    covered = np.array([(own[n:] <= threshold(own[:n], alpha)).mean() for own in true])
    exact = math.ceil((n + 1) * (1 - alpha)) / (n + 1)
    assert covered.mean() == pytest.approx(exact, abs=4 * covered.std() / math.sqrt(repeats))
    low, high = expected_coverage(n, m, alpha)
    # A discrete range: at least .95 within, and at most what its two bounds have themselves more.
    within = ((covered > low - 1e-9) & (covered < high + 1e-9)).mean()
    inner = ((covered > low + 1e-9) & (covered < high - 1e-9)).mean()
    assert inner - 0.03 < 0.95 < within + 0.02


@pytest.mark.parametrize("score", SCORES)
def test_sets_of_a_run_cover_within_the_expected_range(score):
    probs, y = calibrated(4000, k=6, seed=2)
    said, truth = torch.tensor(probs), torch.tensor(y)
    found = conformal_coverage(said[:1000], truth[:1000], said[1000:], truth[1000:], score, 0.1)
    assert found.expected_low <= found.coverage <= found.expected_high
    assert 0.87 < found.expected_low < 0.9 < found.expected_high < 0.93
    share = np.bincount(y[1000:], minlength=6) / 3000
    assert np.dot(found.coverage_by_class, share) == pytest.approx(found.coverage)
    assert np.dot(found.size_by_class, share) == pytest.approx(found.mean_size)
    sets = prediction_sets(said[:1000], truth[:1000], said[1000:], score, 0.1)
    assert sets.sum(1).double().mean() == pytest.approx(found.mean_size)


def test_threshold_sets_are_the_smallest():
    probs, y = calibrated(4000, k=6, seed=2)
    said, truth = torch.tensor(probs), torch.tensor(y)
    sizes = [
        conformal_coverage(said[:2000], truth[:2000], said[2000:], truth[2000:], s).mean_size for s in SCORES
    ]
    assert sizes[0] < sizes[1]


def test_draws_and_summaries_are_taken_by_their_means():
    probs = torch.randn(3, 40, 4, generator=torch.Generator().manual_seed(0)).softmax(-1)
    y = torch.arange(40) % 4
    both = [
        conformal_coverage(said, y, said, y, alpha=0.2)
        for said in (Prediction(probs), PredictionSummary.of(Prediction(probs)))
    ]
    assert both[0] == both[1]


# ---- what cannot be promised ---------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("n", "alpha", "message"),
    [
        (
            9,
            0.05,
            r"alpha 0.05 cannot be promised by 9 calibration rows; give alpha >= 0.1, or 19 labelled rows",
        ),
        (60, 0.01, r"by 60 calibration rows; give alpha >= 0.017, or 99 labelled rows"),
        (0, 0.5, r"by 0 calibration rows; give 1 labelled rows"),
        (5, 0, "alpha is 0; it must lie"),
        (5, 1, "alpha is 1; it must lie"),
    ],
)
def test_what_cannot_be_promised_is_refused_with_the_mend(n, alpha, message):
    with pytest.raises(InputError, match=message):
        threshold(np.linspace(0, 1, n), alpha)


def test_the_mend_works():
    assert threshold(np.arange(60), 0.017) == 59
    assert threshold(np.arange(99), 0.01) == 98


def test_models_of_other_classes_are_refused():
    with pytest.raises(InputError, match="calibration rows have 2 classes, new inputs 3"):
        prediction_sets(torch.full((9, 2), 0.5), torch.zeros(9), torch.full((1, 3), 1 / 3))


def test_logits_are_refused():
    with pytest.raises(InputError, match="conformal sets: row 0 sums to 3"):
        prediction_sets(torch.full((9, 2), 0.5), torch.zeros(9), torch.tensor([[1.0, 2.0]]))

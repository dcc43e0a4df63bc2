"""What is adapted, by hand values, and the mass against normals whose standard deviations are known."""

import math
from itertools import pairwise

import pytest
import torch

from mtbkd.inference.adaptation import (
    DualAveraging,
    Moments,
    fisher_scale,
    halton,
    harmonic_mean,
    mass_windows,
)


def moments(rows: torch.Tensor) -> Moments:
    """Moments of `[S, C, D]`, one update an iteration."""
    found = Moments.start(rows[0])
    for row in rows:
        found = found.update(row)
    return found


def test_the_scale_of_independent_normals_is_exact_from_two_draws():
    deviation = torch.tensor([1e-3, 0.5, 20.0], dtype=torch.float64)
    centre = torch.tensor([[3.0, -1.0, 0.0], [-2.0, 5.0, 1.0]], dtype=torch.float64)  # two chains, two modes
    noise = torch.randn(2, 2, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    theta = centre + deviation * noise
    grad = -(theta - centre) / deviation**2
    found = fisher_scale(moments(theta), moments(grad), torch.ones(3, dtype=torch.float64))
    torch.testing.assert_close(found, deviation, rtol=1e-9, atol=0)


def test_correlated_normals_get_a_scale_between_marginal_and_conditional():
    covariance = torch.tensor([[1.0, 0.9], [0.9, 1.0]], dtype=torch.float64)
    generator = torch.Generator().manual_seed(1)
    theta = (
        torch.randn(4000, 1, 2, generator=generator, dtype=torch.float64)
        @ torch.linalg.cholesky(covariance).T
    )
    grad = -theta @ torch.linalg.inv(covariance)
    found = fisher_scale(moments(theta), moments(grad), torch.ones(2, dtype=torch.float64))
    # Marginal variance 1, that of the gradient 1 / (1 - .81): the geometric mean of 1 and sqrt(.19).
    torch.testing.assert_close(found, torch.full((2,), 0.19**0.25, dtype=torch.float64), rtol=0.03, atol=0)


def test_chains_that_did_not_move_keep_the_scale_they_had():
    still = moments(torch.ones(5, 2, 3))
    previous = torch.tensor([0.1, 1.0, 10.0])
    assert torch.equal(fisher_scale(still, still, previous), previous)


def test_the_variance_is_within_chains():
    theta = torch.tensor([[[0.0], [100.0]], [[2.0], [104.0]]])  # chains 0, 2 and 100, 104: variances 2 and 8
    assert moments(theta).variance().tolist() == [5.0]


def test_moments_are_torchs():
    rows = 1e3 + torch.randn(50, 3, 4, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    found = moments(rows)
    torch.testing.assert_close(found.mean, rows.mean(0))
    torch.testing.assert_close(found.variance(), rows.var(0).mean(0))


def test_forgetting_keeps_mean_and_variance_and_lets_later_draws_weigh_more():
    old = moments(torch.tensor([[[0.0]], [[2.0]], [[0.0]], [[2.0]]]))
    half = old.forget()
    assert (half.count, half.mean.item(), half.squares.item()) == (2, 1.0, 2.0)
    # as of 0, 2 and then 4: mean 2, where the four and 4 have 1.6
    assert half.update(torch.tensor([[4.0]])).mean.item() == pytest.approx(2.0)
    assert Moments.start(torch.zeros(1, 1)).forget().count == 0


def test_dual_averaging_by_hand():
    first = DualAveraging(0.1, 0.8).update(0.5)
    # error (.8 - .5) / 11; log step = log .1 - sqrt(1) / .2 * error; the first average is the step itself
    assert first.error == pytest.approx(0.3 / 11)
    assert first.step == pytest.approx(0.1 * math.exp(-5 * 0.3 / 11))
    assert first.average == pytest.approx(first.step)
    second = first.update(1.0)
    error = 11 / 12 * 0.3 / 11 + (0.8 - 1.0) / 12
    assert second.step == pytest.approx(0.1 * math.exp(-5 * math.sqrt(2) * error))
    weight = 2**-0.75
    expected = weight * math.log(second.step) + (1 - weight) * math.log(first.step)
    assert second.average == pytest.approx(math.exp(expected))


def test_a_stuck_chain_is_heard():
    assert harmonic_mean(torch.tensor([0.5, 0.5])) == pytest.approx(0.5)
    assert harmonic_mean(torch.tensor([1.0, 0.25])) == pytest.approx(0.4)
    assert harmonic_mean(torch.tensor([1.0, 1.0, 1.0, 0.0])) == pytest.approx(4 / 1003)


def test_before_any_update_the_step_is_the_first():
    start = DualAveraging(0.3, 0.8)
    assert (start.step, start.average) == (0.3, 0.3)


@pytest.mark.parametrize("target", [0.5, 0.65, 0.9])
@pytest.mark.parametrize("initial", [0.02, 0.3, 1.5])
def test_dual_averaging_finds_the_step_of_its_target(target, initial):
    """Where acceptance falls as exp(-step) the step of a target is -log target."""
    averaging = DualAveraging(initial, target)
    for _ in range(500):
        averaging = averaging.update(math.exp(-averaging.step))
    assert averaging.average == pytest.approx(-math.log(target), rel=0.15)


def test_halton_by_hand():
    assert [halton(i) for i in range(7)] == [1 / 2, 1 / 4, 3 / 4, 1 / 8, 5 / 8, 3 / 8, 7 / 8]
    assert sum(halton(i) for i in range(1023)) / 1023 == pytest.approx(0.5)


def test_windows_by_hand():
    # 5 % to start, then 50, 100, 200 and, as three times 400 does not fit any more, all that is left to 85 %.
    windows = mass_windows(1000)
    assert (windows.first, windows.last) == (50, 850)
    assert windows.ends == {100, 200, 400, 850}
    assert mass_windows(100).ends == {10, 20, 40, 85}


@pytest.mark.parametrize("warmup", [20, 21, 37, 50, 299, 300])
def test_windows_end_in_time(warmup):
    windows = mass_windows(warmup)
    assert 0 < windows.first < windows.last <= warmup - 5
    assert max(windows.ends) == windows.last
    ends = [windows.first, *sorted(windows.ends)]
    assert all(b - a >= 5 for a, b in pairwise(ends))

"""The rule by which a run ends: by hand on traces whose rise is known."""

import math

import pytest
import torch
from torch import Tensor

from mtbkd.inference.plateau import FIRST_LOOK, Plateau, look, rise_of


def walk(trace: Tensor, tolerance: float) -> Plateau:
    """What the rule makes of a whole trace, told one step after another."""
    plateau = Plateau.begin(len(trace))
    for step in range(1, len(trace) + 1):
        plateau = look(plateau, trace, step, tolerance)
    return plateau


def noise(steps: int, seed: int = 0) -> Tensor:
    return torch.randn(steps, generator=torch.Generator().manual_seed(seed))


def test_a_flat_trace_ends_at_the_first_look():
    plateau = walk(torch.zeros(1000), 0.01)
    assert (plateau.since, plateau.end) == (FIRST_LOOK, FIRST_LOOK + FIRST_LOOK // 2)


def test_a_rise_by_hand():
    """Thirds 0..99, 100..199, 200..299 of t / 100: the last two differ by 1; blocks of 5 steps, 20 of them."""
    rise, error = rise_of(torch.arange(300) / 100)
    assert rise == pytest.approx(1.0)
    blocks = torch.arange(20) * 0.05
    assert error == pytest.approx(math.sqrt(2 * blocks.var().item() / 20), rel=1e-5)


def test_the_error_is_that_of_noise():
    """Independent noise: sd sqrt(2 / n); over 200 traces the rise deviates by the error that is told."""
    told = torch.tensor([rise_of(noise(600, seed)) for seed in range(200)])
    assert told[:, 1].mean().item() == pytest.approx(math.sqrt(2 / 200), rel=0.05)
    assert told[:, 0].std().item() == pytest.approx(math.sqrt(2 / 200), rel=0.2)


def test_the_error_of_a_wandering_trace_is_not_that_of_independent_steps():
    """Steps that come five at a time: sd sqrt(2 / n) of n / 5 numbers."""
    told = torch.tensor([rise_of(noise(120, seed).repeat_interleave(5)) for seed in range(200)])
    assert told[:, 1].mean().item() == pytest.approx(math.sqrt(5 * 2 / 200), rel=0.1)


def test_noise_lengthens_a_run_and_does_not_end_it():
    """A standard error below 0.02 takes thirds of about 5000 steps of noise 1, of 50 steps of noise 0.1."""
    assert walk(0.1 * noise(3000), 0.02).since == FIRST_LOOK
    plateau = walk(noise(60_000), 0.02)
    assert plateau.since is not None
    assert 6_000 < plateau.since < 40_000
    assert plateau.end == plateau.since + math.ceil(plateau.since / 2)


def test_a_slow_rise_is_seen_in_the_end():
    """log t rises by log(5/4) or so from third to third, for ever."""
    trace = torch.arange(1, 20_001).log() * 0.2 + 0.3 * noise(20_000)
    plateau = walk(trace, 0.02)
    assert plateau.since == math.ceil(20_000 / 1.5)  # it is the limit that ends it
    assert plateau.end == 20_000
    assert walk(trace / 10, 0.02).end < 20_000


@pytest.mark.parametrize("steps", [1, 2, 3, 40, 1000])
def test_the_rate_falls_in_time_for_the_last_step(steps):
    plateau = walk(torch.arange(steps).float(), 1e-6)
    assert plateau.end == steps
    assert plateau.since is not None
    assert plateau.since == math.ceil(steps / 1.5)


def test_the_rate_is_half_a_cosine():
    plateau = Plateau(0, since=100, end=150)
    assert Plateau.begin(10).rate(7) == 1.0
    assert [plateau.rate(step) for step in (100, 125, 150)] == pytest.approx([1.0, 0.5, 0.0])

"""The criterion's gradient by hand and by differences, and the length it finds where the best one is known."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pyro
import pyro.distributions as dist
import pytest
import torch
from torch import Tensor

from mtbkd.density import Density
from mtbkd.inference import chees, hmc
from mtbkd.inference.checkpoints import Checkpoints
from mtbkd.inference.chees import Trajectory
from mtbkd.inference.hmc import HMCConfig
from mtbkd.progress import Progress


def numbers(*rows: float) -> Tensor:
    return torch.tensor(rows, dtype=torch.float64)


def test_the_gradient_by_hand():
    start, end = numbers(1.0, 0.0)[None], numbers(2.0, 1.0)[None]
    velocity, centre = numbers(0.5, -1.0)[None], numbers(1.0, 1.0)[None]
    # |z - c|^2 = 1, |z' - c|^2 = 1: no change, no gradient
    assert chees.criterion_gradient(start, end, velocity, centre, torch.ones(1), 3.0) == 0
    # centre 0: (5 - 1) (2 * .5 - 1 * 1) = 0; velocity (1, 1): 4 * 3, times the time 3
    still = torch.zeros_like(centre)
    assert chees.criterion_gradient(start, end, numbers(1.0, 1.0)[None], still, torch.ones(1), 3.0) == 36


def test_chains_weigh_by_their_acceptance_and_broken_ones_not_at_all():
    start = torch.zeros(3, 1, dtype=torch.float64)
    end, velocity = numbers(1.0, 2.0, math.nan)[:, None], torch.ones(3, 1, dtype=torch.float64)
    found = chees.criterion_gradient(start, end, velocity, start, numbers(0.75, 0.25, 0.0), 2.0)
    # change * end * velocity: 1 and 4 * 2
    assert found == pytest.approx(2.0 * (0.75 * 1 + 0.25 * 8))
    assert chees.criterion_gradient(start, end, velocity, start, torch.zeros(3), 2.0) == 0


def test_the_gradient_is_that_of_the_criterion():
    """Of a unit normal the motion is a rotation: z' = z cos t + v sin t, and C(T) = 1/4 E(|z'|^2 - |z|^2)^2 with
    t = h T is differentiated numerically in log T."""
    random = torch.Generator().manual_seed(0)
    z, v = torch.randn(2, 5000, 3, generator=random, dtype=torch.float64)
    jitter = 0.7

    def criterion(log_length: float) -> float:
        t = jitter * math.exp(log_length)
        end = z * math.cos(t) + v * math.sin(t)
        return 0.25 * float((end.square().sum(-1) - z.square().sum(-1)).square().mean())

    for length in (0.5, 1.5, 3.0):
        t = jitter * length
        end, velocity = z * math.cos(t) + v * math.sin(t), v * math.cos(t) - z * math.sin(t)
        found = chees.criterion_gradient(z, end, velocity, torch.zeros_like(z), torch.ones(5000), t)
        h = 1e-5
        expected = (criterion(math.log(length) + h) - criterion(math.log(length) - h)) / (2 * h)
        assert found == pytest.approx(expected, rel=1e-6)


def test_adam_by_hand():
    first = Trajectory.of(2.0).update(4.0, 100.0)
    # the first step of Adam is its rate, whatever the gradient's size; so is the first average
    assert first.log_length == pytest.approx(math.log(2.0) + 0.025)
    assert first.average == pytest.approx(first.length)
    second = first.update(-1.0, 100.0)
    square = (0.95 * 0.05 * 16 + 0.05 * 1) / (1 - 0.95**2)
    assert second.log_length == pytest.approx(first.log_length - 0.025 / math.sqrt(square))
    weight = 2**-0.5
    expected = weight * second.log_length + (1 - weight) * first.log_length
    assert second.log_average == pytest.approx(expected)


def test_lengths_are_bounded_and_broken_gradients_left_out():
    assert Trajectory.of(2.0).update(1.0, 2.01).length == pytest.approx(2.01)
    assert Trajectory.of(2.0).update(1.0, 0.3).length == pytest.approx(2.0)
    assert Trajectory.of(2.0).update(-1.0, 0.3).length == pytest.approx(2.0 * math.exp(-0.025))
    assert Trajectory.of(chees.SHORTEST).update(-1.0, 9.0).length == pytest.approx(chees.SHORTEST)
    assert Trajectory.of(2.0).update(math.nan, 9.0) == Trajectory.of(2.0)
    assert Trajectory.of(2.0).update(0.0, 9.0).length == pytest.approx(2.0)


# The mean length best for a unit normal: there C(T) = D E sin^2(h T), h uniform on (.2, 1.8).
BEST = 1.25


def length_of(model: Callable[[], None], start: Tensor, **changes: Any) -> float:
    """The length that a warm-up from `start [C, D]` finds."""
    config = replace(HMCConfig(num_chains=len(start), warmup=300, draws=1, dtype="float64"), **changes)
    generator = torch.Generator().manual_seed(1)
    density = Density(model, (), dtype=torch.float64)
    return hmc.sample(density, config, start, generator, Progress(), Checkpoints(generator)).info[
        "trajectory"
    ]


def test_the_best_length_is_the_best():
    lengths = torch.linspace(0.5, 3.0, 251, dtype=torch.float64)
    jitter = torch.linspace(0.2, 1.8, 1001, dtype=torch.float64)
    at = (lengths[:, None] * jitter).sin().square().mean(1).argmax()
    assert lengths[at].item() == pytest.approx(BEST, abs=0.02)


def test_chains_in_separate_modes_find_the_length_of_one():
    """Two unit normals 60 apart in each coordinate; about the pooled centre the best length would be over 2.5."""
    modes = torch.tensor([[30.0], [-30.0]], dtype=torch.float64)

    def two() -> None:
        theta = pyro.sample("theta", dist.Normal(torch.zeros(12, dtype=torch.float64), 1e3).to_event(1))
        pyro.factor("modes", torch.logsumexp(-(theta - modes).square().sum(-1) / 2, 0))

    generator = torch.Generator().manual_seed(2)
    start = modes.repeat(4, 1) + torch.randn(8, 12, generator=generator, dtype=torch.float64)
    # The step is .5 or so, of which a length is a whole number: a tenth either way, and as much for chance.
    assert length_of(two, start, accept=0.95) == pytest.approx(BEST, abs=0.25)


def test_a_number_fixes_the_length():
    def normal() -> None:
        pyro.sample("theta", dist.Normal(torch.zeros(2, dtype=torch.float64), 1.0).to_event(1))

    start = torch.ones(2, 2, dtype=torch.float64)
    assert length_of(normal, start, trajectory=0.7, warmup=20) == pytest.approx(0.7)

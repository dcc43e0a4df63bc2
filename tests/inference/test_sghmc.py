"""SGHMC against the exact law of its chain, whose noise belongs to its step and its friction."""

import math
from dataclasses import replace

import pytest
import torch
from location import CHAINS, PAIR, PRECISION, ROWS, TOLERANCE, draws_of, pair, step_size

from mtbkd.density import Density
from mtbkd.errors import InputError
from mtbkd.inference import SGHMCConfig, SGLDConfig, sghmc, stochastic_gradient
from mtbkd.inference.stochastic_gradient import Timetable

BASE = SGHMCConfig(**CHAINS, friction=0.5)


def stationary(stiffness: float, friction: float) -> float:
    """Variance times p of `v <- (1 - a) v - h p theta + sqrt(2 a h) xi; theta <- theta + v`, by running its covariance
    matrix to the end."""
    keep = 1 - friction
    step = torch.tensor([[1 - stiffness, keep], [-stiffness, keep]], dtype=torch.float64)
    covariance = torch.eye(2, dtype=torch.float64)
    for _ in range(5000):
        covariance = step @ covariance @ step.T + 2 * friction * stiffness
    return float(covariance[0, 0])


@pytest.mark.parametrize(("stiffness", "friction"), [(0.5, 0.5), (2.0, 0.5), (0.3, 0.2), (1.5, 1.0)])
def test_the_closed_form_is_the_recursions_end(stiffness, friction):
    """The variance that sghmc.py states, T / (p (1 - h p / (2 (2 - a))))."""
    closed = 1 / (1 - stiffness / (2 * (2 - friction)))
    assert stationary(stiffness, friction) == pytest.approx(closed, rel=1e-9)


@pytest.mark.parametrize(
    ("stiffness", "friction", "temperature"),
    [(0.5, 0.5, 1.0), (2.0, 0.5, 1.0), (0.3, 0.2, 1.0), (0.5, 0.5, 0.25)],
)
def test_the_variance_is_that_of_its_steps(stiffness, friction, temperature):
    config = replace(
        BASE,
        step_size=step_size(stiffness),
        friction=friction,
        posterior_temperature=temperature,
        thin=16,
    )
    draws = draws_of(config)
    exact = temperature * stationary(stiffness, friction) / PRECISION
    assert draws.var().item() == pytest.approx(exact, rel=TOLERANCE)
    assert draws.mean().abs() < 5 * (exact / draws.numel()) ** 0.5 * 1.5


def test_the_weight_prior_is_not_scaled_with_the_batch():
    """Batches of 8 of 32 equal rows have the gradient of all. Of a prior scaled by 4 the precision is 160 for 64."""
    draws = draws_of(replace(BASE, step_size=step_size(0.5), batch_size=8))
    assert draws.var().item() == pytest.approx(stationary(0.5, 0.5) / PRECISION, rel=TOLERANCE)
    assert draws.mean().abs() < 0.01


def test_without_momentum_it_is_sgld():
    """a = 1: theta + h g + sqrt(2 h T) xi, SGLD's step with eps = 2 h, to rounding."""
    changes = CHAINS | {"num_chains": 3, "batch_size": 8, "schedule": "polynomial", "decay_steps": 20}
    still = draws_of(SGHMCConfig(**changes, step_size=0.1, friction=1.0))
    sgld = draws_of(SGLDConfig(**changes, step_size=0.2))
    torch.testing.assert_close(still, sgld, rtol=1e-4, atol=1e-5)


def test_each_step_of_a_cycle_has_its_noise_and_its_size():
    """The covariance of place and velocity, by recursion over the steps."""
    config = replace(
        BASE,
        step_size=step_size(1.0),
        schedule="cyclical",
        cycles=2,
        explore=0.25,
        draws=15,
        thin=4,
        num_chains=4000,
    )
    draws = draws_of(config)
    covariance, after = torch.zeros(2, 2, dtype=torch.float64), []
    for t in range(-60, 60):
        stiffness = 1.0 if t < 0 else 0.5 * (1 + math.cos(math.pi * (t % 30) / 30))
        noise = 2 * 0.5 * stiffness / PRECISION if t < 0 or t % 30 >= 7.5 else 0.0
        step = torch.tensor([[1 - stiffness, 0.5], [-stiffness, 0.5]], dtype=torch.float64)
        covariance = step @ covariance @ step.T + noise
        after.append(covariance[0, 0])
    expected = torch.stack([after[step] for step in Timetable.of(config, ROWS).kept])
    torch.testing.assert_close(draws.var(0), expected, rtol=5 * (2 / 4000) ** 0.5, atol=0)
    assert expected.max() > 1.3 * expected.min(), "or it would not tell schedules apart"


def test_a_fixed_preconditioner_leaves_the_target(monkeypatch):
    """G is found from few gradients, and so differs by chain: each chain's variance is that of the step h G."""
    monkeypatch.setattr(stochastic_gradient, "SMOOTHING", 0.8)
    config = replace(BASE, precondition="rmsprop", warmup=30)
    density, generator = Density(pair, ()), torch.Generator().manual_seed(0)
    state = sghmc.init(torch.randn(4000, 2, generator=generator) / PAIR.sqrt(), config)
    h, white = 0.2 / float(PAIR.max()), []
    for step in range(300):
        found = state.preconditioner
        state, _ = sghmc.update(state, density, config, h, 1.0, generator)
        assert (state.preconditioner is found) == (step >= config.warmup)
        stiffness = h * state.preconditioner.scale * PAIR
        if step >= 180 and step % 30 == 0:
            white.append(state.theta * (PAIR * (1 - stiffness / (2 * (2 - config.friction)))).sqrt())
    assert stiffness.max() < 2
    torch.testing.assert_close(
        torch.stack(white).flatten(0, 1).var(0), torch.ones(2), rtol=5 * (2 / 8000) ** 0.5, atol=0
    )


def test_an_update_is_the_equation():
    """By hand: v <- (1 - a) v + h (-p theta) + sqrt(2 a h T) xi, theta <- theta + v, twice."""
    density, generator = Density(pair, ()), torch.Generator().manual_seed(7)
    theta, v, state = torch.tensor([[0.3, -0.2], [0.1, 0.5]]), torch.zeros(2, 2), None
    state = sghmc.init(theta, BASE)
    normals = torch.Generator().manual_seed(7)
    for _ in range(2):
        state, _ = sghmc.update(state, density, BASE, 0.01, 0.5, generator)
        v = (
            0.5 * v
            - 0.01 * PAIR * theta
            + (2 * 0.5 * 0.01 * 0.5) ** 0.5 * torch.randn(2, 2, generator=normals)
        )
        theta = theta + v
    torch.testing.assert_close(state.theta, theta)
    torch.testing.assert_close(state.velocity, v)


@pytest.mark.parametrize("friction", [0.0, 1.1, -0.1])
def test_friction_is_a_share(friction):
    with pytest.raises(InputError, match="friction"):
        SGHMCConfig(friction=friction)

"""SGLD against the exact law of its chain, whose noise belongs to its step."""

import math
from dataclasses import replace

import pytest
import torch
from location import CHAINS, PAIR, PRECISION, ROWS, TOLERANCE, draws_of, pair, step_size

from mtbkd.density import Density
from mtbkd.inference import SGLDConfig, sgld, stochastic_gradient
from mtbkd.inference.stochastic_gradient import Timetable

BASE = SGLDConfig(**CHAINS)


@pytest.mark.parametrize("stiffness", [0.5, 1.0, 3.0])
@pytest.mark.parametrize("temperature", [1.0, 0.25])
def test_the_variance_is_that_of_its_steps(stiffness, temperature):
    """theta' = (1 - eps p/2) theta + sqrt(eps T) xi is stationary at T / (p (1 - eps p/4)), 4 T / p at eps p = 3."""
    config = replace(BASE, step_size=step_size(stiffness), posterior_temperature=temperature)
    draws = draws_of(config)
    exact = temperature / (PRECISION * (1 - stiffness / 4))
    assert draws.var().item() == pytest.approx(exact, rel=TOLERANCE)
    assert draws.mean().abs() < 5 * (exact / draws.numel()) ** 0.5 * 1.5


def test_the_weight_prior_is_not_scaled_with_the_batch():
    """Batches of 8 of 32 equal rows have the gradient of all. Of a prior scaled by 4 the precision is 160 for 64."""
    draws = draws_of(replace(BASE, step_size=step_size(1.0), batch_size=8))
    assert draws.var().item() == pytest.approx(1 / (PRECISION * 0.75), rel=TOLERANCE)
    assert draws.mean().abs() < 0.01


def test_each_step_of_a_cycle_has_its_noise_and_its_size():
    """The variance at each draw, by recursion over the steps: var <- (1 - eps p/2)^2 var + eps T."""
    config = replace(
        BASE,
        step_size=step_size(0.5),
        schedule="cyclical",
        cycles=2,
        explore=0.25,
        draws=15,
        thin=4,
        num_chains=4000,
    )
    draws = draws_of(config)
    variance, after = 0.0, []
    for t in range(-60, 60):
        stiffness = 0.5 if t < 0 else 0.25 * (1 + math.cos(math.pi * (t % 30) / 30))
        noise = stiffness / PRECISION if t < 0 or t % 30 >= 7.5 else 0.0
        variance = (1 - stiffness / 2) ** 2 * variance + noise
        after.append(variance)
    kept = Timetable.of(config, ROWS).kept
    expected = torch.tensor([after[step] for step in kept], dtype=torch.float64)
    torch.testing.assert_close(draws.var(0), expected, rtol=5 * (2 / 4000) ** 0.5, atol=0)
    assert expected.max() > 1.3 * expected.min(), "or it would not tell schedules apart"


def test_a_fixed_preconditioner_leaves_the_target(monkeypatch):
    """G is found from few gradients, and so differs by chain: each chain's variance is 1 / (p (1 - eps G p/4))."""
    monkeypatch.setattr(stochastic_gradient, "SMOOTHING", 0.8)
    config = replace(BASE, precondition="rmsprop", warmup=30)
    density, generator = Density(pair, ()), torch.Generator().manual_seed(0)
    state = sgld.init(torch.randn(4000, 2, generator=generator) / PAIR.sqrt(), config)
    eps, white = 0.4 / float(PAIR.max()), []
    for step in range(200):
        found = state.preconditioner
        state, _ = sgld.update(state, density, config, eps, 1.0, generator)
        assert (state.preconditioner is found) == (step >= config.warmup)
        stiffness = eps * state.preconditioner.scale * PAIR
        if step >= 100 and step % 20 == 0:
            white.append(state.theta * (PAIR * (1 - stiffness / 4)).sqrt())
    assert stiffness.max() < 3
    assert stiffness.std(0).min() > 0.1 * stiffness.mean(0).min(), "or chains would not differ"
    # Of 4000 chains at five times, which are correlated.
    torch.testing.assert_close(
        torch.stack(white).flatten(0, 1).var(0), torch.ones(2), rtol=5 * (2 / 8000) ** 0.5, atol=0
    )


def test_an_update_is_the_equation():
    """By hand: theta + eps/2 (-p theta) + sqrt(eps T) xi with the generator's next normals."""
    density = Density(pair, ())
    theta = torch.tensor([[0.3, -0.2], [0.1, 0.5]])
    state, value = sgld.update(
        sgld.init(theta, BASE), density, BASE, 0.01, 0.5, torch.Generator().manual_seed(7)
    )
    xi = torch.randn(2, 2, generator=torch.Generator().manual_seed(7))
    torch.testing.assert_close(state.theta, theta - 0.005 * PAIR * theta + 0.005**0.5 * xi)
    torch.testing.assert_close(value, density.log_prob(theta))
    assert state.step == 1

"""What SVI says besides its draws, and the independence of its fits."""

import math
from dataclasses import replace

import pytest
import torch
from exact import ENGINES, linear, linear_data, linear_fit, linear_posterior

from mtbkd.fitting import fit


def test_the_elbo_of_the_exact_posterior_is_the_evidence():
    """A full-rank guide on a linear model reaches log p(y), here in closed form."""
    design, y = linear_data()
    posterior = linear_fit("svi low_rank")
    a = torch.cat([design, torch.ones(len(y), 1)], 1).double()
    covariance = 0.25 * torch.eye(len(y), dtype=torch.float64) + 4.0 * a @ a.T
    normal = torch.distributions.MultivariateNormal(torch.zeros(len(y), dtype=torch.float64), covariance)
    elbo = posterior.trace["elbo"][-500:].double().mean().item() * len(y)
    assert elbo == pytest.approx(normal.log_prob(y.double()).item(), abs=0.15)
    last_tenth = posterior.trace["elbo"][-250:].mean().item()
    assert posterior.info["elbo_per_datum"] == pytest.approx(last_tenth, rel=1e-5)


def test_the_mean_field_elbo_is_lower_by_its_divergence():
    design, y = linear_data()
    posterior = linear_fit("svi")
    a = torch.cat([design, torch.ones(len(y), 1)], 1).double()
    covariance = 0.25 * torch.eye(len(y), dtype=torch.float64) + 4.0 * a @ a.T
    normal = torch.distributions.MultivariateNormal(torch.zeros(len(y), dtype=torch.float64), covariance)
    _, precision = linear_posterior(design, y)
    divergence = 0.5 * (precision.diagonal().log().sum() - torch.logdet(precision)).item()
    assert divergence > 0.5
    elbo = posterior.trace["elbo"][-500:].double().mean().item() * len(y)
    assert elbo == pytest.approx(normal.log_prob(y.double()).item() - divergence, abs=0.3)


def test_the_deviations_are_those_of_the_mean_field_to_two_percent():
    """With 64 particles a step the guide itself, not its draws, is told from one with nine tenths of the entropy."""
    config = replace(ENGINES["svi"].config, particles=64, steps=800, learning_rate=0.03, draws=2)
    posterior = fit(linear, linear_data(), config, progress=False)
    _, precision = linear_posterior(*linear_data())
    expected = (1 / precision.diagonal().sqrt()).median().item()
    assert posterior.info["posterior_sd_median"] == pytest.approx(expected, rel=0.02)


def test_a_fit_does_not_know_the_one_before():
    config = ENGINES["svi"].tiny
    alone = fit(linear, linear_data(), config, seed=1, progress=False)
    fit(linear, linear_data(), config, seed=2, progress=False)
    again = fit(linear, linear_data(), config, seed=1, progress=False)
    assert torch.equal(alone.values["slope"], again.values["slope"])


def test_more_particles_than_one_lower_the_noise():
    """The ELBO's trace of two runs that differ in particles alone: variances 1 and 1/8 of the particles' part."""
    config = replace(ENGINES["svi"].config, steps=150, learning_rate=1e-6, init_scale=0.3)
    one, eight = (
        fit(linear, linear_data(), replace(config, particles=n), progress=False).trace["elbo"].var().item()
        for n in (1, 8)
    )
    assert math.log2(one / eight) == pytest.approx(3.0, abs=1.0)

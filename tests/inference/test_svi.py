"""What SVI says besides its draws, how good its guides are where the answer is known, and how its runs end."""

import math
from contextlib import contextmanager
from dataclasses import replace
from functools import cache

import pyro
import pyro.distributions as dist
import pytest
import torch
from exact import ENGINES, check_normal, coefficients, linear, linear_data, linear_fit, linear_posterior
from torch import Tensor

from mtbkd.errors import InputError
from mtbkd.fitting import fit
from mtbkd.inference.svi import SVIConfig
from mtbkd.posterior import Posterior
from mtbkd.progress import Progress


def evidence() -> float:
    """log p(y) of the linear regression in closed form."""
    design, y = linear_data()
    a = torch.cat([design, torch.ones(len(y), 1)], 1).double()
    covariance = 0.25 * torch.eye(len(y), dtype=torch.float64) + 4.0 * a @ a.T
    mean = torch.zeros(len(y), dtype=torch.float64)
    return torch.distributions.MultivariateNormal(mean, covariance).log_prob(y.double()).item()


def divergence(precision: Tensor) -> float:
    """KL from the best normal with independent coordinates to the normal of this precision."""
    return 0.5 * (precision.diagonal().log().sum() - torch.logdet(precision)).item()


@pytest.mark.parametrize("name", ["svi low_rank", "svi full", "svi flow"])
def test_the_elbo_of_the_exact_posterior_is_the_evidence(name):
    """A guide that holds the posterior reaches log p(y)."""
    posterior = linear_fit(name)
    elbo = posterior.trace["elbo"][-500:].double().mean().item() * 32
    assert elbo == pytest.approx(evidence(), abs=0.15)
    last_tenth = posterior.trace["elbo"][-250:].mean().item()
    assert posterior.info["elbo_per_datum"] == pytest.approx(last_tenth, rel=1e-5)


def test_the_mean_field_elbo_is_lower_by_its_divergence():
    missing = divergence(linear_posterior(*linear_data())[1])
    assert missing > 0.5
    elbo = linear_fit("svi").trace["elbo"][-500:].double().mean().item() * 32
    assert elbo == pytest.approx(evidence() - missing, abs=0.3)


@pytest.mark.parametrize("name", ["svi", "svi low_rank", "svi full", "svi flow"])
def test_log_q_is_the_density_of_the_draws(name):
    """The logarithms of importance weights p / q average to the ELBO, and they themselves to the evidence."""
    posterior = linear_fit(name)
    log_weight = (posterior.log_density - posterior.stats["log_q"]).double().flatten()
    if name != "svi":  # narrower than the posterior in some directions, its weights have no variance
        averaged = torch.logsumexp(log_weight, 0).item() - math.log(len(log_weight))
        assert averaged == pytest.approx(evidence(), abs=0.05)
    expected = evidence() - (divergence(linear_posterior(*linear_data())[1]) if name == "svi" else 0.0)
    assert log_weight.mean().item() == pytest.approx(expected, abs=0.1)


def test_the_deviations_are_those_of_the_mean_field_to_two_percent():
    """With 64 particles a step the guide itself, not its draws, is told from one with nine tenths of the entropy."""
    config = replace(ENGINES["svi"].config, particles=64, steps=800, learning_rate=0.03, draws=2)
    posterior = fit(linear, linear_data(), config, progress=False)
    _, precision = linear_posterior(*linear_data())
    expected = (1 / precision.diagonal().sqrt()).median().item()
    assert posterior.info["posterior_sd_median"] == pytest.approx(expected, rel=0.02)


# ---- a correlated normal of dimension 50 --------------------------------------------------------------------------

DIM = 50


def correlated(tril: Tensor) -> None:
    pyro.sample("z", dist.MultivariateNormal(tril.new_ones(len(tril)), scale_tril=tril))


def chain_covariance() -> Tensor:
    """Neighbours correlated by .9, deviations from .5 to 2.5."""
    i = torch.arange(DIM)
    scale = 0.5 + i / 25
    return 0.9 ** (i[:, None] - i).abs() * torch.outer(scale, scale)


def factor_covariance() -> Tensor:
    """A diagonal and three factors."""
    generator = torch.Generator().manual_seed(0)
    factor, scale = torch.randn(DIM, 3, generator=generator), 0.3 + torch.rand(DIM, generator=generator)
    return scale[:, None] * (torch.eye(DIM) + factor @ factor.T) * scale


@pytest.mark.parametrize(
    ("guide", "covariance", "particles", "worst"),
    [
        ("full", chain_covariance(), 32, 0.4),
        pytest.param("flow", chain_covariance(), 32, 0.4, marks=pytest.mark.slow),
        ("low_rank", factor_covariance(), 8, 0.2),
        ("diagonal", chain_covariance(), 8, None),
    ],
)
def test_fifty_correlated_dimensions(guide, covariance, particles, worst):
    """The divergence from the normal in nats, and the covariance of whitened draws: 2000, each sd .03 or less."""
    config = SVIConfig(
        guide=guide,
        rank=3,
        particles=particles,
        steps=1500,
        learning_rate=0.03,
        draws=2000,
        warm_start=0,
        init_scale=0.1,
    )
    tril = torch.linalg.cholesky(covariance)
    posterior = fit(correlated, (tril,), config, progress=False)
    found = (posterior.stats["log_q"] - posterior.log_density).mean().item()
    if worst is None:
        assert found == pytest.approx(divergence(torch.linalg.inv(covariance)), rel=0.05)
        return
    assert -0.05 < found < worst
    white = torch.linalg.solve_triangular(tril, (posterior.samples()["z"][0] - 1).T, upper=False)
    assert (torch.cov(white) - torch.eye(DIM)).abs().max() < 0.2
    assert white.mean(1).abs().max() < 0.25


# ---- runs ----------------------------------------------------------------------------------------------------------


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


PLATEAU = replace(ENGINES["svi"].config, schedule="plateau", particles=8, tolerance=0.1, draws=2000)


@cache
def plateau_fit() -> Posterior:
    return fit(linear, linear_data(), PLATEAU, seed=1, progress=False)


class StoppedAt(Progress):
    """Ends a run after some steps, as if the power had gone."""

    def __init__(self, step: int) -> None:
        self.step = step

    @contextmanager
    def stage(self, name, total, done=0):
        count = done

        def advance(steps=1, **figures):
            nonlocal count
            count += steps
            if count == self.step:
                raise InterruptedError

        yield advance


def test_a_run_ends_at_its_plateau():
    posterior = plateau_fit()
    steps = int(posterior.info["steps_run"])
    assert steps in {math.ceil(1.5 * look) for look in (300, 450, 675, 1013)}
    assert posterior.trace["elbo"].shape == (steps,)
    check_normal(
        coefficients(posterior), *linear_posterior(*linear_data()), replace(ENGINES["svi"], draws=500)
    )


def test_the_limit_is_no_part_of_the_rule_and_ends_a_run():
    longer, sooner = (
        fit(linear, linear_data(), replace(PLATEAU, steps=steps, draws=2), seed=1, progress=False)
        for steps in (5000, 200)
    )
    assert torch.equal(plateau_fit().trace["elbo"], longer.trace["elbo"])
    assert sooner.info["steps_run"] == 200


@pytest.mark.parametrize("share", [0.5, 0.9])
def test_a_run_stopped_on_either_side_of_its_plateau_ends_where_it_would_have(share, tmp_path):
    whole = plateau_fit()
    stop = int(share * whole.info["steps_run"])
    with pytest.raises(InterruptedError):
        fit(linear, linear_data(), PLATEAU, seed=1, progress=StoppedAt(stop), checkpoint=tmp_path)
    for _ in range(2):  # the second time it is a finished run that is read again
        again = fit(linear, linear_data(), PLATEAU, seed=1, progress=False, checkpoint=tmp_path)
        assert torch.equal(again.trace["elbo"], whole.trace["elbo"])
        assert torch.equal(again.values["slope"], whole.values["slope"])
        assert torch.equal(again.stats["log_q"], whole.stats["log_q"])
    assert again.meta["resumed_from_step"] == whole.info["steps_run"]


def test_rates_survive_a_change_of_n():
    """The same rows twice: twice the data, and the same steps of the mode, as the loss is a datum's."""
    design, y = linear_data()
    config = replace(ENGINES["svi"].config, steps=30, init_scale=1e-3, schedule="constant", draws=50)
    once, twice = (
        fit(linear, data, config, progress=False).samples()["slope"].mean((0, 1))
        for data in ((design, y), (design.repeat(2, 1), y.repeat(2)))
    )
    torch.testing.assert_close(once, twice, rtol=0.05, atol=0.01)


def test_a_full_guide_of_a_large_student_is_refused():
    def wide() -> None:
        pyro.sample("z", dist.Normal(torch.zeros(9000), 1.0).to_event(1))

    with pytest.raises(InputError, match="guide=full of 9,000 weights"):
        fit(wide, (), SVIConfig(guide="full", warm_start=0), progress=False)


@pytest.mark.compile
def test_a_compiled_run_is_the_eager_one():
    """Draw for draw, to what rounding makes of forty steps."""
    config = replace(ENGINES["svi full"].config, steps=40, draws=10)
    eager, compiled = (
        fit(linear, linear_data(), config, compiled=way, progress=False) for way in ("never", "always")
    )
    torch.testing.assert_close(compiled.values["slope"], eager.values["slope"], rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(compiled.trace["elbo"], eager.trace["elbo"], rtol=1e-3, atol=1e-3)

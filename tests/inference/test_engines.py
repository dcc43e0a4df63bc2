"""Every engine against posteriors known in closed form, and what all engines owe: seeds, chains, starts."""

import random
from dataclasses import replace

import numpy as np
import pyro
import pytest
import torch
from exact import (
    ENGINES,
    check_normal,
    coefficients,
    gamma_posterior,
    known_mean,
    known_mean_data,
    linear,
    linear_data,
    linear_fit,
    linear_posterior,
)
from torch import Tensor, nn

from mtbkd import registry
from mtbkd.data.distillation import hash_inputs
from mtbkd.errors import InputError
from mtbkd.fitting import fit
from mtbkd.inference.engine import EngineConfig
from mtbkd.priors import DirichletMixture
from mtbkd.students import NormalWeights, Student
from mtbkd.teachers.bank import TeacherBank

names = pytest.mark.parametrize("name", list(ENGINES))


def test_every_engine_is_listed():
    assert {engine.config.name for engine in ENGINES.values()} == set(registry.names("inference"))


@names
def test_configurations_tell_what_fit_asks(name):
    assert isinstance(ENGINES[name].config, EngineConfig)
    assert ENGINES[name].config.evaluations >= 0


# ---- exact posteriors ----------------------------------------------------------------------------------------


@names
def test_linear_regression_is_exact(name):
    check_normal(coefficients(linear_fit(name)), *linear_posterior(*linear_data()), ENGINES[name])


@pytest.mark.parametrize("name", ["map", "svi"])
def test_mini_batches_find_the_same(name):
    """Batches of 8 of 32 rows: an estimate of the posterior of all rows, not of 8."""
    engine = ENGINES[name]
    data = linear_data()
    steps = 3000 if name == "map" else engine.config.steps
    config = replace(engine.config, batch_size=8, steps=steps)
    posterior = fit(linear, data, config, seed=2, progress=False)
    draws = coefficients(posterior)
    mean, precision = linear_posterior(*data)
    if name == "map":
        assert ((draws - mean).flatten() @ torch.linalg.cholesky(precision)).abs().max() < 0.3
        return
    check_normal(draws, mean, precision, replace(engine, draws=600))


def test_chunked_rows_find_the_same(monkeypatch):
    """HMC in memory for a few rows at a time is HMC."""
    from mtbkd.density import Density

    plan = Density.plan
    monkeypatch.setattr(Density, "plan", lambda self, *args: plan(self, *args, memory=8_000))
    config = ENGINES["hmc"].tiny
    chunked = fit(linear, linear_data(), config, progress=False)
    assert 1 < chunked.meta["execution"]["rows"] < 32
    monkeypatch.undo()
    whole = fit(linear, linear_data(), config, progress=False)
    torch.testing.assert_close(coefficients(chunked), coefficients(whole), rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", [name for name in ENGINES if not name.startswith("svi ")])
def test_a_positive_site_is_exact(name):
    """The precision of a normal under its Gamma prior."""
    engine = ENGINES[name]
    x = known_mean_data()
    shape, rate = gamma_posterior(x)
    draws = fit(known_mean, (x,), engine.config, seed=3, progress=False).samples()["precision"].double()
    assert (draws > 0).all()
    if engine.says == "mode":
        # The mode of log tau, whose density has the Jacobian tau: shape / rate, not (shape - 1) / rate.
        assert draws.flatten().tolist() == pytest.approx([shape / rate] * draws.numel(), rel=1e-3)
        return
    log, error = draws.log().flatten(), engine.draws**-0.5
    if "svi" in name or "laplace" in name:
        # Laplace: mode log(shape / rate) of log tau, curvature shape. The best log-normal: stationary KL gives variance
        # 1 / shape as well and mean log(shape / rate) - 1 / (2 shape).
        mean, sd = np.log(shape / rate) - ("svi" in name) * 0.5 / shape, shape**-0.5
        assert log.mean().item() == pytest.approx(mean, abs=5 * sd * error)
        assert log.std().item() == pytest.approx(sd, rel=5 * error)
        return
    mean, sd = shape / rate, shape**0.5 / rate
    assert draws.mean().item() == pytest.approx(mean, abs=5 * sd * error)
    # The variance of a variance of Gamma draws: kurtosis 3 + 6 / shape.
    assert draws.var().item() == pytest.approx(sd**2, rel=5 * error * (2 + 6 / shape) ** 0.5)
    median = torch.distributions.Gamma(shape, rate).sample((200_000,)).median().item()
    assert draws.median().item() == pytest.approx(median, abs=6 * sd * error)


# ---- a student with teachers against quadrature -----------------------------------------------------------------


class Logistic(nn.Module):
    """Two weights: logits (w . x, 0)."""

    def __init__(self) -> None:
        super().__init__()
        self.line = nn.Linear(2, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        z = self.line(x)
        return torch.cat([z, torch.zeros_like(z)], -1)


def small_problem() -> tuple[Student, Tensor, Tensor, dict[str, Tensor]]:
    """Six inputs, three labels, two teachers that disagree, one of them Bayesian."""
    generator = torch.Generator().manual_seed(5)
    x = torch.randn(6, 2, generator=generator)
    y = torch.tensor([0, 1, -1, -1, 0, -1])
    point = torch.softmax(1.5 * torch.randn(6, 2, generator=generator), -1)
    draws = torch.softmax(
        1.5 * torch.randn(1, 6, 2, generator=generator) + torch.randn(20, 6, 2, generator=generator), -1
    )
    bank = TeacherBank.from_probs({"point": point, "bayes": draws}, inputs=x)
    weights = torch.tensor([[0.7, 0.3]]).repeat(6, 1)
    prior = DirichletMixture(bank, weights, 3.0)
    student = Student(Logistic(), prior, strength=0.8, weight_prior=NormalWeights(1.5, "fixed"))
    return student, x, y, {"point": point, "bayes": draws}


def quadrature() -> tuple[Tensor, Tensor, Tensor]:
    """Mean, covariance of the two weights and predictive probabilities of class 0, by a grid and plain formulas."""
    _, x, y, teachers = small_problem()
    side = torch.linspace(-6, 6, 401, dtype=torch.float64)
    w = torch.cartesian_prod(side, side)
    z = w @ x.double().T
    q = torch.stack([torch.sigmoid(z), torch.sigmoid(-z)], -1)
    log_p = -w.square().sum(-1) / (2 * 1.5**2)
    labelled = y >= 0
    log_p += q[:, labelled].gather(-1, y[labelled].expand(len(w), -1)[..., None]).log().sum((1, 2))
    mean = teachers["bayes"].double().mean(0)
    spread = teachers["bayes"].double().var(0).sum(-1)
    precision = ((mean * (1 - mean)).sum(-1) / spread - 1).clamp(0.5, 20.0)
    components = [
        (0.7, torch.distributions.Dirichlet(1 + 3.0 * teachers["point"].double())),
        (0.3, torch.distributions.Dirichlet(1 + precision[:, None] * mean)),
    ]
    mixture = torch.logsumexp(torch.stack([np.log(s) + d.log_prob(q) for s, d in components]), 0)
    log_p += 0.8 * mixture.sum(-1)
    share = torch.softmax(log_p, 0)
    centre = share @ w
    covariance = (w - centre).T @ ((w - centre) * share[:, None])
    return centre, covariance, share @ q[..., 0]


@pytest.mark.parametrize("name", ["hmc", "svi low_rank"])
def test_a_student_with_two_weights_is_the_quadrature(name):
    student, x, y, _ = small_problem()
    centre, covariance, predictive = quadrature()
    config = replace(ENGINES[name].config, warm_start=50)
    if name == "svi low_rank":
        config = replace(config, rank=2)
    posterior = fit(student, (x, y), config, seed=4, progress=False)
    draws = posterior.samples()["line.weight"].double().flatten(0, 1).flatten(1)
    got = posterior.predict(x).mean[:, 0].double()
    white = (draws - centre) @ torch.linalg.cholesky(torch.linalg.inv(covariance))
    # Monte Carlo for the samplers; for the normal of SVI what a skewed posterior leaves, widened by hand.
    tolerance = 5 * ENGINES[name].draws ** -0.5 if "svi" not in name else 0.35
    assert white.mean(0).abs().max() < tolerance
    assert (torch.cov(white.T) - torch.eye(2)).abs().max() < 2**0.5 * tolerance
    assert (got - predictive).abs().max() < 0.3 * tolerance


def test_a_student_of_a_bayesian_teacher_is_the_same_from_mini_batches():
    student, x, y, _ = small_problem()
    config = replace(ENGINES["svi"].config, particles=16, steps=1000, learning_rate=0.03, draws=1000)
    whole, parts = (
        fit(student, (x, y), replace(config, batch_size=size), progress=False)
        .samples()["line.weight"]
        .flatten(0, 2)
        for size in (None, 2)
    )
    # The noise of batches of two of six rows is left in the mean; a batch taken for all would widen by sqrt(3).
    assert ((whole.mean(0) - parts.mean(0)) / whole.std(0)).abs().max() < 0.2
    assert (whole.std(0) / parts.std(0)).log().abs().max() < 0.12


# ---- seeds, chains, starts ----------------------------------------------------------------------------------------


def global_states() -> list[str]:
    numpy_state = np.random.get_state()  # noqa: NPY002 - to see that it is left alone
    return [
        hash_inputs(torch.get_rng_state()),
        str(random.getstate()),
        str((numpy_state[1].tolist(), numpy_state[2])),
        str(sorted(pyro.get_param_store().keys())),
    ]


@names
def test_a_seed_is_a_run_and_nothing_global_is_touched(name):
    config = ENGINES[name].tiny
    before = global_states()
    first = fit(linear, linear_data(), config, seed=5, progress=False)
    assert global_states() == before
    torch.manual_seed(123)  # the world's state is no part of a run
    again = fit(linear, linear_data(), config, seed=5, progress=False)
    other = fit(linear, linear_data(), config, seed=6, progress=False)
    assert torch.equal(coefficients(first), coefficients(again))
    assert torch.equal(first.log_density, again.log_density)
    assert not torch.equal(coefficients(first), coefficients(other))


@names
def test_draws_have_their_shape_and_density(name):
    config = ENGINES[name].tiny
    data = linear_data()
    posterior = fit(linear, data, config, seed=5, progress=False)
    draws = coefficients(posterior)
    assert draws.shape == (config.num_chains, getattr(config, "draws", 1), 4)
    assert (posterior.num_chains, posterior.num_draws) == draws.shape[:2]
    mean, precision = linear_posterior(*data)
    # log posterior up to a constant: differences between draws are those of the normal.
    centred = draws - mean
    expected = -0.5 * torch.einsum("csd,de,cse->cs", centred, precision, centred)
    constant = posterior.log_density.double() - expected
    assert (constant - constant[0, 0]).abs().max() < 1e-3 * expected.abs().max().clamp(min=10.0)
    assert all(v.shape == draws.shape[:2] for v in posterior.stats.values())
    assert posterior.meta["engine"] == config.name
    assert posterior.meta["seed"] == 5


@pytest.mark.parametrize(
    ("name", "field"), [("map", "num_starts"), ("hmc", "num_chains"), ("nuts", "num_chains")]
)
def test_chains_are_as_many_as_asked_and_differ(name, field):
    config = replace(ENGINES[name].tiny, **{field: 3})
    draws = coefficients(fit(linear, linear_data(), config, progress=False))
    assert len(draws) == 3
    assert not torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[1], draws[2])


@names
def test_a_start_that_does_not_fit_is_refused(name):
    config = ENGINES[name].tiny
    start = fit(known_mean, (known_mean_data(),), ENGINES["map"].tiny, progress=False)
    with pytest.raises(InputError, match="no value for site 'slope'"):
        fit(linear, linear_data(), config, start=start, progress=False)


@names
def test_engines_start_where_they_are_told(name):
    """From the top, a MAP of no more than a step stays there and the others' short runs stay around."""
    data = linear_data()
    mean, precision = linear_posterior(*data)
    top = linear_fit("map")
    config = ENGINES[name].tiny
    if name == "map":
        config = replace(config, steps=1, learning_rate=1e-6)
    draws = coefficients(fit(linear, data, config, start=top, progress=False))
    distance = torch.einsum("csd,de,cse->cs", draws - mean, precision, draws - mean)
    assert distance.max() < 40  # chi-square with four degrees; a start at 0 has over 300
    assert mean @ precision @ mean > 300


def test_the_number_of_starts_is_checked():
    two = fit(linear, linear_data(), replace(ENGINES["map"].tiny, num_starts=2), progress=False)
    with pytest.raises(InputError, match="start has 2 chains, the engine 3"):
        fit(linear, linear_data(), replace(ENGINES["hmc"].tiny, num_chains=3), start=two, progress=False)


@pytest.mark.parametrize(
    ("name", "field", "value"),
    [
        ("map", "steps", 0),
        ("map", "learning_rate", -0.1),
        ("map", "batch_size", 0),
        ("map", "schedule", "cosin"),
        ("svi", "guide", "fulll"),
        ("svi", "tolerance", 0.0),
        ("svi", "rank", 0),
        ("svi", "draws", 0),
        ("svi", "init_scale", 0.0),
        ("svi", "particles", 0),
        ("svi", "warm_start", -1),
        ("ensemble", "num_members", 0),
        ("ensemble", "schedule", "plateau"),
        ("hmc", "num_chains", 0),
        ("hmc", "warmup", 5),
        ("hmc", "trajectory", 0.0),
        ("hmc", "accept", 1.0),
        ("hmc", "dtype", "float16"),
        ("hmc", "warm_start", -1),
        ("nuts", "draws", 0),
        ("nuts", "max_tree_depth", 0),
        ("nuts", "accept", 1.5),
        ("nuts", "warm_start", -1),
        ("pyro_svi", "steps", 0),
        ("pyro_svi", "warm_start", -1),
    ],
)
def test_bad_settings_are_refused_by_name(name, field, value):
    with pytest.raises(InputError, match=field):
        replace(ENGINES[name].config, **{field: value})

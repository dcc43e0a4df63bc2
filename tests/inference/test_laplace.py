"""Laplace's normals against dense formulas, its predictions against written-out ones and against HMC."""

from contextlib import contextmanager
from dataclasses import replace

import pyro
import pyro.distributions as dist
import pytest
import torch
from torch.distributions import MultivariateNormal
from torch.func import functional_call, jacrev

from mtbkd.density import Density
from mtbkd.errors import InputError
from mtbkd.fitting import fit
from mtbkd.inference import HMCConfig, LaplaceConfig, MAPConfig, curvature, laplace
from mtbkd.inference.checkpoints import Checkpoints
from mtbkd.posterior import Posterior
from mtbkd.priors import DirichletMixture, DirichletProduct
from mtbkd.progress import Progress
from mtbkd.students import NormalWeights, Student, cnn, mlp
from mtbkd.teachers.bank import TeacherBank

pytestmark = pytest.mark.filterwarnings("ignore:There is a performance drop", "ignore:.*no labelled example")

N, K = 12, 3
X = torch.randn(N, 6, generator=torch.Generator().manual_seed(0))
Y = torch.tensor([0, 1, 2, -1] * 3)
NEW = torch.randn(7, 6, generator=torch.Generator().manual_seed(1))
SHORT = LaplaceConfig(warm_start=20, draws=6)


def student(network=None, kind=DirichletMixture, **more) -> Student:
    """A student of two teachers that disagree."""
    generator = torch.Generator().manual_seed(2)
    logits = 2 * torch.randn(2, N, K, generator=generator)
    bank = TeacherBank.from_logits({"a": logits[0], "b": logits[1]}, inputs=X)
    prior = kind(bank, torch.full((N, 2), 0.5), 5.0)
    return Student(mlp(6, [5], K) if network is None else network, prior, **more)


def dense(density: Density, theta: torch.Tensor) -> torch.Tensor:
    """The whole precision `[D, D]`."""
    return (
        curvature.gauss_newton(density, theta, density.tensors) + curvature.weight_precision(density).diag()
    )


def precision_by(config: LaplaceConfig, density: Density, theta: torch.Tensor) -> torch.Tensor:
    """The precision `[D, D]` that an engine's draws have, from what noise becomes."""
    generator = torch.Generator().manual_seed(3)
    work = laplace.plan(density, config)
    state = laplace.init(density, config, work, generator)
    for _ in range(work.steps):
        state = laplace.update(state, density, config, work, theta)
    made = laplace.precision_of(state, density, config, work)
    root = made.deviations(torch.eye(density.dim, dtype=torch.float64))
    return torch.linalg.inv(root.T @ root)


@pytest.fixture(scope="module")
def problem() -> tuple[Density, torch.Tensor]:
    model = student()
    density = Density(model, model.rows((X, Y)), dtype=torch.float64)
    values = fit(student(), (X, Y), MAPConfig(steps=200), progress=False).samples()
    return density, density.flatten({name: v[0, 0] for name, v in values.items()})


# ---- the normals -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("batch_size", [None, 5])
def test_a_structure_is_what_it_says(problem, batch_size):
    density, theta = problem
    expected = dense(density, theta)
    config = replace(SHORT, batch_size=batch_size)
    full = precision_by(config, density, theta)
    torch.testing.assert_close(full, expected, rtol=1e-6, atol=1e-6)
    diagonal = precision_by(replace(config, structure="diagonal"), density, theta)
    torch.testing.assert_close(diagonal, expected.diagonal().diag(), rtol=1e-6, atol=1e-6)
    # As many eigenpairs as there can be (12 rows of two free logits): nothing is left out.
    all_of_it = precision_by(replace(config, structure="low_rank", rank=24), density, theta)
    torch.testing.assert_close(all_of_it, expected, rtol=1e-5, atol=1e-5)


def test_low_rank_is_the_largest_eigenpairs_and_the_diagonal_of_the_rest(problem):
    density, theta = problem
    prior = curvature.weight_precision(density)
    expected = dense(density, theta)
    root = prior.sqrt()
    values, vectors = torch.linalg.eigh((expected - prior.diag()) / root[:, None] / root)
    top = root[:, None] * vectors[:, -3:] * values[-3:].sqrt()
    rest = expected.diagonal() - top.square().sum(-1)
    config = replace(SHORT, structure="low_rank", rank=3, passes=8, batch_size=5)
    got = precision_by(config, density, theta)
    torch.testing.assert_close(got, top @ top.T + rest.diag(), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(got.diagonal(), expected.diagonal())  # whatever the rank and the passes
    rough = precision_by(replace(config, passes=1, rank=1), density, theta)
    torch.testing.assert_close(rough.diagonal(), expected.diagonal())


@pytest.mark.parametrize("structure", laplace.STRUCTURES)
def test_part_of_the_rows_stands_for_all(structure):
    """Rows that are all the same: four of twelve, times three, are exactly the twelve."""
    model = Student(mlp(6, [5], K))
    density = Density(model, model.rows((X[:1].expand(N, -1), Y[:1].expand(N))), dtype=torch.float64)
    theta = 0.5 * torch.randn(density.dim, generator=torch.Generator().manual_seed(4), dtype=torch.float64)
    config = replace(SHORT, structure=structure, rank=2, batch_size=3)
    some, whole = (precision_by(replace(config, curvature_rows=rows), density, theta) for rows in (4, None))
    torch.testing.assert_close(some, whole)


@pytest.mark.parametrize("structure", laplace.STRUCTURES)
def test_draws_and_their_density_are_the_normals(problem, structure, monkeypatch):
    density, theta = problem
    monkeypatch.setattr(laplace, "NOISE", 1000 * density.dim)  # a thousand draws at a time
    config = replace(SHORT, structure=structure, rank=24, draws=3000, num_chains=2)
    generator = torch.Generator().manual_seed(5)
    start = torch.stack([theta, theta + 0.1])
    draws = laplace.sample(density, config, start, generator, Progress(), Checkpoints(generator))
    for chain, centre in enumerate(start):
        normal = MultivariateNormal(centre, precision_matrix=precision_by(config, density, centre))
        torch.testing.assert_close(draws.stats["log_q"][chain], normal.log_prob(draws.theta[chain]))
        white = (draws.theta[chain] - centre) @ torch.linalg.cholesky(normal.precision_matrix)
        # Monte Carlo errors of 3,000 draws; five of them, and the largest of a thousand entries.
        assert white.mean(0).abs().max() < 5 * 3000**-0.5
        assert (torch.cov(white.T) - torch.eye(density.dim)).abs().max() < 6 * (2 / 3000) ** 0.5
    torch.testing.assert_close(draws.log_density[0, :4], density.log_prob(draws.theta[0, :4]))
    assert torch.equal(draws.centre, start)


def test_layers_that_are_not_bayesian_are_held():
    posterior = fit(student(bayesian="last"), (X, Y), SHORT, progress=False)
    assert set(posterior.values) == set(posterior.centre) == {"2.weight", "2.bias"}
    assert set(posterior.held) == {"0.weight", "0.bias"}
    assert torch.isfinite(posterior.predict(NEW).probs).all()


# ---- predictions -------------------------------------------------------------------------------------------------


def written_out(network, posterior: Posterior, x: torch.Tensor) -> torch.Tensor:
    """softmax of f(x, centre) + J (theta - centre), draw by draw."""
    probs = []
    for chain in range(posterior.num_chains):
        centre = {name: v[chain] for name, v in posterior.centre.items()}
        held = posterior.held
        logits = functional_call(network, held | centre, (x,))
        jacobian = jacrev(lambda w, held=held: functional_call(network, held | w, (x,)))(centre)
        for draw in range(posterior.num_draws):
            step = {name: v[chain, draw] - centre[name] for name, v in posterior.values.items()}
            change = sum((jacobian[name].flatten(2) @ step[name].flatten()) for name in step)
            probs.append(torch.softmax(logits + change, -1))
    return torch.stack(probs).detach()


@pytest.mark.parametrize("name", ["mlp", "last", "cnn"])
def test_linearised_predictions_are_written_out(name, tmp_path):
    x, new = X, NEW
    if name == "cnn":
        x, new = (torch.randn(n, 1, 4, 4, generator=torch.Generator().manual_seed(n)) for n in (N, len(NEW)))
    network = cnn((1, 4, 4), [8], K) if name == "cnn" else mlp(6, [5], K)
    model = Student(network, bayesian="last" if name == "last" else "all")
    posterior = fit(model, (x, Y), replace(SHORT, num_chains=2), progress=False)
    predicted = posterior.predict(new)
    assert predicted.num_chains == 2
    torch.testing.assert_close(predicted.probs, written_out(network, posterior, new), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(posterior.predict(new, memory=10_000).probs, predicted.probs)
    posterior.save(tmp_path / "p")
    again = Posterior.load(tmp_path / "p")
    assert torch.equal(again.predict(new).probs, predicted.probs)
    assert all(torch.equal(again.centre[n], v) for n, v in posterior.centre.items())
    second = posterior.chains(slice(1, 2)).predict(new).probs
    assert torch.equal(second, predicted.probs[6:])
    assert posterior.thin(4).predict(new).probs.shape == (4, len(new), K)


def test_the_networks_own_predictions_have_no_centre(tmp_path):
    linearised = fit(student(), (X, Y), SHORT, progress=False)
    posterior = fit(student(), (X, Y), replace(SHORT, predictive="network"), progress=False)
    assert posterior.centre is None
    assert torch.equal(posterior.values["0.weight"], linearised.values["0.weight"])
    assert not torch.allclose(posterior.predict(NEW).probs, linearised.predict(NEW).probs, atol=1e-3)
    posterior.save(tmp_path / "p")
    assert Posterior.load(tmp_path / "p").centre is None


def test_a_softmax_regression_predicts_as_hmc_does():
    """Logits linear in the weights: what is left is that the posterior is a little skewed."""
    model = student(mlp(6, [], K), DirichletProduct, weight_prior=NormalWeights(0.5, "fixed"))
    config = LaplaceConfig(warm_start=1500, warm_start_rate=0.05, draws=4000)
    posterior = fit(model, (X, Y), config, progress=False)
    exact = fit(
        model,
        (X, Y),
        HMCConfig(num_chains=16, warmup=100, draws=200, warm_start=200, dtype="float64"),
        progress=False,
    )
    ours, theirs = posterior.predict(NEW), exact.predict(NEW.double())
    assert (ours.mean - theirs.mean).abs().max() < 0.03
    assert (ours.probs.std(0) / theirs.probs.std(0)).log().abs().max() < 0.15
    deviations = [p.values["0.weight"].double().flatten(0, 1).std(0) for p in (posterior, exact)]
    assert (deviations[0] / deviations[1]).log().abs().max() < 0.15


# ---- what is refused, and going on ---------------------------------------------------------------------------------


def no_top(y: torch.Tensor) -> None:
    """Two modes, at 3 and -3; the density has a dip between them."""
    loc = pyro.sample("loc", dist.Normal(torch.zeros(2), 10.0).to_event(1))
    pyro.sample("y", dist.Normal(loc.square(), 1.0).to_event(1), obs=y)


@pytest.mark.parametrize("structure", ["full", "diagonal"])
def test_a_start_that_is_no_maximum_is_told(structure):
    config = LaplaceConfig(structure=structure, warm_start=0)
    with pytest.raises(InputError, match=r"no maximum where the chain is .*raise inference\.warm_start"):
        fit(no_top, (torch.tensor([9.0, 9.0]),), config, progress=False)


def test_low_rank_needs_logits():
    with pytest.raises(InputError, match=r"tells its logits .*use full or diagonal"):
        fit(no_top, (torch.tensor([9.0, 9.0]),), replace(SHORT, structure="low_rank"), progress=False)


def test_a_matrix_that_is_too_large_is_refused(monkeypatch):
    monkeypatch.setattr(laplace, "MOST_FULL", 50)
    with pytest.raises(
        InputError, match=r"53 weights make a matrix .*low_rank or diagonal, or student.bayesian"
    ):
        fit(student(), (X, Y), SHORT, progress=False)
    fit(student(bayesian="last"), (X, Y), SHORT, progress=False)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("structure", "kfac"),
        ("predictive", "glm"),
        ("rank", 0),
        ("passes", 0),
        ("curvature_rows", 0),
        ("num_chains", 0),
        ("draws", 0),
        ("warm_start", -1),
    ],
)
def test_bad_settings_are_refused_by_name(field, value):
    with pytest.raises(InputError, match=field):
        replace(LaplaceConfig(), **{field: value})


class Stopped(Exception):
    """As if the power had gone."""


class StopsAt(Progress):
    """Ends the run at a step of Laplace's stage."""

    def __init__(self, step: int) -> None:
        self.step = step

    @contextmanager
    def stage(self, name, total, done=0):
        steps = done

        def advance(count=1, **_):
            nonlocal steps
            steps += count
            if name == "Laplace" and steps == self.step:
                raise Stopped

        yield advance


@pytest.mark.parametrize(("structure", "steps"), [("full", (4,)), ("low_rank", (3, 11))])
def test_a_stopped_curvature_goes_on_to_the_bit(structure, steps, tmp_path):
    """Two chains, three chunks a pass, rows chosen at random: stopped within and between passes and chains."""
    config = replace(
        SHORT, structure=structure, rank=3, passes=2, num_chains=2, batch_size=4, curvature_rows=10
    )
    top = fit(student(), (X, Y), MAPConfig(steps=20), progress=False)
    whole = fit(student(), (X, Y), config, start=top, progress=False)
    for step in steps:
        with pytest.raises(Stopped):
            fit(student(), (X, Y), config, start=top, progress=StopsAt(step), checkpoint=tmp_path / str(step))
        again = fit(student(), (X, Y), config, start=top, progress=False, checkpoint=tmp_path / str(step))
        assert all(torch.equal(again.values[name], v) for name, v in whole.values.items())
        assert torch.equal(again.stats["log_q"], whole.stats["log_q"])
        assert again.meta["resumed_from_step"] == step

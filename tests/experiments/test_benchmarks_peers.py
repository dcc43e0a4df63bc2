"""What makes a comparison fair: peers have our density, steps and predictions; samplers agree before ratios count."""

import copy
import math

import numpy as np
import pytest
import torch

from experiments.benchmarks import by_hand, hmc, predict, sgmcmc, svi_step
from experiments.benchmarks.effective import Effective, agreement
from experiments.benchmarks.plain_steps import LAMBDA, plain_steps
from experiments.benchmarks.problem import Problem, made_up
from mtbkd.density import Density


@pytest.fixture(scope="module")
def problem():
    return made_up(60, (5,), 4, held_out=7)


@pytest.fixture(scope="module")
def student(problem):
    return problem.mlp([3, 3])


@pytest.fixture
def density(problem, student):
    return Density(student, student.rows((problem.x, problem.y)))


# ---- the same posterior ------------------------------------------------------------------------------------------


def test_a_problem_is_kept_whole(problem, tmp_path):
    problem.save(tmp_path / "p.npz")
    again = Problem.load(tmp_path / "p.npz")
    assert again.name == "made up"
    assert list(again.teachers) == list(problem.teachers)
    for one, other in ((again.x, problem.x), (again.y, problem.y), (again.held_y, problem.held_y)):
        assert torch.equal(one, other)
    assert all(torch.equal(again.teachers[name], problem.teachers[name]) for name in problem.teachers)


def test_plain_torch_has_our_density(student, density):
    by_hand.checked_log_posterior(student, density)


def test_jax_has_our_density(student, density):
    pytest.importorskip("jax")
    by_hand.checked_jax(student, density)


@pytest.mark.parametrize("scale", [0.99, 1.01])
def test_another_density_is_refused_before_anything_is_timed(scale, density):
    def other(theta):
        value, grad = density.value_and_grad(theta)
        return value, scale * grad

    with pytest.raises(by_hand.Unequal, match=r"its gradient differs from ours by 1\.0e-02"):
        by_hand.require_equal("JAX", density, other)


def test_plain_steps_train_the_network_with_the_distillation_loss(problem):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = copy.deepcopy(problem.mlp([8]).skeleton.module)
    teacher = problem.mean_probs()
    labelled = problem.y >= 0

    def loss():
        log_q = torch.log_softmax(network(problem.x), -1)
        labels = -log_q[labelled, problem.y[labelled]].mean()
        return (labels + LAMBDA * (teacher * (teacher.log() - log_q)).sum(-1).mean()).item()

    before = loss()
    plain_steps(problem, network, 20, torch.device("cpu"), compiled=False)(600)
    assert loss() < 0.9 * before


@pytest.mark.parametrize("name", ["sgld", "sghmc"])
def test_posteriors_makes_our_steps(name, problem, student, monkeypatch):
    density = Density(student, student.rows((problem.x, problem.y)), dtype=torch.float64)
    posteriors = pytest.importorskip("posteriors")
    module = pytest.importorskip(f"mtbkd.inference.{name}")
    monkeypatch.setitem(sgmcmc.STEP, name, 0.02)
    rng = torch.Generator().manual_seed(0)
    theta = 0.3 * torch.randn(2, density.dim, generator=rng, dtype=torch.float64)
    config = {"sgld": "SGLDConfig", "sghmc": "SGHMCConfig"}[name]
    config = getattr(module, config)(num_chains=2, precondition="none", batch_size=None)
    state = module.init(theta, config)
    step = 0.02 / density.num_rows
    ours, velocity = theta, torch.zeros_like(theta)
    for _ in range(4):  # without noise: their temperature 0
        if name == "sgld":
            state, _ = module.update(state, density, config, step, 0.0, rng)
            ours = state.theta
        else:  # by hand: they move by the momentum before its update, we (Chen et al., equation 15) by the one after
            grad = density.value_and_grad(ours)[1]
            ours, velocity = ours + velocity, (1 - sgmcmc.FRICTION) * velocity + step * grad
    one = sgmcmc.summed_over_chains(by_hand.checked_log_posterior(student, density))
    transform = sgmcmc.transform_of(name, posteriors, one, density.num_rows)
    transform.update.keywords["temperature"] = 0.0
    their_state = transform.init(density.unflatten(theta))
    for _ in range(4):
        their_state, _ = transform.update(their_state, density.tensors)
    theirs = density.flatten({site.name: their_state.params[site.name] for site in density.sites})
    torch.testing.assert_close(theirs, ours, rtol=1e-6, atol=1e-9)


def test_pyro_predicts_what_we_predict(problem, student):
    posterior = predict.posterior_of(student, 8)
    x = problem.held_x
    predict.check_same(predict.our_probs(posterior, x)(), predict.pyro_probs(student, posterior, x)())
    with pytest.raises(AssertionError):
        predict.check_same(predict.our_probs(posterior, x)(), predict.pyro_probs(student, posterior, x + 1)())


def test_pyro_goes_on_where_its_last_turn_ended(student, density):
    torch.manual_seed(0)
    svi = svi_step.pyro_svi("AutoDiagonalNormal", student)
    run = svi_step.pyro_steps(svi, density, 20)
    run(1)
    first = svi.guide.loc.detach().clone()
    run(3)
    run(4)
    counts = {int(state["step"]) for one in svi.optim.optim_objs.values() for state in one.state.values()}
    assert counts == {8}
    assert not torch.equal(svi.guide.loc, first)


# ---- what draws are worth ----------------------------------------------------------------------------------------


def test_independent_draws_are_all_effective_and_mixed():
    draws = np.random.default_rng(0).normal(size=(4, 500, 50))
    found = Effective.of(draws)
    assert 1000 < found.worst <= found.median < 2400
    assert found.mixed


def test_chains_apart_are_worth_little_and_frozen_ones_nothing():
    draws = np.random.default_rng(0).normal(size=(4, 500, 20))
    apart = Effective.of(draws + 5 * np.arange(4)[:, None, None])
    assert apart.median < 10
    assert not apart.mixed
    draws[..., 3] = 0.5
    assert Effective.of(draws).worst == 0.0


def test_samplers_agree_within_three_errors_and_not_beyond():
    rng = np.random.default_rng(1)
    one, other = rng.normal(size=(2, 4, 500, 100))
    assert agreement(one, other).holds
    error = math.sqrt(2 / 2000)
    off = agreement(one, other + 6 * error)
    assert not off.holds
    assert off.worst > 6
    few = other.copy()
    few[..., :3] += 10 * error  # three of a hundred may be off by chance
    assert agreement(one, few).holds


def test_a_ratio_of_samplers_counts_only_where_they_agree_and_mixed():
    rng = np.random.default_rng(2)

    def finished(shift=0.0, apart=0.0, seconds=2.0):
        draws = rng.normal(size=(4, 200, 100)) + shift + apart * np.arange(4)[:, None, None]
        return hmc.Finished(draws, seconds, {})

    size = hmc.Size(4, 100, 200, 2, 50, 50)

    def row(theirs):
        ours = [finished() for _ in theirs]
        mine = [Effective.of(run.probs) for run in ours]
        return hmc.row_of({hmc.OURS: ours, "numpyro": theirs}, "numpyro", mine, "median", size)

    good = row([finished(seconds=20.0), finished(seconds=20.0)])
    assert good.counts
    assert 8 < good.ratio.median < 12.5
    assert good.reached
    assert not row([finished(shift=1.0)]).counts
    assert not row([finished(apart=5.0)]).counts

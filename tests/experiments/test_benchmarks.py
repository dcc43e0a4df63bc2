"""Benchmarks: turns, ratios and tables by hand; peers' densities and steps are ours; each benchmark runs."""

import copy
import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from experiments.benchmarks import __main__ as bench
from experiments.benchmarks import by_hand, gradient, growth, hmc, predict, sgmcmc, svi_step, turns
from experiments.benchmarks.command import Options
from experiments.benchmarks.effective import Effective, agreement
from experiments.benchmarks.plain_steps import LAMBDA, plain_steps
from experiments.benchmarks.problem import Problem, made_up
from experiments.benchmarks.result import Result, Row, markdown, rate_row, short, time_row
from experiments.benchmarks.turns import Contender, Ratio, StepClock, take_turns
from mtbkd.density import Density
from mtbkd.errors import InputError

HEAVY = ("arviz", "hydra", "sklearn", "pandas", "matplotlib", "rich", "jax")


@pytest.fixture(scope="module")
def problem():
    return made_up(60, (5,), 4, held_out=7)


@pytest.fixture(scope="module")
def student(problem):
    return problem.mlp([3, 3])


@pytest.fixture
def density(problem, student):
    return Density(student, student.rows((problem.x, problem.y)))


# ---- turns -------------------------------------------------------------------------------------------------------


def test_ratios_are_of_turns_that_belong_together():
    assert Ratio.of([1.0, 6.0, 2.0], [2.0, 2.0, 2.0]) == Ratio(1.0, 0.5, 3.0)


def test_contenders_take_turns_and_each_round_begins_with_another():
    order = []

    def paced(name, seconds):
        def run(steps):
            order.append(name)
            return seconds * steps

        return Contender(name, run)

    times = take_turns([paced("ours", 0.25), paced("peer", 0.5)], repeats=3, seconds=1.0)
    assert times == {"ours": [0.25] * 3, "peer": [0.5] * 3}
    assert order[-6:] == ["ours", "peer", "peer", "ours", "ours", "peer"]


def test_steps_a_turn_fill_the_time():
    taken = []
    contender = Contender("steady", lambda steps: taken.append(steps) or 0.01 * steps)
    assert turns.steps_a_turn(contender, 2.0) == 200
    assert taken[0] == 1  # the first call, which may compile, is not counted


def test_a_contender_without_a_clock_is_timed_on_its_threads(monkeypatch):
    monkeypatch.setattr(turns.time, "perf_counter", iter([3.0, 5.0]).__next__)
    seen = []
    assert Contender("plain", lambda steps: seen.append(torch.get_num_threads()), 1).seconds(4) == 2.0
    assert seen == [1]


def test_the_quickest_number_of_threads_is_kept(monkeypatch):
    monkeypatch.setattr(turns.torch, "get_num_threads", lambda: 2)
    monkeypatch.setattr(turns, "threads_within", lambda number: turns.contextmanager(lambda: (yield))())
    running = {"1": 2.0, "2": 1.0}
    monkeypatch.setattr(
        turns, "take_turns", lambda candidates, *_: {c.name: [running[c.name]] for c in candidates}
    )
    assert turns.on_quickest_threads(Contender("peer", lambda steps: None)).threads == 2


def test_the_step_clock_leaves_out_what_comes_before_the_steps(monkeypatch):
    # Twenty steps: the first takes 100 s (compiling), two more end the warm-up at 102 s, then one every 2 s.
    moments = iter([100.0, 101.0, 102.0, *(102.0 + 2 * (i + 1) for i in range(17))])
    monkeypatch.setattr(turns.time, "perf_counter", moments.__next__)
    clock = StepClock()
    with clock.stage("steps", 20) as advance:
        for _ in range(20):
            advance(loss=1.0)
    assert clock.counted == 17
    assert clock.seconds_a_step == 2.0


# ---- results -----------------------------------------------------------------------------------------------------


def test_a_target_is_reached_on_the_better_side_and_only_where_the_ratio_counts():
    ratio = Ratio(2.0, 1.0, 3.0)
    common = {"measure": "m", "peer": "p", "unit": "ms", "ours": 1.0, "theirs": 2.0, "ratio": ratio}
    assert Row(**common, target=2.0).reached
    assert not Row(**common, target=1.9).reached
    assert Row(**common, target=1.9, lower=False).reached
    assert Row(**common, target=1.9, lower=False, counts=False).reached is None
    assert Row(**common).reached is None
    assert Row("memory", "", "GB", 1.5, target=2.0).reached


def test_times_are_told_in_milliseconds_and_rates_in_work_a_second():
    times = {"ours": [0.002, 0.004, 0.002], "peer": [0.004, 0.004, 0.002]}
    row = time_row("step", times, "ours", "peer")
    assert (row.ours, row.theirs, row.ratio) == (2.0, 4.0, Ratio(1.0, 0.5, 1.0))
    rate = rate_row("steps", "a second", 16, times, "ours", "peer")
    assert (rate.ours, rate.theirs, rate.ratio) == (8000.0, 4000.0, Ratio(1.0, 1.0, 2.0))
    assert not rate.lower


def test_the_table_says_what_was_compared_and_what_was_left_out():
    rows = [
        Row("step", "Pyro", "ms", 1.234, 6.4, Ratio(0.19, 0.18, 0.2), 1.0),
        Row("hmc", "BlackJAX", "a second", 5.0, 1.0, Ratio(5, 4, 6), 1.5, False, False, "it did not mix"),
        Row("memory", "", "GB", 1.5, target=2.0),
    ]
    lines = markdown([Result("all", rows, {"JAX": "not installed"}).to_json()]).splitlines()
    assert lines[2] == "| step | Pyro | 1.23 ms | 6.4 ms | 0.19 (0.18 to 0.2) | at most 1 | yes |"
    assert (
        lines[3]
        == "| hmc | BlackJAX | 5 a second | 1 a second | 5 (4 to 6), does not count | at least 1.5 |  |"
    )
    assert lines[4] == "| memory |  | 1.5 GB |  |  | at most 2 | yes |"
    assert lines[6:] == ["- hmc, BlackJAX: it did not mix", "- all: without JAX: not installed"]


def test_numbers_are_short():
    assert [short(v) for v in (0.00012, 0.0123, 1.5, 12.34, 1234.5)] == [
        "1.2e-04",
        "0.0123",
        "1.5",
        "12.3",
        "1,234",
    ]


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
    network = copy.deepcopy(problem.mlp([8]).skeleton.module)
    teacher = problem.mean_probs()
    labelled = problem.y >= 0

    def loss():
        log_q = torch.log_softmax(network(problem.x), -1)
        labels = -log_q[labelled, problem.y[labelled]].mean()
        return (labels + LAMBDA * (teacher * (teacher.log() - log_q)).sum(-1).mean()).item()

    before = loss()
    plain_steps(problem, network, 20, torch.device("cpu"), compiled=False)(200)
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


# ---- growth ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("weights", [1e3, 1e4, 1e6])
def test_widths_give_the_weights_asked_for(weights):
    network = made_up(2).mlp([growth.width(weights)] * 2).skeleton
    assert network.num_weights == pytest.approx(weights, rel=0.06)


def test_the_slope_is_that_of_the_larger_sizes():
    ms = [1.0, 1.0, 1.0, 10.0, 100.0]  # flat while it is overhead, then as the square
    found = growth.Sweep("chains", [1, 4, 16, 16 * 10**0.5, 160], ms, ms, ms)
    assert found.slope == pytest.approx(2.0)


def test_the_picture_is_drawn(tmp_path):
    sweep = growth.Sweep("rows", [1, 10], [1.0, 5.0], [0.9, 4.0], [1.1, 6.0])
    growth.draw([sweep, sweep, sweep], tmp_path / "growth.svg")
    assert "</svg>" in (tmp_path / "growth.svg").read_text()


# ---- commands ----------------------------------------------------------------------------------------------------


def test_options_are_handed_on_as_words():
    options = Options(quick=True, repeats=3, problem="p.npz")
    assert options.arguments() == ["--quick", "--repeats=3", "--device=cpu", "--problem=p.npz"]


def test_results_are_kept_by_benchmark(tmp_path):
    path = tmp_path / "benchmarks.json"
    row = Row("memory", "", "GB", 1.5, target=2.0)
    bench.write(path, {"memory": Result("memory", [row]).to_json()})
    results = bench.read(path) | {"svi_step": Result("svi_step", []).to_json()}
    bench.write(path, results)
    assert list(bench.read(path)) == ["svi_step", "memory"]  # in the table's order
    assert "| memory |" in (tmp_path / "benchmarks.md").read_text()


def test_an_unknown_benchmark_is_told():
    assert bench.chosen("memory,hmc") == ["memory", "hmc"]
    with pytest.raises(InputError, match="did you mean 'growth'"):
        bench.chosen("grow")


def test_a_quick_gradient_benchmark_runs():
    found = gradient.benchmark(Options(quick=True))
    assert gradient.EAGER in {row.peer for row in found.rows}
    assert all(row.ours > 0 for row in found.rows)


LIGHT = f"""
import sys
import runpy
sys.argv = ["svi_step", "--quick", "--json"]
runpy.run_module("experiments.benchmarks.svi_step", run_name="__main__")
print([name for name in {HEAVY} if name in sys.modules], file=sys.stderr)
"""


def test_the_svi_step_needs_torch_and_pyro_alone_and_ends_with_a_line_of_json():
    done = run([sys.executable, "-c", LIGHT])
    found = json.loads(done.stdout.splitlines()[-1])
    assert found["ratio_to_plain_step"] > 0
    assert {row["peer"] for row in found["rows"]} >= {
        svi_step.EAGER,
        "Pyro SVI, AutoNormal",
        "Pyro SVI, AutoDiagonalNormal",
    }
    assert found["quick"]
    assert done.stderr.splitlines()[-1] == "[]"


@pytest.mark.slow
def test_all_quick_benchmarks_make_one_table(tmp_path):
    command = [sys.executable, "-m", "experiments.benchmarks", "--quick", f"--out={tmp_path}"]
    done = run(command)
    assert list(json.loads((tmp_path / "benchmarks.json").read_text())) == list(bench.NAMES)
    assert done.stdout == (tmp_path / "benchmarks.md").read_text()


def run(command):
    """A command from the repository's root; its errors are shown where it fails."""
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[2])
    assert done.returncode == 0, done.stderr
    return done

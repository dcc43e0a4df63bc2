"""What a run finds of its teachers: numbers by hand, and the tables' words and cells."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest
import tiny_runs
import torch

from mtbkd.evaluation.sensitivity import sensitivity
from mtbkd.fitting import fit
from mtbkd.posterior import Posterior
from mtbkd.problem import Problem, ask, make_student, prepare
from mtbkd.progress import Progress
from mtbkd.summary import teacher_sensitivity as module
from mtbkd.summary.teacher_sensitivity import influence_of, sensitivity_table, teacher_sensitivity
from mtbkd.summary.teaching import (
    teaching,
    teaching_tables,
    temperature_table,
    temperatures,
    trust,
    trust_table,
)


def problem_of(folder, *words: str, inference: str = "hmc") -> tuple[Problem, Posterior]:
    config = tiny_runs.resolved(*tiny_runs.tiny_overrides(folder, inference), *words)
    problem = ask(config, prepare(config), Progress())
    student = make_student(config, problem.data, problem.prior)
    return problem, fit(student, problem.data, config.inference, compiled="never", progress=False)


@pytest.fixture(scope="module")
def chains(tmp_path_factory) -> tuple[Problem, Posterior]:
    few = ("weighting=learned", "weighting.warmup=20", "weighting.draws=20", "inference.draws=40")
    return problem_of(tmp_path_factory.mktemp("teaching"), *few, "prior.strength=0.5")


def test_influences_of_a_large_pool_are_of_evenly_spread_rows(chains, monkeypatch):
    problem, posterior = chains
    x, rows = problem.data.pool.x, torch.arange(3) * len(problem.data.pool) // 3
    monkeypatch.setattr(module, "MOST_ROWS", 3)
    one_by_one = [
        problem.prior.influence(posterior.predict(x[i : i + 1]).probs.log(), torch.tensor([i])) for i in rows
    ]
    expected = len(x) / 3 * torch.cat(one_by_one, 1).double().sum(1).unflatten(0, (posterior.num_chains, -1))
    torch.testing.assert_close(influence_of(problem.prior, posterior, x), expected, rtol=1e-4, atol=1e-4)


def test_temperatures_are_told_where_a_teacher_is_not_heard_as_it_speaks(tmp_path):
    words = tiny_runs.tiny_overrides(tmp_path)
    config = tiny_runs.resolved(*words, "temperature=adaptive_temperature", "temperature.upper=3")
    problem = ask(config, prepare(config), Progress())
    plain = tiny_runs.resolved(*words)
    said = ask(plain, prepare(plain), Progress()).banks["pool"].mean_probs()[0].double()
    unsure = -(said * said.log()).sum(-1) / np.log(said.shape[-1])
    found = temperatures(problem)
    assert found["first"] == pytest.approx(float((1 + 2 * unsure).mean()), rel=1e-5)
    assert ("first", f"{found['first']:.2f}") in temperature_table(found).rows
    assert temperature_table({"first": 1.0, "drawn": 1.0}) is None


# ---- learned trust -------------------------------------------------------------------------------------------------


def trusting(draws: torch.Tensor, chains: int) -> Problem:
    """No more of a problem than what is found of the trust."""
    found = {"trust": draws, "trust_chains": torch.tensor(chains)}
    return SimpleNamespace(weights=SimpleNamespace(found=found), prior=SimpleNamespace(names=("a", "b")))


def test_trust_by_hand():
    first = torch.arange(101) / 100
    found = trust(trusting(torch.stack([first, 1 - first], -1), 1))
    assert found["a"] == pytest.approx(
        {"mean": 0.5, "lower": 0.05, "upper": 0.95, "rhat": np.nan}, nan_ok=True
    )
    assert found["b"]["lower"] == pytest.approx(0.05)


def test_chains_that_disagree_are_told():
    generator = torch.Generator().manual_seed(0)
    first = 0.05 * torch.rand(2, 200, generator=generator) + torch.tensor([[0.1], [0.8]])
    draws = torch.stack([first, 1 - first], -1)
    assert trust(trusting(draws.flatten(0, 1), 2))["a"]["rhat"] > 1.5
    mixed = draws.flatten(0, 1)[torch.randperm(400, generator=generator)]
    assert trust(trusting(mixed, 2))["a"]["rhat"] < 1.02


def test_the_table_of_trust():
    said = {"mean": 0.754, "lower": 0.5, "upper": 0.901, "rhat": 1.004}
    table = trust_table({"a": said, "b": said | {"rhat": None}})
    assert table.rows == (("a", "0.75", "0.50 to 0.90", "1.00"), ("b", "0.75", "0.50 to 0.90", "unknown"))
    assert trust_table(None) is None


# ---- sensitivity ---------------------------------------------------------------------------------------------------


def test_influence_is_summed_over_the_pool_at_the_students_own_logits(chains, monkeypatch):
    problem, posterior = chains
    thinned, x = posterior.thin(10), problem.data.pool.x
    rows = torch.arange(len(x))
    flat = {name: v.flatten(0, 1) for name, v in thinned.values.items()}
    expected = [
        problem.prior.influence(posterior.skeleton({n: v[s] for n, v in flat.items()}, x), rows).sum(0)
        for s in range(10)
    ]
    got = influence_of(problem.prior, thinned, x)
    assert got.shape == (2, 5, 2)
    torch.testing.assert_close(got.flatten(0, 1).float(), torch.stack(expected), rtol=1e-4, atol=1e-3)
    monkeypatch.setattr(module, "ELEMENTS", 10 * 3 * 2 * 7)  # seven rows at a time, the last fewer
    torch.testing.assert_close(influence_of(problem.prior, thinned, x), got, rtol=1e-5, atol=1e-4)


def test_a_prior_on_heads_is_told_what_each_head_gives(tmp_path):
    problem, posterior = problem_of(
        tmp_path, "student=heads", "prior=heads", "student.heads=2", "inference.draws=15"
    )
    assert teacher_sensitivity(problem, posterior, problem.data.test.x)["draws"] == 30
    x, rows = problem.data.pool.x, torch.arange(len(problem.data.pool))
    got = influence_of(problem.prior, posterior, x)
    weights = {name: v[1, 2] for name, v in posterior.values.items()}
    heads = posterior.skeleton.with_layers(weights, x, ["heads"])[1]["heads"]
    torch.testing.assert_close(got[1, 2].float(), problem.prior.influence(heads, rows).sum(0))
    # Each head's own term is its teacher's: together they are the score.
    score = problem.prior.log_prob(heads, rows).sum()
    torch.testing.assert_close(got[1, 2].sum().float(), score)


def test_what_is_told_is_of_the_most_probable_class_at_the_strength_of_the_run(chains):
    problem, posterior = chains
    x = problem.data.test.x[:4]
    found = teacher_sensitivity(problem, posterior, x)
    assert (problem.strength, found["draws"], found["inputs"], found["approximate"]) == (0.5, 80, 4, False)
    probs = posterior.predict(x).by_chain
    top = probs[:, :, torch.arange(4), probs.mean((0, 1)).argmax(-1)]
    influence = 0.5 * influence_of(problem.prior, posterior, problem.data.pool.x)
    expected = sensitivity(influence.numpy(), top.numpy())
    assert list(found["teachers"]) == ["first", "drawn"]
    for j, said in enumerate(found["teachers"].values()):
        assert said["psens"] == pytest.approx(expected.psens[j].mean())
        assert said["change_per_percent"] == pytest.approx(expected.change[j].mean() / 100)
        assert said["khat"] == pytest.approx(expected.khat[j])
    twice = teacher_sensitivity(dataclasses.replace(problem, strength=1.0), posterior, x)
    for name, said in found["teachers"].items():
        assert twice["teachers"][name]["change_per_percent"] == pytest.approx(2 * said["change_per_percent"])


def test_of_draws_of_a_power_of_the_density_a_teacher_counts_so_much_more(chains):
    problem, posterior = chains
    x = problem.data.test.x[:4]
    config = posterior.meta["config"] | {"posterior_temperature": 0.5}
    cold = dataclasses.replace(posterior, meta=posterior.meta | {"config": config})
    # p^(1/T) with T = .5 is p^2: strength .5 counts as strength 1 does at T = 1
    found = teacher_sensitivity(problem, cold, x)
    assert found == teacher_sensitivity(dataclasses.replace(problem, strength=1.0), posterior, x)
    assert found != teacher_sensitivity(problem, posterior, x)


def test_draws_are_thinned_where_the_pool_is_large(chains, monkeypatch):
    problem, posterior = chains
    monkeypatch.setattr(module, "FEWEST", 30)
    monkeypatch.setattr(module, "PREDICTIONS", 40 * len(problem.data.pool))
    assert teacher_sensitivity(problem, posterior, problem.data.test.x)["draws"] == 40
    monkeypatch.setattr(module, "PREDICTIONS", 1)
    assert teacher_sensitivity(problem, posterior, problem.data.test.x)["draws"] <= 30


def test_there_is_none_without_draws_or_teachers(chains):
    problem, posterior = chains
    x = problem.data.test.x
    point = posterior.chains(slice(0, 1)).thin(1)
    members = dataclasses.replace(
        posterior,
        values={name: v[:, :1] for name, v in posterior.values.items()},
        log_density=posterior.log_density[:, :1],
        stats={},
    )
    for said in (point, members, posterior.thin(20)):
        assert teacher_sensitivity(problem, said, x) is None
    assert teacher_sensitivity(dataclasses.replace(problem, strength=0.0), posterior, x) is None


def test_draws_of_an_approximation_are_called_so(tmp_path):
    problem, posterior = problem_of(tmp_path, "inference.draws=30", inference="svi")
    found = teacher_sensitivity(problem, posterior, problem.data.test.x)
    assert found["approximate"]
    assert "of an approximation" in sensitivity_table(found).text


def numbers(psens: float | None, khat: float = 0.1) -> dict[str, float | None]:
    return {
        "psens": psens,
        "psens_by_chance": 0.031,
        "psens_beyond_chance": psens,
        "change_per_percent": -0.000214,
        "change_error": 0.00008,
        "khat": khat,
    }


def test_the_teacher_that_most_hangs_on_comes_first():
    found = {"draws": 400, "inputs": 16, "approximate": False}
    table = sensitivity_table(
        found | {"teachers": {"a": numbers(0.02), "b": numbers(0.3), "c": numbers(None)}}
    )
    assert [row[0] for row in table.rows] == ["b", "a", "c"]
    assert table.rows[0] == ("b", "0.30", "0.03", "0.30", "-0.00021 ± 0.00008")
    assert table.rows[2][1] == "unknown"
    assert "16 held-out inputs" in table.text
    assert "400 draws" in table.text
    assert "approximation" not in table.text
    assert "k-hat" not in table.text
    heavy = sensitivity_table(found | {"teachers": {"a": numbers(0.02, 1.2), "b": numbers(0.3)}})
    assert "Of a few draws tell most (k-hat above 0.7)" in heavy.text
    assert sensitivity_table(None) is None


# ---- together ------------------------------------------------------------------------------------------------------


def test_all_is_found_and_shown(chains):
    problem, posterior = chains
    found = teaching(problem, posterior, problem.data.test.x)
    assert found["weights"].keys() == found["trust"].keys() == found["sensitivity"]["teachers"].keys()
    means = problem.weights.found["trust"].mean(0)
    assert [said["mean"] for said in found["trust"].values()] == pytest.approx(means.tolist(), rel=1e-5)
    titles = [table.title for table in teaching_tables(found)]
    assert titles == ["Learned trust", "Which teacher the answer hangs on"]
    none = found | {"trust": None, "sensitivity": None}
    assert teaching_tables(none) == ()

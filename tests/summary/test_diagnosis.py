import dataclasses

import pytest
import tiny_runs
import torch

from mtbkd.draw_statistics import pareto_khat
from mtbkd.evaluation.chain_diagnostics import BIAS, ONE_START
from mtbkd.evaluation.fit_diagnostics import FALLING
from mtbkd.fitting import fit
from mtbkd.posterior import Posterior
from mtbkd.prediction import Prediction
from mtbkd.problem import ask, make_student, prepare
from mtbkd.progress import Progress
from mtbkd.summary.diagnosis import diagnose, kind_of, richer, superchains_of

# Of each engine: what it is, and some of its numbers; the words that it alone has.
ENGINES = {
    "map": ("point", {"steps": 20}, "A point estimate"),
    "ensemble": ("ensemble", {"steps": 20}, "2 modes, not draws of the posterior"),
    "svi": ("variational", {"steps": 40, "khat": None}, "ELBO"),
    "pyro_svi": ("variational", {"steps": 20}, "ELBO"),
    "laplace": ("laplace", {"khat": None}, "independent"),
    "hmc": (
        "exact",
        {"num_chains": 2, "num_draws": 6, "superchains": 2, "divergences": 0},
        "effective draws",
    ),
    "sgld": ("stochastic gradient", {"superchains": 2}, "bias"),
    "sghmc": ("stochastic gradient", {"superchains": 2}, "bias"),
    "nuts": ("exact", {"num_chains": 2, "num_draws": 4, "superchains": 2}, "effective draws"),
}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    """A function that fits an engine to a tiny problem: the posterior and its predictions at the test rows."""
    kept: dict[tuple[str, ...], tuple[Posterior, Prediction]] = {}

    def fitted(inference: str, *words: str) -> tuple[Posterior, Prediction]:
        if (key := (inference, *words)) not in kept:
            folder = tmp_path_factory.mktemp(inference)
            config = tiny_runs.resolved(*tiny_runs.tiny_overrides(folder, inference), *words)
            problem = ask(config, prepare(config), Progress())
            student = make_student(config, problem.data, problem.prior)
            posterior = fit(student, problem.data, config.inference, compiled="never", progress=False)
            kept[key] = posterior, posterior.predict(problem.data.test.x)
        return kept[key]

    return fitted


@pytest.mark.parametrize("inference", ENGINES)
def test_each_engine_is_judged_by_what_it_leaves(tiny, inference):
    kind, numbers, words = ENGINES[inference]
    posterior, held_out = tiny(inference)
    found = diagnose(posterior, held_out)
    assert kind_of(posterior) == found.kind == kind
    assert {key: found.numbers[key] for key in numbers} == numbers
    assert words in " ".join(found.words)


def test_khat_is_of_the_density_over_the_guides(tiny):
    posterior, held_out = tiny("svi", "inference.draws=60")
    found = diagnose(posterior, held_out)
    log_weights = posterior.log_density.double() - posterior.stats["log_q"].double()
    assert found.numbers["khat"] == pytest.approx(pareto_khat(log_weights[0].numpy()))


def test_a_cosine_schedule_is_told_of(tiny):
    posterior, held_out = tiny("svi")
    level = dataclasses.replace(posterior, trace={"elbo": torch.linspace(-1, -0.9999, 40)})
    assert FALLING in diagnose(level, held_out).words
    ended = dataclasses.replace(
        level, meta={"config": {"schedule": "plateau", "steps": 41}}, trace={"elbo": -torch.ones(40)}
    )
    assert FALLING not in diagnose(ended, held_out).words
    cut = dataclasses.replace(ended, meta={"config": {"schedule": "plateau", "steps": 40}})
    assert "plateau was not reached" in diagnose(cut, held_out).words[0]


def test_a_linearised_network_is_not_what_khat_judges(tiny):
    posterior, held_out = tiny("laplace", "inference.draws=60")
    assert posterior.centre is not None
    assert "of the network itself" in diagnose(posterior, held_out).words[-1]
    itself = dataclasses.replace(posterior, centre=None)
    assert "of the network itself" not in diagnose(itself, held_out).words[-1]


@pytest.mark.parametrize(
    ("inference", "expected"),
    [
        ("svi", "inference.guide=low_rank or full"),
        ("laplace", None),
        ("hmc", None),
    ],
)
def test_what_comes_nearer_is_a_setting_of_the_engine(tiny, inference, expected):
    posterior, _ = tiny(inference)
    assert richer(posterior.meta["config"]) == expected


def test_energies_are_judged_where_draws_follow_each_other(tiny):
    posterior, held_out = tiny("hmc")
    assert "bfmi_min" in diagnose(posterior, held_out).numbers
    meta = posterior.meta | {"config": posterior.meta["config"] | {"thin": 2}}
    assert "bfmi_min" not in diagnose(dataclasses.replace(posterior, meta=meta), held_out).numbers


def test_chains_without_an_acceptance_test_have_a_bias(tiny):
    posterior, held_out = tiny("hmc")
    meta = {"config": {"posterior_temperature": 0.5}}
    chains = dataclasses.replace(posterior, stats={}, info={"temperature": 0.75}, meta=meta)
    found = diagnose(chains, held_out)
    assert found.kind == "stochastic gradient"
    assert BIAS in found.words
    assert found.numbers["temperature_ratio"] == 1.5


def test_starts_are_told_by_the_fit_or_guessed(tiny):
    posterior, held_out = tiny("hmc")
    told = dataclasses.replace(posterior, meta=posterior.meta | {"superchains": 1})
    assert superchains_of(told) == 1
    assert ONE_START in diagnose(told, held_out).words
    untold = dataclasses.replace(posterior, meta={})
    assert superchains_of(untold) == 2
    held = dataclasses.replace(untold, held={"layers.0.weight": torch.zeros(2)})
    assert superchains_of(held) == 1
    part = told.chains(slice(0, 1))
    assert (
        superchains_of(dataclasses.replace(part, meta={"superchains": 2})) == 1
    )  # of other chains than these


def test_one_chain_is_judged_as_a_chain(tiny):
    posterior, held_out = tiny("hmc")
    alone = posterior.chains(slice(0, 1))
    first = Prediction(held_out.probs[: alone.num_draws], 1)
    assert "One chain cannot show" in " ".join(diagnose(alone, first).words)


def test_a_point_without_a_trace_cannot_be_judged(tiny):
    posterior, held_out = tiny("hmc")
    point = posterior.chains(slice(0, 1)).thin(1)
    assert diagnose(point, held_out).verdict == "not applicable"

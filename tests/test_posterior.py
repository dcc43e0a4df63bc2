"""Predictions against a plain loop over draws, and what a folder on disk keeps, to the bit."""

import json
import pickle

import pyro
import pyro.distributions as dist
import pytest
import torch
from torch import nn
from torch.func import functional_call
from user_networks import Attentive, Normed, Recurrent, Tied

from mtbkd import posterior_predictive
from mtbkd.density import Density
from mtbkd.errors import InputError
from mtbkd.fitting import fit
from mtbkd.inference import HMCConfig, MAPConfig, SVIConfig
from mtbkd.inference.engine import Draws
from mtbkd.posterior import Posterior
from mtbkd.students import Student, cnn, mlp

pytestmark = pytest.mark.filterwarnings("ignore:There is a performance drop", "ignore:.*no labelled example")

N, K = 9, 3
X = torch.randn(N, 6, generator=torch.Generator().manual_seed(0))
Y = torch.arange(N) % K
NEW = torch.randn(7, 6, generator=torch.Generator().manual_seed(1))

NETWORKS = {
    "mlp": (lambda: mlp(6, [5], K), X, NEW),
    "cnn": (
        lambda: cnn((1, 4, 4), [8], K),
        *(torch.randn(n, 1, 4, 4, generator=torch.Generator().manual_seed(2)) for n in (N, 7)),
    ),
    "Normed": (Normed, X, NEW),
    "Tied": (Tied, X, NEW),
    "Attentive": (Attentive, X, NEW),
    "Recurrent": (Recurrent, X, NEW),
}
SHORT = HMCConfig(num_chains=2, warmup=20, draws=3, warm_start=2, max_leapfrogs=2)
made: dict[str, tuple[nn.Module, Posterior]] = {}


def posterior_of(name: str) -> tuple[nn.Module, Posterior]:
    """A network as a user holds it, and a short posterior of its student; fitted once."""
    if name not in made:
        torch.manual_seed(3)
        network, x = NETWORKS[name][0](), NETWORKS[name][1]
        made[name] = network, fit(Student(network), (x, Y), SHORT, progress=False)
    return made[name]


def loop_over_draws(network: nn.Module, posterior: Posterior, x: torch.Tensor) -> torch.Tensor:
    """`[C * S, N, K]`, chains first."""
    samples = posterior.samples()
    with torch.no_grad():
        return torch.stack(
            [
                torch.softmax(functional_call(network, {n: v[c, s] for n, v in samples.items()}, (x,)), -1)
                for c in range(posterior.num_chains)
                for s in range(posterior.num_draws)
            ]
        )


# ---- predictions -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", list(NETWORKS))
def test_predictions_are_those_of_a_loop_over_draws(name):
    network, posterior = posterior_of(name)
    x = NETWORKS[name][2]
    predicted = posterior.predict(x)
    assert predicted.probs.shape == (6, 7, K)
    assert predicted.num_chains == 2
    torch.testing.assert_close(predicted.probs, loop_over_draws(network, posterior, x), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(predicted.by_chain[1, 2], predicted.probs[5])


@pytest.mark.parametrize("name", ["mlp", "cnn", "Normed"])
def test_little_memory_changes_nothing(name):
    _, posterior = posterior_of(name)
    x = NETWORKS[name][2]
    whole = posterior.predict(x).probs
    for memory in (1.0, 1_000.0, 20_000.0):
        assert (posterior.predict(x, memory=memory).probs - whole).abs().max() <= 1e-6
        assert torch.equal(
            posterior.predict(x, memory=memory).probs, posterior.predict(x, memory=memory).probs
        )


def test_memory_bounds_what_is_predicted_at_once(monkeypatch):
    _, posterior = posterior_of("mlp")
    seen = []
    forward = posterior_predictive.forward
    monkeypatch.setattr(
        posterior_predictive,
        "forward",
        lambda s, w, x: (seen.append(len(next(iter(w.values()))) * len(x)), forward(s, w, x))[1],
    )
    posterior.predict(NEW)
    assert seen == [6 * 7]
    seen.clear()
    posterior.predict(NEW, memory=4 * 4 * 6 * 5)  # five inputs of six float32 numbers, four times over
    assert max(seen) <= 5
    assert sum(seen) == 6 * 7


def test_one_input_and_other_number_types():
    _, posterior = posterior_of("mlp")
    torch.testing.assert_close(posterior.predict(NEW[:1]).probs, posterior.predict(NEW).probs[:, :1])
    torch.testing.assert_close(posterior.predict(NEW.double().numpy()).probs, posterior.predict(NEW).probs)


def test_no_inputs_and_no_network_are_refused():
    with pytest.raises(InputError, match="no inputs"):
        posterior_of("mlp")[1].predict(NEW[:0])
    without = Posterior({"loc": torch.zeros(1, 2)}, torch.zeros(1, 2))
    with pytest.raises(InputError, match="without a network"):
        without.predict(NEW)


def test_counts_by_hand():
    _, posterior = posterior_of("mlp")
    weights = 6 * 5 + 5 + 5 * 3 + 3
    assert (posterior.num_chains, posterior.num_draws, posterior.num_weights) == (2, 3, weights)
    assert posterior.stored_bytes == 4 * 6 * weights


def test_chains_and_thinning_choose_draws():
    _, posterior = posterior_of("mlp")
    second = posterior.chains(slice(1, 2))
    assert torch.equal(second.predict(NEW).probs, posterior.predict(NEW).probs[3:])
    assert second.stats["accept"].shape == (1, 3)
    thinned = posterior.thin(4)
    assert (thinned.num_chains, thinned.num_draws) == (2, 2)
    assert torch.equal(thinned.values["0.bias"], posterior.values["0.bias"][:, [0, 2]])
    assert torch.equal(thinned.log_density, posterior.log_density[:, [0, 2]])
    assert posterior.thin(1000).num_draws == 3


# ---- layers held at their MAP ------------------------------------------------------------------------------------


@pytest.mark.parametrize("config", [SHORT, SVIConfig(steps=5, warm_start=2, draws=4)], ids=["hmc", "svi"])
def test_layers_that_are_not_bayesian_are_exactly_their_map(config, tmp_path):
    network = mlp(6, [5], K)
    student = Student(network, bayesian="last")
    posterior = fit(student, (X, Y), config, seed=4, progress=False)
    top = MAPConfig(steps=config.warm_start, learning_rate=config.warm_start_rate)
    expected = fit(Student(network), (X, Y), top, seed=4, progress=False)
    assert set(posterior.values) == {"2.weight", "2.bias"}
    assert set(posterior.held) == {"0.weight", "0.bias"}
    for name, value in posterior.held.items():
        assert torch.equal(value, expected.values[name][0, 0])
    assert posterior.num_weights == 6 * 5 + 5 + 5 * 3 + 3
    expected_probs = loop_over_draws(network, posterior, NEW)
    torch.testing.assert_close(posterior.predict(NEW).probs, expected_probs, rtol=1e-5, atol=1e-6)
    posterior.save(tmp_path / "p")
    assert torch.equal(Posterior.load(tmp_path / "p").predict(NEW).probs, posterior.predict(NEW).probs)


# ---- on disk -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", list(NETWORKS))
def test_load_is_what_was_saved_to_the_bit(name, tmp_path):
    network, posterior = posterior_of(name)
    posterior.save(tmp_path / "deep" / "p")
    if name in ("mlp", "cnn"):
        again = Posterior.load(tmp_path / "deep" / "p")
    else:
        with pytest.raises(InputError, match=r"network of your own; pass it: load\(path, network="):
            Posterior.load(tmp_path / "deep" / "p")
        torch.manual_seed(99)
        other = type(network)()
        if name == "Normed":
            other.mixing.zero_()  # the stored buffer counts, not the one handed in
        again = Posterior.load(tmp_path / "deep" / "p", network=other)
    x = NETWORKS[name][2]
    assert torch.equal(again.predict(x).probs, posterior.predict(x).probs)
    assert torch.equal(again.log_density, posterior.log_density)
    for group in ("values", "held", "stats", "trace"):
        stored, kept = getattr(again, group), getattr(posterior, group)
        assert stored.keys() == kept.keys()
        assert all(torch.equal(stored[n], kept[n]) and stored[n].dtype == kept[n].dtype for n in kept)
    assert again.info == posterior.info
    assert again.meta == json.loads(json.dumps(posterior.meta))


def test_a_single_draw_whose_sites_share_their_memory_is_saved(tmp_path):
    posterior = fit(Student(mlp(6, [5], K)), (X, Y), MAPConfig(steps=2), progress=False)
    posterior.save(tmp_path / "p")
    assert torch.equal(Posterior.load(tmp_path / "p").predict(NEW).probs, posterior.predict(NEW).probs)


def test_a_posterior_without_network_is_kept_too(tmp_path):
    kept = Posterior({"loc": torch.arange(6.0).view(2, 3)}, torch.zeros(2, 3), info={"a": 1.5})
    kept.save(tmp_path / "p")
    again = Posterior.load(tmp_path / "p")
    assert torch.equal(again.values["loc"], kept.values["loc"])
    assert again.info == {"a": 1.5}
    assert again.skeleton is None


def test_loading_leaves_the_global_generator(tmp_path):
    posterior_of("mlp")[1].save(tmp_path / "p")
    before = torch.get_rng_state()
    Posterior.load(tmp_path / "p")
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (lambda: mlp(6, [4], K), r"parameter '0.weight' is \(5, 6\) in the file and \(4, 6\)"),
        (lambda: mlp(6, [5, 5], K), r"parameter '2.weight' is \(3, 5\) in the file and \(5, 5\)"),
        (lambda: mlp(6, [], K), r"parameter '0.weight' is \(5, 6\) in the file and \(3, 6\)"),
        (Normed, r"parameter 'temper' is absent in the file and \(3,\) in this network"),
        (
            lambda: nn.Sequential(*mlp(6, [5], K), nn.Linear(K, K)),
            r"'3.weight' is absent in the file and \(3, 3\)",
        ),
    ],
)
def test_another_network_is_refused_by_parameter(tmp_path, network, message):
    posterior_of("mlp")[1].save(tmp_path / "p")
    with pytest.raises(InputError, match=message):
        Posterior.load(tmp_path / "p", network=network())


def test_draws_are_views_of_the_engines_own():
    """Memory-mapped draws are not brought into memory; sites that need a transform are."""

    def model(x: torch.Tensor) -> None:
        loc = pyro.sample("loc", dist.Normal(torch.zeros(2, 2), 1.0).to_event(2))
        scale = pyro.sample("scale", dist.Gamma(2.0, 1.0))
        pyro.sample("x", dist.Normal(loc.sum(), scale).expand(x.shape).to_event(1), obs=x)

    density = Density(model, (X[0],))
    draws = Draws(torch.randn(2, 3, density.dim), torch.zeros(2, 3))
    posterior = Posterior.of(model, density, draws, SHORT, 0, 0.0)
    whole = draws.theta.untyped_storage().data_ptr()
    assert posterior.values["loc"].untyped_storage().data_ptr() == whole
    assert posterior.values["scale"].untyped_storage().data_ptr() != whole
    torch.testing.assert_close(posterior.values["loc"].flatten(2), draws.theta[..., :4])
    torch.testing.assert_close(posterior.values["scale"].log(), draws.theta[..., 4])


def test_a_copy_for_another_process_holds_the_draws_once():
    network = mlp(60, [50], K)
    x = torch.randn(N, 60)
    posterior = fit(Student(network), (x, Y), SVIConfig(steps=2, warm_start=0, draws=50), progress=False)
    packed = pickle.dumps(posterior)
    assert len(packed) < 1.2 * posterior.stored_bytes + 60_000  # and the network itself
    assert torch.equal(pickle.loads(packed).predict(x).probs, posterior.predict(x).probs)


# ---- to ArviZ ----------------------------------------------------------------------------------------------------


def test_arviz_gets_the_same_numbers():
    _, posterior = posterior_of("mlp")
    data = posterior.to_arviz(NEW, y=torch.zeros(7, dtype=torch.long))
    assert (data.posterior["probs"].values == posterior.predict(NEW).by_chain.numpy()).all()
    assert (data.posterior["log_density"].values == posterior.log_density.numpy()).all()
    assert (data.sample_stats["diverging"].values == posterior.stats["diverging"].numpy()).all()
    assert (data.sample_stats["n_steps"].values == posterior.stats["leapfrogs"].numpy()).all()
    assert "0.weight" not in data.posterior
    assert posterior.to_arviz(weights=True).posterior["0.weight"].shape == (2, 3, 5, 6)

"""Feature transfer in the student's model: the factor by hand, its gradients, its conditionals in closed form."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from pyro import poutine
from torch import nn
from torch.func import hessian, jacrev
from user_networks import Attentive, Normed, Signal

from mtbkd import registry
from mtbkd.density import Density
from mtbkd.errors import InputError
from mtbkd.features import FeatureTransfer
from mtbkd.fitting import fit
from mtbkd.graphs import Execution
from mtbkd.inference import curvature
from mtbkd.posterior import Posterior
from mtbkd.priors import DirichletMixture
from mtbkd.students import Student, cnn, mlp
from mtbkd.teachers.bank import TeacherBank
from mtbkd.weighting import entropy

pytestmark = pytest.mark.filterwarnings("ignore:There is a performance drop", "ignore:.*no labelled example")

N, K = 11, 3


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


X = torch.randn(N, 6, generator=generator(0))
Y = torch.tensor([0, -1, 2, 1, -1, -1, 0, 1, 1, -1, 2])
FEATURES = {
    "nets": {"2": torch.randn(N, 4, generator=generator(1)), "4": torch.randn(N, 2, generator=generator(2))},
    "esm": {"body.1": 5 + 3 * torch.randn(N, 3, generator=generator(3))},
}
LAYERS = {"nets": {"2": "1", "4": "3"}, "esm": {"body.1": "1"}}
ONE = {"nets": {"2": "1"}}


def bank() -> TeacherBank:
    z = 2 * torch.randn(2, N, K, generator=generator(4))
    return TeacherBank.from_logits({"nets": z[0], "esm": z[1]}, inputs=X).with_features(FEATURES)


def prior() -> DirichletMixture:
    return DirichletMixture(bank(), entropy(bank()), 4.0)


def student(network=None, layers=LAYERS, with_prior=True, strength=0.7, scale=1.5, **more) -> Student:
    torch.manual_seed(0)
    network = mlp(6, [5, 4], K, "tanh") if network is None else network
    hints = None if layers is None else FeatureTransfer(bank(), layers, strength, scale)
    return Student(network, prior() if with_prior else None, hints=hints, **more)


def density_of(model: Student, dtype=torch.float64, y=Y, **more) -> Density:
    return Density(model, model.rows((X, y)), dtype=dtype, **more)


def point(density: Density, chains: int = 3) -> torch.Tensor:
    return 0.5 * torch.randn(chains, density.dim, generator=generator(5), dtype=density.dtype)


def by_hand(values: dict[str, torch.Tensor], strength: float = 0.7) -> dict[str, float]:
    """The three factors of `LAYERS` on the perceptron 6-5-4-3 with tanh, in numpy."""
    w = {name: v.numpy() for name, v in values.items()}
    first = np.tanh(X.double().numpy() @ w["0.weight"].T + w["0.bias"])
    second = np.tanh(first @ w["2.weight"].T + w["2.bias"])
    hidden = {"1": first, "3": second}
    found = {}
    for teacher, pairs in LAYERS.items():
        for layer, own in pairs.items():
            name = f"{teacher}.{layer.replace('.', '_')}"
            f = FEATURES[teacher][layer].double().numpy()
            f = (f - f.mean(0)) / f.std(0)
            residual = hidden[own] @ w[f"projector.{name}"].T - f
            found[f"teachers.features.{name}"] = -strength / 2 * (residual**2).sum() / f.shape[1]
    return found


# ---- the model -----------------------------------------------------------------------------------------------------


def test_every_hint_is_a_named_part_with_its_value_by_hand():
    density = density_of(student())
    theta = point(density)
    terms = density.terms(theta)
    for c in range(3):
        expected = by_hand(density.unflatten(theta[c]))
        assert len(expected) == 3
        for name, value in expected.items():
            assert terms[name][c].item() == pytest.approx(value, rel=1e-6), name
        p = density.unflatten(theta[c])["projector.nets.2"].numpy()
        variance = 1.5**2 / 5
        log_p = -0.5 * (p**2).sum() / variance - p.size / 2 * math.log(2 * math.pi * variance)
        assert terms["projector.nets.2"][c].item() == pytest.approx(log_p, rel=1e-9)
    torch.testing.assert_close(sum(terms.values()), density.log_prob(theta))
    sites = {site.name: tuple(site.shape) for site in density.sites if site.name.startswith("projector")}
    assert sites == {
        "projector.nets.2": (4, 5),
        "projector.nets.4": (2, 4),
        "projector.esm.body_1": (3, 5),
    }


def test_the_rest_of_the_model_is_as_without_hints():
    with_hints, without = density_of(student()), density_of(student(layers=None))
    theta = point(with_hints)
    terms = with_hints.terms(theta)
    plain = without.terms(without.flatten(with_hints.unflatten(theta)))
    for name, value in plain.items():
        torch.testing.assert_close(terms[name], value)
    assert len(terms) == len(plain) + 6


NETWORKS = {
    "Normed": (Normed, "norm"),
    "Signal": (Signal, "1"),
    "Attentive": (Attentive, "embed"),
    "cnn": (
        lambda: nn.Sequential(
            nn.Unflatten(1, (1, 2, 3)), nn.ZeroPad2d((0, 1, 1, 1)), cnn((1, 4, 4), [16], K)
        ),
        "2.0",
    ),
    "logits": (lambda: mlp(6, [5], K), "2"),
}


@pytest.mark.parametrize("name", list(NETWORKS))
def test_any_networks_layers_traced_for_several_chains(name):
    network, layer = NETWORKS[name]
    model = student(network(), {"nets": {"2": layer}})
    density = density_of(model)
    theta = point(density)
    value, grad = density.value_and_grad(theta)
    looped = density.with_execution(Execution(loop=True)).value_and_grad(theta)
    torch.testing.assert_close((value, grad), looped)
    for c in range(3):
        torch.testing.assert_close(
            sum(part[0] for part in density.terms(theta[c : c + 1]).values()), value[c]
        )
    where = next(s for s in density.sites if s.name.startswith("projector"))
    assert (grad[:, where.start : where.start + where.size].abs() > 0).all()


@pytest.mark.parametrize("part", ["labels", "teachers"])
def test_labels_and_teachers_reach_all_weights_and_no_projector(part):
    model = student()
    leaves = leaves_of(model)
    grads = gradients(model, part, leaves)
    assert all(grads[name].abs().max() > 0 for name in model.skeleton.shapes)
    assert all(grads[name] is None for name in leaves if name.startswith("projector"))


@pytest.mark.parametrize("name", ["nets.2", "nets.4", "esm.body_1"])
def test_every_hint_reaches_its_projector_and_all_weights_before_its_layer(name):
    """In public code hint losses are detached by accident; here each alone moves the body and its projector."""
    model = student()
    grads = gradients(model, f"teachers.features.{name}", leaves_of(model))
    reached = {"0.weight", "0.bias", f"projector.{name}"} | (
        {"2.weight", "2.bias"} if name == "nets.4" else set()
    )
    assert {site for site, grad in grads.items() if grad is not None} == reached
    for site in reached:
        assert torch.isfinite(grads[site]).all()
        assert (grads[site].abs() > 1e-6).all(), site


def leaves_of(model: Student) -> dict[str, torch.Tensor]:
    density = density_of(model)
    return {name: v.requires_grad_() for name, v in density.unflatten(point(density)[0]).items()}


def gradients(model: Student, part: str, leaves: dict[str, torch.Tensor]) -> dict[str, torch.Tensor | None]:
    rows = (t.double() if t.is_floating_point() else t for t in model.rows((X, Y)))
    trace = poutine.trace(poutine.condition(model, data=leaves)).get_trace(*rows)
    trace.compute_log_prob()
    found = torch.autograd.grad(trace.nodes[part]["log_prob_sum"], list(leaves.values()), allow_unused=True)
    return dict(zip(leaves, found, strict=True))


def test_a_mini_batch_scales_the_hints_and_not_the_projectors_prior():
    density = density_of(student())
    theta = point(density)
    value, grad = density.value_and_grad(theta)
    parts = torch.randperm(N, generator=generator(6)).split(4)
    shares = [len(rows) / N for rows in parts]
    got = [density.value_and_grad(theta, density.batch(rows)) for rows in parts]
    torch.testing.assert_close(sum(s * v for s, (v, _) in zip(shares, got, strict=True)), value)
    torch.testing.assert_close(sum(s * g for s, (_, g) in zip(shares, got, strict=True)), grad)


def test_strength_0_is_no_hint_and_a_faint_one_adds_the_projectors_prior_alone():
    without, off, faint = (
        density_of(student(**how)) for how in ({"layers": None}, {"strength": 0.0}, {"strength": 1e-14})
    )
    theta = point(faint)
    own = without.flatten(faint.unflatten(theta))
    assert [site.name for site in off.sites] == [site.name for site in without.sites]
    assert torch.equal(off.log_prob(own), without.log_prob(own))
    terms = faint.terms(theta)
    priors = sum(value for name, value in terms.items() if name.startswith("projector."))
    torch.testing.assert_close(faint.log_prob(theta) - priors, without.log_prob(own))
    _, grad = faint.value_and_grad(theta)
    _, plain = without.value_and_grad(own)
    torch.testing.assert_close(grad[:, : own.shape[1]], plain)


# ---- closed forms ----------------------------------------------------------------------------------------------------


def test_given_the_network_the_projector_is_a_ridge_regression():
    """Its mode is ridge regression with penalty F H / (alpha scale^2), its precision that of the linear model."""
    model = student(layers=ONE)
    density = density_of(model)
    values = density.unflatten(point(density)[0])
    projector = density.restrict(["projector.nets.2"], values)
    h = np.tanh(X.double().numpy() @ values["0.weight"].numpy().T + values["0.bias"].numpy())
    f = FEATURES["nets"]["2"].double().numpy()
    f = (f - f.mean(0)) / f.std(0)
    penalty = 4 * 5 / (0.7 * 1.5**2)
    ridge = np.linalg.solve(h.T @ h + penalty * np.eye(5), h.T @ f).T
    top = torch.from_numpy(ridge).reshape(1, -1)
    value, grad = projector.value_and_grad(top)
    torch.testing.assert_close(grad, torch.zeros_like(grad), atol=1e-6, rtol=0)
    precision = torch.block_diag(*[torch.from_numpy(0.7 / 4 * h.T @ h + 5 / 1.5**2 * np.eye(5))] * 4)
    step = torch.randn(1, 20, generator=generator(7), dtype=torch.float64)
    expected = -0.5 * step @ precision @ step.T
    torch.testing.assert_close(projector.log_prob(top + step) - value, expected[0], rtol=1e-6, atol=1e-6)
    ours = curvature.gauss_newton(projector, top[0], projector.tensors)
    torch.testing.assert_close(
        ours + curvature.weight_precision(projector).diag(), precision, rtol=1e-6, atol=1e-6
    )


def test_a_fit_finds_the_ridge_regression():
    """The MAP of everything: at its top the projector is the ridge regression on the layer that it has there."""
    model = student(mlp(6, [5], K, "tanh"), ONE, with_prior=False)
    config = dataclasses.replace(registry.default_config("inference", "map"), steps=1500, learning_rate=0.05)
    found = fit(model, (X, Y), config, progress=False, compiled="never").values
    w = {name: v[0, 0].double().numpy() for name, v in found.items()}
    h = np.tanh(X.double().numpy() @ w["0.weight"].T + w["0.bias"])
    f = FEATURES["nets"]["2"].double().numpy()
    f = (f - f.mean(0)) / f.std(0)
    ridge = np.linalg.solve(h.T @ h + 4 * 5 / (0.7 * 1.5**2) * np.eye(5), h.T @ f).T
    np.testing.assert_allclose(w["projector.nets.2"], ridge, atol=2e-3)


# ---- Laplace ---------------------------------------------------------------------------------------------------------


def test_gauss_newton_is_exact_where_the_hinted_layer_is_linear():
    """Given the projector the factor is quadratic in a linear layer's weights: torch's own Hessian."""
    model = student(layers={"nets": {"2": "0"}}, with_prior=False)
    density = density_of(model, y=torch.full((N,), -1))
    theta = point(density)[0]
    body = density.restrict(["0.weight", "0.bias"], density.unflatten(theta))
    own = body.flatten(density.unflatten(theta))
    exact = -hessian(lambda t: body.log_joint(t, body.full, body.held))(own)
    ours = curvature.gauss_newton(body, own, body.tensors) + curvature.weight_precision(body).diag()
    torch.testing.assert_close(ours, exact, rtol=1e-6, atol=1e-6)


def test_gauss_newton_is_the_sum_over_labels_teachers_and_hints():
    """J' H J of each part's own outputs, written out."""
    model, plain = student(), student(layers=None)
    density, without = density_of(model), density_of(plain)
    theta = point(density)[0]
    own = without.flatten(density.unflatten(theta))
    ours = curvature.gauss_newton(density, theta, density.tensors)
    expected = torch.zeros_like(ours)
    size = without.dim
    expected[:size, :size] = curvature.gauss_newton(without, own, without.tensors)
    for hint in model.hints.hints:

        def projection(point, hint=hint):
            values = density.unflatten(point)
            weights = {name: values[name] for name in model.skeleton.shapes}
            _, layers = model.skeleton.with_layers(weights, X.double(), [hint.student_layer])
            return layers[hint.student_layer] @ values[hint.projector].T

        jacobian = jacrev(projection)(theta).flatten(0, 1)
        expected += 0.7 / hint.width * jacobian.T @ jacobian
    torch.testing.assert_close(ours, expected)
    products = curvature.gauss_newton_products(
        density, theta, density.tensors, torch.eye(density.dim).double()
    )
    torch.testing.assert_close(products, expected)


# ---- posteriors ------------------------------------------------------------------------------------------------------

FEW = {
    "steps": 20,
    "warm_start": 10,
    "draws": 4,
    "warmup": 20,
    "num_chains": 2,
    "max_leapfrogs": 3,
    "max_tree_depth": 2,
}


def few(engine: str, **more):
    config = registry.default_config("inference", engine)
    fields = {f.name for f in dataclasses.fields(config)}
    return dataclasses.replace(config, **{k: v for k, v in (FEW | more).items() if k in fields})


@pytest.mark.parametrize(
    "engine",
    [
        "map",
        "svi",
        "laplace",
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("hmc", "sgld", "nuts", "pyro_svi")),
    ],
)
def test_every_engine_infers_projectors_and_predictions_leave_them_out(engine, tmp_path):
    model = student(layers={"esm": {"body.1": "1"}})
    posterior = fit(model, (X, Y), few(engine), progress=False, compiled="never")
    assert posterior.values["projector.esm.body_1"].shape[2:] == (3, 5)
    said = posterior.predict(X)
    if posterior.centre is None:
        draws = posterior.samples()
        one = {name: draws[name][0, 0] for name in model.skeleton.shapes}
        torch.testing.assert_close(said.by_chain[0, 0], torch.softmax(model.skeleton(one, X), -1))
    assert posterior.num_weights == model.skeleton.num_weights
    posterior.save(tmp_path / "p")
    again = Posterior.load(tmp_path / "p")
    assert torch.equal(again.predict(X).probs, said.probs)
    name = "projector.esm.body_1"
    assert torch.equal(again.values[name], posterior.values[name])
    if engine == "map":
        on = fit(model, (X, Y), few("map", steps=1), start=again.chains(slice(0, 1)), progress=False)
        assert (on.values[name][0, 0] - again.values[name][0, 0]).abs().max() < 0.02, "one step from there"
    posterior.to_arviz(weights=True).to_netcdf(str(tmp_path / "draws.nc"))


@pytest.mark.parametrize("engine", ["svi", "laplace"])
def test_where_only_the_last_layer_is_bayesian_the_projectors_are_held(tmp_path, engine):
    model = student(layers=ONE, bayesian="last")
    posterior = fit(model, (X, Y), few(engine), progress=False, compiled="never")
    assert set(posterior.values) == {"4.weight", "4.bias"}
    assert posterior.held["projector.nets.2"].abs().max() > 0
    posterior.save(tmp_path / "p")
    assert torch.equal(Posterior.load(tmp_path / "p").predict(X).probs, posterior.predict(X).probs)
    assert student(bayesian=["0", "2", "4"]).bayesian == student().bayesian, "all of them, listed"


def test_another_networks_posterior_is_still_refused(tmp_path):
    fit(student(layers=ONE), (X, Y), few("map", steps=1), progress=False).save(tmp_path / "p")
    with pytest.raises(InputError, match=r"parameter '0.weight' is \(5, 6\) in the file and \(7, 6\)"):
        Posterior.load(tmp_path / "p", mlp(6, [7, 4], K))


# ---- refusals --------------------------------------------------------------------------------------------------------


def test_what_does_not_fit_together_is_refused():
    with pytest.raises(InputError, match=r"layer '9' is not in network MLP; .*valid: 0, 1, 2, 3, 4"):
        student(layers={"nets": {"2": "9"}}).rows((X, Y))
    with pytest.raises(InputError, match="the teachers speak of 11 rows, the pool has 4"):
        student(with_prior=False).rows((X[:4], Y[:4]))
    with pytest.raises(InputError, match="other inputs or another order"):
        student(with_prior=False).rows((X.flip(0), Y))

    class Taken(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.projector = nn.ModuleDict({"nets": nn.ParameterDict({"2": torch.zeros(3, 6)})})

        def forward(self, x):
            return x @ self.projector["nets"]["2"].T

    with pytest.raises(InputError, match=r"has a parameter 'projector\.nets\.2', as a projector is called"):
        student(Taken(), ONE)

"""A body and a head a teacher: the prediction by hand, one head as the ordinary student, gradients that arrive."""

import dataclasses
import math

import pytest
import tiny_runs
import torch
from pyro import poutine
from torch.func import jacrev

from mtbkd import registry
from mtbkd.density import Density
from mtbkd.errors import InputError
from mtbkd.fitting import fit
from mtbkd.inference import curvature
from mtbkd.priors import DirichletProduct
from mtbkd.priors.heads import HeadsPrior
from mtbkd.problem import prepare
from mtbkd.students import Student, mlp
from mtbkd.students.heads import Heads, HeadsConfig, build
from mtbkd.students.spec import NetworkSpec
from mtbkd.teachers.bank import TeacherBank
from mtbkd.weighting import uniform

pytestmark = pytest.mark.filterwarnings("ignore:.*no labelled example")

N, M, K = 9, 2, 3


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


X = torch.randn(N, 4, generator=generator(0))
Y = torch.tensor([0, -1, 2, 1, -1, -1, 0, 1, -1])


def network(heads: int = M, hidden=(5,)) -> Heads:
    torch.manual_seed(0)
    return build(HeadsConfig(heads=heads, hidden=list(hidden), activation="tanh"), (4,), K)


def bank(teachers: int = M) -> TeacherBank:
    z = 2 * torch.randn(teachers, N, K, generator=generator(1))
    return TeacherBank.from_logits({f"t{m}": one for m, one in enumerate(z)}, inputs=X)


def student(heads: int = M, temperature: float = 1.0, weights=None, **more) -> Student:
    own = bank(heads)
    prior = HeadsPrior(own, uniform(own) if weights is None else weights, 4.0, temperature)
    return Student(network(heads), prior, **more)


def density_of(model: Student) -> Density:
    return Density(model, model.rows((X, Y)), dtype=torch.float64)


def test_the_prediction_is_the_average_of_the_heads():
    made = network()
    hidden = torch.tanh(X @ made.body[0].weight.T + made.body[0].bias)
    outputs = hidden @ made.heads.weight.T + made.heads.bias
    mean = (torch.softmax(outputs[:, :K], -1) + torch.softmax(outputs[:, K:], -1)) / 2
    torch.testing.assert_close(made(X).exp(), mean)
    torch.testing.assert_close(made(X).exp().sum(-1), torch.ones(N))
    assert network(hidden=())(X.unflatten(1, (2, 2))).shape == (N, K), "no body, inputs of any shape"


def test_is_built_again_from_its_specification():
    again = NetworkSpec.from_json(network().spec.to_json()).build()
    assert {n: p.shape for n, p in again.named_parameters()} == {
        n: p.shape for n, p in network().named_parameters()
    }
    with pytest.raises(InputError, match="heads is 0"):
        HeadsConfig(heads=0)


def test_terms_are_by_hand():
    """Each head against its own teacher, labels against the average."""
    model = student(temperature=2.0, strength=0.6)
    density = density_of(model)
    theta = torch.randn(3, density.dim, generator=generator(2), dtype=torch.float64)
    terms = density.terms(theta)
    p = torch.softmax(torch.stack([z[0] for z in bank().predictions]).double() / 2.0, -1)
    for c in range(3):
        w = density.unflatten(theta[c])
        hidden = torch.tanh(X.double() @ w["body.0.weight"].T + w["body.0.bias"])
        heads = (hidden @ w["heads.weight"].T + w["heads.bias"]).split(K, -1)
        teachers = 0.6 * sum(4.0 / M * (p[m] * torch.log_softmax(heads[m] / 2.0, -1)).sum() for m in range(M))
        q = sum(torch.softmax(head, -1) for head in heads) / M
        labels = sum(math.log(q[i, k]) for i, k in enumerate(Y.tolist()) if k >= 0)
        assert terms["teachers"][c].item() == pytest.approx(teachers.item(), rel=1e-6)
        assert terms["labels"][c].item() == pytest.approx(labels, rel=1e-6)
    torch.testing.assert_close(sum(terms.values()), density.log_prob(theta))


@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_one_head_is_the_ordinary_student(temperature):
    """Value and gradient of CE(y, f) + lambda CE(p, q) + weight decay."""
    ours = density_of(student(1, temperature))
    one = bank(1)
    plain = density_of(Student(mlp(4, [5], K, "tanh"), DirichletProduct(one, uniform(one), 4.0, temperature)))
    assert [tuple(s.shape) for s in ours.sites] == [tuple(s.shape) for s in plain.sites]
    theta = torch.randn(2, ours.dim, generator=generator(3), dtype=torch.float64)
    torch.testing.assert_close(ours.value_and_grad(theta), plain.value_and_grad(theta))


def test_gradients_reach_the_body_and_each_head_its_own():
    weights = torch.tensor([[1.0, 0.0]]).expand(N, M)  # the second teacher is not heard
    model = student(weights=weights)
    density = density_of(model)
    theta = torch.randn(density.dim, generator=generator(4), dtype=torch.float64)
    leaves = {name: v.requires_grad_() for name, v in density.unflatten(theta).items()}
    trace = poutine.trace(poutine.condition(model, data=leaves)).get_trace(*density.tensors)
    trace.compute_log_prob()

    def reached(part: str) -> dict[str, torch.Tensor]:
        grads = torch.autograd.grad(
            trace.nodes[part]["log_prob_sum"], list(leaves.values()), retain_graph=True
        )
        return dict(zip(leaves, grads, strict=True))

    teachers, labels = reached("teachers"), reached("labels")
    for name in leaves:
        assert (labels[name] != 0).all(), name
        assert torch.isfinite(labels[name]).all()
        if not name.startswith("heads"):
            assert (teachers[name] != 0).all(), name
    assert (teachers["heads.weight"][:K] != 0).all()
    assert teachers["heads.weight"][K:].abs().max() == 0


def test_gauss_newton_is_of_the_average_for_labels_and_of_heads_for_teachers():
    model = student(temperature=2.0, strength=0.6)
    density = density_of(model)
    theta = torch.randn(density.dim, generator=generator(5), dtype=torch.float64)

    def outputs(point, layer=False):
        logits, layers = model.skeleton.with_layers(density.unflatten(point), X.double(), ["heads"])
        return layers["heads"] if layer else logits

    q = outputs(theta).exp()
    label = (Y >= 0)[:, None, None] * (torch.diag_embed(q) - q[:, :, None] * q[:, None, :])
    j = jacrev(outputs)(theta)
    expected = torch.einsum("nkd,nkl,nle->de", j, label, j)
    heads = torch.softmax(outputs(theta, layer=True).unflatten(-1, (M, K)) / 2.0, -1)
    block = 0.6 * 2.0 / 4.0 * (torch.diag_embed(heads) - heads[..., :, None] * heads[..., None, :])
    j = jacrev(lambda point: outputs(point, layer=True))(theta).unflatten(1, (M, K))
    expected += torch.einsum("nmkd,nmkl,nmle->de", j, block, j)
    torch.testing.assert_close(curvature.gauss_newton(density, theta, density.tensors), expected)


def test_a_posterior_predicts_the_average(tmp_path):
    config = dataclasses.replace(registry.default_config("inference", "laplace"), warm_start=20, draws=5)
    model = student()
    posterior = fit(
        model, (X, Y), dataclasses.replace(config, predictive="network"), progress=False, compiled="never"
    )
    draws = {name: v[0, 0] for name, v in posterior.values.items()}
    torch.testing.assert_close(posterior.predict(X).probs[0], model.skeleton(draws, X).exp())
    assert student(bayesian="last").bayesian == ["heads.weight", "heads.bias"]


def test_another_number_of_heads_than_teachers_is_refused():
    prior = HeadsPrior(bank(), uniform(bank()), 4.0)
    with pytest.raises(
        InputError, match=r"layer 'heads' gives 9 numbers.*2 teachers of 3 classes need 6.*student.heads=2"
    ):
        Student(network(3), prior).rows((X, Y))
    with pytest.raises(InputError, match="not in network MLP"):
        Student(mlp(4, [5], K), prior).rows((X, Y))


def test_a_run_finds_it_before_anything_is_trained(tmp_path):
    words = [*tiny_runs.tiny_overrides(tmp_path), "prior=heads"]
    with pytest.raises(InputError, match="layer is 'heads', which the student lacks; use student=heads"):
        prepare(tiny_runs.resolved(*words))
    with pytest.raises(InputError, match=r"student=heads student\.heads=2"):
        prepare(tiny_runs.resolved(*words, "student=heads"))
    prepare(tiny_runs.resolved(*words, "student=heads", "student.heads=2"))

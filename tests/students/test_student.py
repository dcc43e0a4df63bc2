"""The Pyro model term by term against formulas, and what a student refuses."""

import dataclasses

import pyro
import pytest
import torch
from pyro import poutine
from torch import nn
from user_networks import USERS_OWN, Noisy, Normed

from mtbkd.data.distillation import DistillationData, Rows
from mtbkd.density import Density
from mtbkd.errors import InputError
from mtbkd.priors.dirichlet_mixture import DirichletMixture
from mtbkd.priors.dirichlet_product import DirichletProduct
from mtbkd.students.cnn import cnn
from mtbkd.students.mlp import mlp
from mtbkd.students.student import NormalizedCategorical, Student
from mtbkd.students.weight_prior import NormalWeights
from mtbkd.teachers.bank import TeacherBank
from mtbkd.weighting import entropy

N, K = 7, 3


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def x() -> torch.Tensor:
    return torch.randn(N, 6, generator=generator(0))


@pytest.fixture
def y() -> torch.Tensor:
    return torch.tensor([0, -1, 2, 1, -1, -1, 0])


def prior_on(x: torch.Tensor, kind=DirichletMixture, **more):
    z = 2 * torch.randn(2, N, K, generator=generator(1))
    bank = TeacherBank.from_logits({"a": z[0], "b": z[1]}, inputs=x)
    return kind(bank, entropy(bank), 4.0, **more)


def trace_of(student: Student, tensors, **more) -> poutine.Trace:
    weights = student.initial(generator(2))
    conditioned = poutine.condition(student, data=weights)
    trace = poutine.trace(conditioned).get_trace(*tensors, **more)
    trace.compute_log_prob()
    return trace


def term(trace: poutine.Trace, name: str) -> float:
    return float(trace.nodes[name]["log_prob_sum"])


@pytest.mark.parametrize("kind", [DirichletMixture, DirichletProduct])
@pytest.mark.parametrize("strength", [1.0, 0.02])
@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_terms_are_the_formulas(x, y, kind, strength, temperature):
    prior = prior_on(x, kind, temperature=temperature)
    student = Student(mlp(6, [5], K), prior, strength=strength)
    trace = trace_of(student, student.rows((x, y)))
    weights = student.initial(generator(2))
    logits = student.skeleton(weights, x)
    torch.testing.assert_close(trace.nodes["_RETURN"]["value"], logits)
    labelled = y >= 0
    labels = -nn.functional.cross_entropy(logits[labelled], y[labelled], reduction="sum")
    assert term(trace, "labels") == pytest.approx(labels.item(), rel=1e-5)
    teachers = strength * prior.log_prob(logits, torch.arange(N)).sum()
    assert term(trace, "teachers") == pytest.approx(teachers.item(), rel=1e-4, abs=1e-5)
    distributions = student.weight_prior.distributions(student.skeleton, x)
    for name, distribution in distributions.items():
        assert term(trace, name) == pytest.approx(distribution.log_prob(weights[name]).item(), rel=1e-5)
    sites = [n for n, node in trace.nodes.items() if node["type"] == "sample"]
    assert set(sites) == {*student.skeleton.shapes, "rows", "teachers", "labels"}


def test_a_mini_batch_scales_rows_and_not_the_weight_prior(x, y):
    student = Student(mlp(6, [5], K), prior_on(x))
    tensors = student.rows((x, y))
    whole = trace_of(student, tensors)
    scaled = trace_of(student, tensors, scale=torch.tensor(3.5))
    for name in ("labels", "teachers"):
        assert term(scaled, name) == pytest.approx(3.5 * term(whole, name), rel=1e-5)
    for name in student.skeleton.shapes:
        assert term(scaled, name) == term(whole, name)


def test_strength_zero_and_no_prior_are_labels_alone(x, y):
    without = Student(mlp(6, [5], K))
    switched_off = Student(mlp(6, [5], K), prior_on(x), strength=0.0)
    traces = [trace_of(student, student.rows((x, y))) for student in (without, switched_off)]
    assert all("teachers" not in trace.nodes for trace in traces)
    assert traces[0].log_prob_sum().item() == pytest.approx(traces[1].log_prob_sum().item())


def test_no_labels_at_all_is_pure_distillation(x):
    student = Student(mlp(6, [5], K), prior_on(x))
    trace = trace_of(student, student.rows((x, torch.full((N,), -1))))
    assert term(trace, "labels") == 0
    assert term(trace, "teachers") != 0


NETWORKS = {
    "mlp": lambda: mlp(6, [5, 4], K),
    "cnn": lambda: nn.Sequential(
        nn.Unflatten(1, (1, 2, 3)), nn.ZeroPad2d((0, 1, 1, 1)), cnn((1, 4, 4), [16], K)
    ),
    **{network.__name__: network for network in USERS_OWN},
}


@pytest.mark.filterwarnings("ignore:There is a performance drop")
@pytest.mark.parametrize("part", ["labels", "teachers"])
@pytest.mark.parametrize("name", list(NETWORKS))
def test_every_weight_hears_labels_and_teachers(x, y, name, part):
    """Each factor alone has a finite gradient that is not zero in any parameter (a detached loss would have none)."""
    torch.manual_seed(0)
    student = Student(NETWORKS[name](), prior_on(x))
    weights = {n: w + 0.1 * torch.randn_like(w) for n, w in student.initial(generator(3)).items()}
    leaves = {n: w.requires_grad_() for n, w in weights.items()}
    trace = poutine.trace(poutine.condition(student, data=leaves)).get_trace(*student.rows((x, y)))
    trace.compute_log_prob()
    grads = torch.autograd.grad(trace.nodes[part]["log_prob_sum"], list(leaves.values()))
    for site, grad in zip(leaves, grads, strict=True):
        assert torch.isfinite(grad).all()
        assert grad.abs().max() > 1e-5, site


def test_default_weight_prior_is_by_fan_in():
    prior = Student(mlp(6, [5], K)).weight_prior
    assert (prior.scale, prior.kind) == (3.0, "fan_in")
    assert Student(mlp(6, [5], K), weight_prior=NormalWeights(0.3, "fixed")).weight_prior.kind == "fixed"


def test_choice_of_bayesian_layers():
    assert Student(mlp(6, [5], K), bayesian="last").bayesian == ["2.weight", "2.bias"]
    assert len(Student(mlp(6, [5], K)).bayesian) == 4
    with pytest.raises(InputError, match="'first' is not in the network"):
        Student(mlp(6, [5], K), bayesian="first")


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.int64, torch.uint8])
def test_inputs_of_any_number_type(y, dtype):
    x = torch.randint(0, 5, (N, 6), generator=generator(0)).to(dtype)
    student = Student(mlp(6, [5], K), prior_on(x))
    rows = student.rows((x.numpy(), y.numpy()))
    assert rows[0].is_floating_point()
    density = Density(student, rows)
    reference = Student(mlp(6, [5], K), prior_on(x.float()))
    theta = torch.randn(1, density.dim, generator=generator(1))
    expected = Density(reference, reference.rows((x.float(), y))).log_prob(theta)
    torch.testing.assert_close(density.log_prob(theta), expected)


def test_rows_of_a_distillation_problem_are_the_pools(x, y):
    names = ("a", "b", "c")

    def rows(labels: torch.Tensor) -> Rows:
        return Rows(x, labels, torch.arange(N).numpy().astype(str), torch.arange(N))

    known = y.clamp(min=0)
    data = DistillationData("d", rows(y), rows(known), rows(known), names, teacher_y=known)
    student = Student(mlp(6, [5], K), prior_on(x))
    got = student.rows(data)
    assert torch.equal(got[0], x)
    assert torch.equal(got[1], y)
    assert len(got) == 2 + len(student.prior.tensors)
    shuffled = dataclasses.replace(data, pool=data.pool.take(torch.arange(N).flip(0)))
    with pytest.raises(InputError, match="another order"):
        student.rows(shuffled)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x, y: (x[:0], y[:0]), "pool is empty"),
        (lambda x, y: (x, y[:3]), r"7 inputs but labels of shape \(3,\)"),
        (lambda x, y: (x, y + 2), "label 4 at row 2 is outside 0..2"),
        (lambda x, y: (x, y - 1), "label -2 at row 1"),
        (lambda x, y: (x.index_fill(0, torch.tensor([4]), float("nan")), y), "row 4 has a NaN"),
        (lambda x, y: (x[:, :5], y), r"does not take inputs of shape \(5,\)"),
    ],
)
def test_bad_pools_are_refused(x, y, change, message):
    with pytest.raises(InputError, match=message):
        Student(mlp(6, [5], K)).rows(change(x, y))


def test_bad_students_are_refused(x, y):
    with pytest.raises(InputError, match="strength is -1"):
        Student(mlp(6, [5], K), prior_on(x), strength=-1.0)
    with pytest.raises(InputError, match=r"gives shape \(2, 4\) for 2 inputs; \(2, 3\)"):
        Student(mlp(6, [5], 4), prior_on(x)).rows((x, y))
    with pytest.raises(InputError, match="asked again"):
        Student(Noisy(), prior_on(x)).rows((x, y))
    with pytest.raises(InputError, match="BatchNorm1d"):
        Student(nn.Sequential(nn.Linear(6, 3), nn.BatchNorm1d(3)))


def test_a_student_is_a_pyro_model_that_samples(x, y):
    """Without conditioning Pyro draws the weights from their prior."""
    student = Student(Normed())
    pyro.set_rng_seed(0)
    traces = [poutine.trace(student).get_trace(x, y) for _ in range(2)]
    first, second = (t.nodes["body.weight"]["value"] for t in traces)
    assert first.shape == (5, 6)
    assert not torch.equal(first, second)
    assert traces[0].nodes["labels"]["is_observed"]


def test_labels_that_are_normalised_are_not_normalised_again():
    logits = torch.randn(5, 4, generator=torch.Generator().manual_seed(0)).double()
    y = torch.tensor([0, 3, 1, 2, 2])
    mine = NormalizedCategorical(torch.log_softmax(logits, -1))
    theirs = torch.distributions.Categorical(logits=logits)
    torch.testing.assert_close(mine.log_prob(y), theirs.log_prob(y))
    torch.testing.assert_close(mine.probs, theirs.probs)
    torch.testing.assert_close(mine.entropy(), theirs.entropy())
    assert mine.expand(torch.Size((2, 5))).log_prob(y).shape == (2, 5)
    assert mine.sample((3,)).shape == (3, 5)


# ---- what a Gauss-Newton asks ------------------------------------------------------------------------------------


def test_logits_are_the_networks_own(x):
    network = Normed()
    student = Student(network)
    assert torch.equal(student.logits(dict(network.named_parameters()), x), network(x))


@pytest.mark.parametrize("strength", [0.0, 0.7])
def test_precision_of_the_logits_is_of_labels_where_they_are_and_of_teachers_everywhere(x, y, strength):
    prior = prior_on(x, temperature=2.0)
    student = Student(mlp(6, [5], K), prior, strength=strength)
    logits = torch.randn(N, K, generator=generator(4))
    _, _, *teachers = student.rows((x, y))
    got = student.logit_precision(logits, y, *teachers)
    q = torch.softmax(logits, -1)
    label = torch.diag_embed(q) - q[:, :, None] * q[:, None, :]
    said = prior.logit_precision(logits, *prior.tensors.values())
    torch.testing.assert_close(got, (y >= 0)[:, None, None] * label + strength * said)
    assert (got[1].abs().max() > 0) == (strength > 0)


def test_precision_of_the_weights_is_one_over_their_variance(x):
    student = Student(mlp(6, [5], K), weight_prior=NormalWeights(3.0))
    precision = student.weight_precision(x.double())
    assert precision["0.weight"].dtype == torch.float64
    torch.testing.assert_close(precision["0.weight"], torch.full((5, 6), 6 / 9).double())
    torch.testing.assert_close(precision["2.bias"], torch.full((K,), 1 / 9).double())

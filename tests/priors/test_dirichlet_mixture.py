"""The mixture against torch's own Dirichlet in float64, and METHOD facts 1 to 3."""

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.distributions import Categorical, Dirichlet, MixtureSameFamily

from mtbkd.errors import InputError
from mtbkd.priors.dirichlet_mixture import DirichletMixture
from mtbkd.priors.dirichlet_product import DirichletProduct
from mtbkd.students.mlp import mlp
from mtbkd.students.student import Student
from mtbkd.students.weight_prior import NormalWeights
from mtbkd.teachers.bank import TeacherBank
from mtbkd.weighting import Weights, entropy, uniform

NUM_ROWS, NUM_CLASSES = 5, 4


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.fixture
def probs() -> torch.Tensor:
    """Three teachers in float64, the third a forest: exact zeros, and one row sure of a class."""
    p = torch.softmax(2 * torch.randn(3, NUM_ROWS, NUM_CLASSES, generator=generator()).double(), -1)
    p[2] = torch.tensor([0.75, 0.25, 0.0, 0.0], dtype=torch.float64)
    p[2, 1] = torch.tensor([0.0, 0.0, 1.0, 0.0], dtype=torch.float64)
    return p


@pytest.fixture
def weights() -> torch.Tensor:
    """Row 0 leaves out two teachers, row 1 one."""
    return torch.tensor(
        [[0.0, 0.0, 1.0], [0.0, 0.4, 0.6], [0.2, 0.3, 0.5], [1 / 3, 1 / 3, 1 / 3], [0.6, 0.4, 0.0]]
    )


def bank_of(probs: torch.Tensor) -> TeacherBank:
    return TeacherBank.from_probs({f"t{m}": p for m, p in enumerate(probs)})


def tempered(p: torch.Tensor, temperature: float) -> torch.Tensor:
    powered = p ** (1 / temperature)
    return powered / powered.sum(-1, keepdim=True)


def kl(p: torch.Tensor, q: torch.Tensor) -> torch.Tensor:
    return (torch.special.xlogy(p, p) - p * q.log()).sum(-1)


def cross_entropy(p: torch.Tensor, q: torch.Tensor) -> torch.Tensor:
    return -(p * q.log()).sum(-1)


def reference(normalize: str, p: torch.Tensor, w: torch.Tensor, q: torch.Tensor, s: float) -> torch.Tensor:
    """`[N]` in float64 by other code than ours: torch's Dirichlet mixture; exp(-s KL); exp(-s CE)."""
    if normalize == "density":
        components = Dirichlet(1 + s * p.transpose(0, 1), validate_args=False)
        # A weight of exactly 0 is minus infinity as a log, which is right here.
        mixing = Categorical(probs=w.double(), validate_args=False)
        mixing.logits = w.double().log()
        return MixtureSameFamily(mixing, components, validate_args=False).log_prob(q)
    distance = kl if normalize == "peak" else cross_entropy
    return (w.double() * (-s * distance(p.transpose(0, 1), q[:, None])).exp()).sum(-1).log()


@pytest.mark.parametrize("temperature", [1.0, 2.0])
@pytest.mark.parametrize("normalize", ["density", "peak", "none"])
@pytest.mark.parametrize("concentration", [0.0, 5.0, 60.0])
def test_is_the_mixture_it_says(probs, weights, normalize, temperature, concentration):
    prior = DirichletMixture(
        bank_of(probs), weights, concentration, temperature=temperature, normalize=normalize
    )
    logits = 2 * torch.randn(NUM_ROWS, NUM_CLASSES, generator=generator(1))
    rows = torch.arange(NUM_ROWS)
    value = prior.log_prob(logits, rows).double() + prior.log_constant
    q = torch.softmax(logits.double() / temperature, -1)
    expected = reference(normalize, tempered(probs, temperature), weights, q, concentration)
    torch.testing.assert_close(value, expected, rtol=1e-5, atol=1e-4)


def test_bayesian_teacher_is_a_dirichlet_of_its_own_precision():
    draws = torch.tensor([[[0.8, 0.2]], [[0.6, 0.4]]])  # mean (.7, .3), precision 9.5 (see test_prior)
    prior = DirichletMixture(TeacherBank.from_probs({"b": draws}), torch.ones(1, 1))
    logits = torch.tensor([[0.3, -0.2]])
    expected = Dirichlet(torch.tensor([1 + 9.5 * 0.7, 1 + 9.5 * 0.3])).log_prob(torch.softmax(logits, -1))
    value = prior.log_prob(logits, torch.tensor([0])) + prior.log_constant
    assert value.item() == pytest.approx(expected.item(), rel=1e-5)
    assert prior.precision.item() == pytest.approx(9.5, rel=1e-5)


def test_largest_normaliser_is_left_out_of_each_row(probs, weights):
    prior = DirichletMixture(bank_of(probs), weights, 5.0)
    assert prior.tensors["offset"].max(-1).values.tolist() == [0.0] * NUM_ROWS


# ---- fact 1: one teacher is knowledge distillation --------------------------------------------------------------


@pytest.mark.parametrize("normalize", ["density", "peak", "none"])
def test_one_teacher_is_plain_distillation_in_the_logits(probs, normalize):
    concentration = 6.0
    prior = DirichletMixture(bank_of(probs[2:]), torch.ones(NUM_ROWS, 1), concentration, normalize=normalize)
    logits = torch.randn(NUM_ROWS, NUM_CLASSES, generator=generator(2)).requires_grad_()
    ours = prior.log_prob(logits, torch.arange(NUM_ROWS)).sum()
    plain = concentration * nn.functional.cross_entropy(logits, probs[2].float(), reduction="sum")
    (ours_grad,) = torch.autograd.grad(-ours, logits)
    (plain_grad,) = torch.autograd.grad(plain, logits)
    torch.testing.assert_close(ours_grad, plain_grad)


def test_one_teacher_is_plain_distillation_in_all_weights(probs):
    """-log posterior = CE(y, f) + lambda CE(p, q) + weight decay + constant, by value and by gradient."""
    network = mlp(3, [6], NUM_CLASSES).double()
    x = torch.randn(NUM_ROWS, 3, generator=generator(3)).double()
    y = torch.tensor([0, 1, 2, 3, -1])
    concentration, scale = 4.0, 0.7
    prior = DirichletMixture(bank_of(probs[:1]), torch.ones(NUM_ROWS, 1), concentration)
    student = Student(network, prior, weight_prior=NormalWeights(scale, "fixed"))
    from mtbkd.density import Density

    density = Density(student, student.rows((x, y)), dtype=torch.float64)
    flats = torch.randn(3, density.dim, generator=generator(4), dtype=torch.float64)
    values, grads = density.value_and_grad(flats)
    constants = []
    for flat, value, grad in zip(flats, values, grads, strict=True):
        nn.utils.vector_to_parameters(flat, network.parameters())
        network.zero_grad()
        logits = network(x)
        p = bank_of(probs[:1]).probs[0].double()
        loss = (
            nn.functional.cross_entropy(logits, y, ignore_index=-1, reduction="sum")
            + concentration * nn.functional.cross_entropy(logits, p, reduction="sum")
            + sum(w.square().sum() for w in network.parameters()) / (2 * scale**2)
        )
        loss.backward()
        torch.testing.assert_close(
            -grad, torch.cat([w.grad.flatten() for w in network.parameters()]), rtol=1e-5, atol=1e-5
        )
        constants.append((value + loss).item())
    assert constants == pytest.approx([constants[0]] * 3, abs=1e-5)


# ---- fact 2: responsibilities -----------------------------------------------------------------------------------


@pytest.mark.parametrize("normalize", ["density", "peak", "none"])
@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_gradient_is_responsibility_times_precision_times_distillation(
    probs, weights, normalize, temperature
):
    draws = torch.softmax(torch.randn(8, NUM_ROWS, NUM_CLASSES, generator=generator(5)), -1)
    bank = TeacherBank.from_probs({"t0": probs[0], "t1": draws, "t2": probs[2]})
    prior = DirichletMixture(bank, weights, 5.0, temperature=temperature, normalize=normalize)
    rows = torch.arange(NUM_ROWS)
    logits = torch.randn(NUM_ROWS, NUM_CLASSES, generator=generator(6)).requires_grad_()
    (grad,) = torch.autograd.grad(-prior.log_prob(logits, rows).sum(), logits)
    r = prior.responsibilities(logits.detach(), rows)
    expected = torch.zeros_like(grad)
    for m, p in enumerate(bank.mean_probs(temperature)):
        ce = nn.functional.cross_entropy(logits / temperature, p, reduction="none")
        share = (r[:, m] * prior.precision[:, m]).detach()
        expected += torch.autograd.grad((share * ce).sum(), logits)[0]
    torch.testing.assert_close(grad, expected, rtol=1e-4, atol=1e-5)
    assert (r[weights == 0] == 0).all()


def test_responsibilities_are_the_posterior_of_the_component(probs, weights):
    prior = DirichletMixture(bank_of(probs), weights, 5.0)
    logits = torch.randn(NUM_ROWS, NUM_CLASSES, generator=generator(7))
    q = torch.softmax(logits.double(), -1)
    densities = Dirichlet(1 + 5.0 * probs).log_prob(q).exp().T * weights
    r = prior.responsibilities(logits, torch.arange(NUM_ROWS))
    torch.testing.assert_close(r.double(), densities / densities.sum(-1, keepdim=True), rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("normalize", ["density", "peak", "none"])
def test_identical_teachers_are_one(probs, weights, normalize):
    rows = torch.arange(NUM_ROWS)
    logits = torch.randn(NUM_ROWS, NUM_CLASSES, generator=generator(8)).requires_grad_()
    three = DirichletMixture(bank_of(probs[[0, 0, 0]]), weights, 5.0, normalize=normalize)
    one = DirichletMixture(bank_of(probs[:1]), torch.ones(NUM_ROWS, 1), 5.0, normalize=normalize)
    values = [p.log_prob(logits, rows) + p.log_constant for p in (three, one)]
    torch.testing.assert_close(*values, rtol=1e-5, atol=1e-5)
    grads = [torch.autograd.grad(value.sum(), logits)[0] for value in values]
    torch.testing.assert_close(*grads)


def undecided_ratio(first: torch.Tensor, second: torch.Tensor, temperature: float, normalize: str) -> float:
    """How many times as dense the first teacher is as the second for an undecided student, lambda 5, K 10."""
    prior = DirichletMixture(
        TeacherBank.from_probs({"first": first[None], "second": second[None]}),
        torch.full((1, 2), 0.5),
        5.0,
        temperature=temperature,
        normalize=normalize,
    )
    r = prior.responsibilities(torch.zeros(1, 10), torch.tensor([0]))[0]
    return (r[0] / r[1]).item()


FLAT = torch.full((10,), 0.1)
SHARP = torch.tensor([0.95] + [0.05 / 9] * 9)
ONE_HOT = torch.eye(10)[0]


def test_measured_ratios_of_an_undecided_student():
    assert undecided_ratio(FLAT, SHARP, 1.0, "density") == pytest.approx(230, rel=0.01)
    assert undecided_ratio(FLAT, ONE_HOT, 1.0, "density") == pytest.approx(400, rel=0.01)
    assert undecided_ratio(FLAT, SHARP, 2.0, "density") == pytest.approx(8, rel=0.05)
    # One-hot: B(6, 1, ..) / B(1.5, ..) = 5! / Gamma(1.5)^10, by hand.
    assert undecided_ratio(FLAT, ONE_HOT, 1.0, "density") == pytest.approx(
        120 / math.gamma(1.5) ** 10, rel=1e-4
    )


def test_fit_alone_decides_by_peak_and_sharpness_does_not_by_none():
    # At q uniform KL(p || q) = log K - H(p) and CE = log K for every p.
    assert undecided_ratio(FLAT, SHARP, 1.0, "none") == pytest.approx(1.0, rel=1e-5)
    kl_sharp = math.log(10) - torch.special.entr(SHARP).sum().item()
    assert undecided_ratio(FLAT, SHARP, 1.0, "peak") == pytest.approx(math.exp(5 * kl_sharp), rel=1e-4)


# ---- fact 3: finite --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("normalize", ["density", "peak", "none"])
@pytest.mark.parametrize("spread", [0.0, 5.0, 200.0])
def test_finite_in_float32_with_a_thousand_classes(normalize, spread):
    z = 8 * torch.randn(3, 4, 1000, generator=generator(9))
    prior = DirichletMixture(
        TeacherBank.from_logits({f"t{m}": t for m, t in enumerate(z)}),
        torch.full((4, 3), 1 / 3),
        100.0,
        normalize=normalize,
    )
    logits = (spread * torch.randn(4, 1000, generator=generator(10))).requires_grad_()
    value = prior.log_prob(logits, torch.arange(4))
    value.sum().backward()
    assert value.dtype == torch.float32
    assert torch.isfinite(value).all()
    assert torch.isfinite(logits.grad).all()


@pytest.mark.parametrize("gap", [1e4, 1e30])
def test_finite_where_a_forest_says_zero_and_the_student_never(gap):
    """The student gives a class no chance at all that one teacher rules out and another does not."""
    bank = TeacherBank.from_probs({"forest": torch.tensor([[1.0, 0.0]]), "soft": torch.tensor([[0.5, 0.5]])})
    prior = DirichletMixture(bank, torch.full((1, 2), 0.5))
    logits = torch.tensor([[0.0, -gap]], requires_grad=True)
    value = prior.log_prob(logits, torch.tensor([0]))
    value.sum().backward()
    assert torch.isfinite(value).all()
    assert torch.isfinite(logits.grad).all()


def test_energies_keep_their_digits():
    """In float32 a change of one logit by .01 is seen as in float64, because the constant is left out."""
    z = 3 * torch.randn(2, 2000, 100, generator=generator(11))
    prior = DirichletMixture(
        TeacherBank.from_logits({"a": z[0], "b": z[1]}), torch.full((2000, 2), 0.5), 100.0
    )
    assert prior.log_constant.sum().item() > 1e5
    rows = torch.arange(2000)
    logits = torch.log_softmax(z.mean(0), -1)
    moved = logits.clone()
    moved[:, 0] += 0.01
    difference = (prior.log_prob(moved, rows) - prior.log_prob(logits, rows)).sum().item()
    p = torch.softmax(z.double(), -1)
    exact = [
        reference("density", p, torch.full((2000, 2), 0.5), torch.softmax(f.double(), -1), 100.0).sum()
        for f in (moved, logits)
    ]
    assert difference == pytest.approx((exact[0] - exact[1]).item(), rel=0.02, abs=0.02)


# ---- at the door, and on real teachers --------------------------------------------------------------------------


def test_unknown_normalize_is_refused_with_the_nearest(probs, weights):
    with pytest.raises(InputError, match=r"normalize: unknown value 'peaks'; did you mean 'peak'"):
        DirichletMixture(bank_of(probs), weights, normalize="peaks")


def test_on_the_papers_teachers(shared_data):
    import numpy as np

    with np.load(shared_data / "deeploc2_mtbkd.npz", allow_pickle=False) as data:
        z = torch.as_tensor(data["train_teacher_logits"][:300])
    bank = TeacherBank.from_logits({"esm": z[:, 0], "t5": z[:, 1]})
    weights = entropy(bank)
    prior = DirichletMixture(bank, weights, 5.0, temperature=2.0)
    logits = torch.randn(300, 10, generator=generator(12))
    value = prior.log_prob(logits, torch.arange(300)).double() + prior.log_constant
    p = torch.softmax(z.transpose(0, 1).double() / 2, -1)
    expected = reference("density", p, weights, torch.softmax(logits.double() / 2, -1), 5.0)
    torch.testing.assert_close(value, expected, rtol=1e-5, atol=1e-4)


def test_a_prior_knows_whose_rows_it_speaks_of(probs):
    x = torch.randn(NUM_ROWS, 2, generator=generator(13))
    bank = TeacherBank.from_probs({"t": probs[0]}, inputs=x)
    prior = DirichletMixture(bank, uniform(bank))
    student = Student(mlp(2, [3], NUM_CLASSES), prior)
    y = torch.arange(NUM_ROWS) % NUM_CLASSES
    assert len(student.rows((x, y))) == 4
    assert len(student.rows((x.double(), y))) == 4  # the same numbers in another precision
    with pytest.raises(InputError, match="another order"):
        student.rows((x.flip(0), y))
    with pytest.raises(InputError, match="speak of 5 rows, the pool has 4"):
        student.rows((x[:4], y[:4]))


@pytest.mark.parametrize("prior", [DirichletMixture, DirichletProduct])
def test_a_scale_multiplies_each_rows_whole_factor(prior):
    bank = TeacherBank.from_probs({"a": np.array([[0.7, 0.3], [0.2, 0.8]]), "b": np.array([[0.5, 0.5]] * 2)})
    weights, scale = torch.tensor([[0.4, 0.6], [0.5, 0.5]]), torch.tensor([0.25, 1.75])
    logits, rows = torch.tensor([[0.3, -1.0], [2.0, 0.5]]), torch.arange(2)
    plain, scaled = prior(bank, weights), prior(bank, Weights(weights, scale))
    whole = plain.log_prob(logits, rows) + plain.log_constant
    torch.testing.assert_close(
        scaled.log_prob(logits, rows) + scaled.log_constant,
        scale * whole,
        check_dtype=False,
        rtol=1e-5,
        atol=1e-6,
    )
    torch.testing.assert_close(scaled.responsibilities(logits, rows), plain.responsibilities(logits, rows))
    torch.testing.assert_close(  # the curvature is scaled as the factor is
        scaled.logit_precision(logits, *scaled.at(rows)),
        scale[:, None, None] * plain.logit_precision(logits, *plain.at(rows)),
    )
    with pytest.raises(InputError, match=r"scale is -1.0 at row 1"):
        prior(bank, Weights(weights, torch.tensor([1.0, -1.0])))

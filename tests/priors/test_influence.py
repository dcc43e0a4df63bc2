"""What a little more of one teacher does to the log-density: against automatic differentiation of plain formulas."""

import math

import pytest
import torch
from torch.distributions import Categorical, Dirichlet, MixtureSameFamily

from mtbkd.priors import DirichletMixture, DirichletProduct
from mtbkd.teachers.bank import TeacherBank
from mtbkd.weighting import Weights, entropy, uniform

N, K = 5, 4
ROWS = torch.arange(N)


def generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def bank_of(classes: torch.Tensor | None = None) -> TeacherBank:
    """A point teacher, a Bayesian one whose precision is its own, and a forest with exact zeros."""
    z = 2 * torch.randn(2, N, K, generator=generator(0))
    draws = z[1] + 0.7 * torch.randn(6, N, K, generator=generator(1))
    forest = torch.tensor([0.75, 0.25, 0.0, 0.0]).expand(N, K).log()
    return TeacherBank.from_predictions({"point": z[0], "draws": draws, "forest": forest}, classes=classes)


# The second row leaves the first teacher out.
WEIGHTS = torch.tensor(
    [[0.2, 0.3, 0.5], [0.0, 0.4, 0.6], [1 / 3, 1 / 3, 1 / 3], [0.6, 0.4, 0.0], [0.1, 0.8, 0.1]]
)
LOGITS = torch.randn(N, K, generator=generator(2))


def log_mixture(
    alpha: torch.Tensor, prior: DirichletMixture, p: torch.Tensor, q: torch.Tensor, normalize: str
) -> torch.Tensor:
    """Sum over rows of the log of the mixture with precisions alpha_m s_m, float64, by torch's own Dirichlet."""
    s = alpha * prior.precision.double()
    if normalize == "density":
        mixing = Categorical(probs=prior.weights.double(), validate_args=False)
        mixing.logits = prior.weights.double().log()
        components = Dirichlet(1 + s[..., None] * p, validate_args=False)
        return MixtureSameFamily(mixing, components, validate_args=False).log_prob(q).sum()
    cross = -(p * q[:, None].log()).sum(-1)
    distance = cross - torch.special.entr(p).sum(-1) if normalize == "peak" else cross
    return (prior.weights.double() * (-s * distance).exp()).sum(-1).log().sum()


@pytest.mark.parametrize("temperature", [1.0, 2.0])
@pytest.mark.parametrize("normalize", ["density", "peak", "none"])
def test_of_a_mixture_by_automatic_differentiation(normalize, temperature):
    bank = bank_of()
    prior = DirichletMixture(bank, WEIGHTS, 5.0, temperature=temperature, normalize=normalize)
    p = bank.mean_probs(temperature).transpose(0, 1).double()
    q = torch.softmax(LOGITS.double() / temperature, -1)
    ones = torch.ones(3, dtype=torch.float64)
    expected = torch.func.grad(log_mixture)(ones, prior, p, q, normalize)
    got = prior.influence(LOGITS, ROWS)
    assert got.shape == (N, 3)
    assert got[1, 0] == 0
    assert got[3, 2] == 0
    torch.testing.assert_close(got.double().sum(0), expected, rtol=1e-4, atol=1e-4)
    # The same by differences, so that nothing rests on torch's derivative of the log-gamma function.
    for j in range(3):
        step = 1e-5 * torch.eye(3, dtype=torch.float64)[j]
        up, down = (log_mixture(ones + sign * step, prior, p, q, normalize) for sign in (1, -1))
        assert float(up - down) / 2e-5 == pytest.approx(expected[j].item(), rel=1e-5, abs=1e-6)


def test_of_one_teacher_by_hand():
    """s 2, p and q even: 2 (log 1/2 - psi(2) + psi(4)), psi(4) - psi(2) = 1/2 + 1/3."""
    bank = TeacherBank.from_probs({"a": torch.tensor([[0.5, 0.5]])})
    prior = DirichletMixture(bank, torch.ones(1, 1), 2.0)
    got = prior.influence(torch.zeros(1, 2), torch.tensor([0]))
    assert got.item() == pytest.approx(2 * (5 / 6 - math.log(2)), rel=1e-5)
    # KL is 0 there, and the cross-entropy log 2.
    for normalize, expected in (("peak", 0.0), ("none", -2 * math.log(2))):
        other = DirichletMixture(bank, torch.ones(1, 1), 2.0, normalize=normalize)
        assert other.influence(torch.zeros(1, 2), torch.tensor([0])).item() == pytest.approx(
            expected, abs=1e-6
        )


@pytest.mark.parametrize("paper_scale", [False, True])
def test_of_the_product_by_automatic_differentiation(paper_scale):
    """Its normaliser does not depend on the student, so that only differences between two students count."""
    bank, temperature = bank_of(), 2.0
    prior = DirichletProduct(bank, WEIGHTS, 5.0, temperature, paper_scale=paper_scale)
    p = bank.mean_probs(temperature).transpose(0, 1).double()

    def log_product(alpha: torch.Tensor, logits: torch.Tensor) -> torch.Tensor:
        counts = ((alpha * WEIGHTS.double() * prior.precision.double())[..., None] * p).sum(1)
        log = Dirichlet(1 + counts).log_prob(torch.softmax(logits.double() / temperature, -1)).sum()
        return log * (temperature**2 if paper_scale else 1)

    other, ones = LOGITS.flip(0), torch.ones(3, dtype=torch.float64)
    expected = torch.func.grad(log_product)(ones, LOGITS) - torch.func.grad(log_product)(ones, other)
    got = (prior.influence(LOGITS, ROWS).double() - prior.influence(other, ROWS).double()).sum(0)
    torch.testing.assert_close(got, expected, rtol=1e-4, atol=1e-4)


PARTIAL = torch.tensor([[True, True, True, True], [True, True, False, True], [True, True, False, False]])


@pytest.mark.parametrize("classes", [None, PARTIAL], ids=["all classes", "some classes"])
@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize("kind", ["density", "peak", "none", "product"])
def test_all_teachers_together_are_the_derivative_in_the_concentration(kind, scaled, classes):
    """sum_m T_m = d (log_prob + log_constant) / d log lambda, up to a constant in the student for the product."""
    bank = bank_of(classes)
    scale = torch.tensor([0.5, 2.0, 0.0, 1.0, 1.5]) if scaled else None
    weights = Weights(entropy(bank), scale)

    def made(concentration: float):
        if kind == "product":
            return DirichletProduct(bank, weights, concentration, 2.0, precision="fixed")
        return DirichletMixture(bank, weights, concentration, 2.0, normalize=kind, precision="fixed")

    def value(concentration: float, logits: torch.Tensor) -> torch.Tensor:
        prior = made(concentration)
        return prior.log_prob(logits, ROWS).double() + prior.log_constant

    def differences(logits: torch.Tensor) -> torch.Tensor:
        return (value(5.0 * 1.02, logits) - value(5.0 / 1.02, logits)) / (2 * math.log(1.02))

    expected, got = differences(LOGITS), made(5.0).influence(LOGITS, ROWS).double().sum(-1)
    if kind == "product":
        expected = expected - differences(LOGITS.flip(0))
        got = got - made(5.0).influence(LOGITS.flip(0), ROWS).double().sum(-1)
    # Rounding of float32 log-densities of some 10, by differences of 2 %: 2e-5 / .04.
    torch.testing.assert_close(got, expected, rtol=2e-3, atol=2e-3)


@pytest.mark.parametrize("prior", [DirichletMixture, DirichletProduct])
def test_serves_any_leading_dimensions_and_rows(prior):
    bank = bank_of()
    made = prior(bank, uniform(bank))
    logits = torch.randn(2, 6, 3, K, generator=generator(3))
    rows = torch.tensor([4, 0, 2])
    got = made.influence(logits, rows)
    assert got.shape == (2, 6, 3, 3)
    torch.testing.assert_close(got[1, 4], made.influence(logits[1, 4], rows))
    torch.testing.assert_close(got[1, 4, 1:2], made.influence(logits[1, 4, 1:2], rows[1:2]))


@pytest.mark.parametrize("prior", [DirichletMixture, DirichletProduct])
def test_no_concentration_has_no_influence(prior):
    bank = bank_of()
    made = prior(bank, uniform(bank), 0.0, precision="fixed")
    torch.testing.assert_close(made.influence(LOGITS, ROWS), torch.zeros(N, 3))


@pytest.mark.parametrize("prior", [DirichletMixture, DirichletProduct])
def test_finite_at_a_thousand_classes(prior):
    z = 8 * torch.randn(3, 4, 1000, generator=generator(4))
    bank = TeacherBank.from_logits({f"t{m}": t for m, t in enumerate(z)})
    made = prior(bank, uniform(bank), 100.0)
    got = made.influence(50 * torch.randn(4, 1000, generator=generator(5)), torch.arange(4))
    assert torch.isfinite(got).all()

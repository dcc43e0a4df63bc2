"""The product pool: one Dirichlet, and the published distillation losses."""

import pytest
import torch
from torch import nn
from torch.distributions import Dirichlet

from mtbkd.priors.dirichlet_mixture import DirichletMixture
from mtbkd.priors.dirichlet_product import DirichletProduct
from mtbkd.teachers.bank import TeacherBank
from mtbkd.weighting import entropy, uniform


@pytest.fixture
def bank() -> TeacherBank:
    z = 2 * torch.randn(3, 6, 4, generator=torch.Generator().manual_seed(0))
    forest = torch.tensor([0.5, 0.5, 0.0, 0.0]).expand(6, 4)
    return TeacherBank.from_predictions({"a": z[0], "b": z[1], "forest": forest.log()})


@pytest.fixture
def logits() -> torch.Tensor:
    return torch.randn(6, 4, generator=torch.Generator().manual_seed(1)).requires_grad_()


@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_is_one_dirichlet_with_its_own_normaliser(bank, logits, temperature):
    weights = entropy(bank)
    prior = DirichletProduct(bank, weights, 5.0, temperature=temperature)
    value = prior.log_prob(logits, torch.arange(6)).double() + prior.log_constant
    counts = 5.0 * (weights.T[..., None] * bank.mean_probs(temperature)).sum(0).double()
    expected = Dirichlet(1 + counts).log_prob(torch.softmax(logits.double() / temperature, -1))
    torch.testing.assert_close(value, expected, rtol=1e-5, atol=1e-5)


def test_gradient_is_that_of_the_published_loss(bank, logits):
    """lambda sum_m w_m KL(p_m || q): the literature's form, coefficient by coefficient."""
    weights = torch.tensor([[0.5, 0.0, 0.5]]).repeat(6, 1)
    prior = DirichletProduct(bank, weights, 5.0)
    loss = sum(
        5.0 * weights[0, m] * nn.functional.kl_div(torch.log_softmax(logits, -1), p, reduction="sum")
        for m, p in enumerate(bank.probs)
    )
    (ours,) = torch.autograd.grad(-prior.log_prob(logits, torch.arange(6)).sum(), logits)
    (published,) = torch.autograd.grad(loss, logits)
    torch.testing.assert_close(ours, published)


def test_one_teacher_is_the_mixture_of_one(bank, logits):
    one, rows = bank.select(["a"]), torch.arange(6)
    values = [
        p.log_prob(logits, rows) + p.log_constant
        for p in (f(one, uniform(one), 5.0) for f in (DirichletProduct, DirichletMixture))
    ]
    torch.testing.assert_close(*values)


def test_responsibilities_are_weight_times_precision():
    draws = torch.tensor([[[0.8, 0.2]], [[0.6, 0.4]]])  # precision 9.5
    bank = TeacherBank.from_probs({"bayes": draws, "point": draws[0]})
    prior = DirichletProduct(bank, torch.tensor([[0.25, 0.75]]), 3.0)
    shares = prior.responsibilities(torch.randn(7, 1, 2), torch.tensor([0]))
    assert shares.shape == (7, 1, 2)
    total = 0.25 * 9.5 + 0.75 * 3.0
    assert shares[3, 0].tolist() == pytest.approx([0.25 * 9.5 / total, 0.75 * 3.0 / total])


def test_no_concentration_says_nothing(bank, logits):
    prior = DirichletProduct(bank, uniform(bank), 0.0)
    rows = torch.arange(6)
    (grad,) = torch.autograd.grad(prior.log_prob(logits, rows).sum(), logits)
    assert grad.abs().max() == 0
    assert torch.isfinite(prior.responsibilities(logits, rows)).all()


def test_finite_in_float32_with_a_thousand_classes():
    z = 8 * torch.randn(3, 4, 1000, generator=torch.Generator().manual_seed(2))
    bank = TeacherBank.from_logits({f"t{m}": t for m, t in enumerate(z)})
    prior = DirichletProduct(bank, uniform(bank), 100.0)
    logits = (50 * torch.randn(4, 1000, generator=torch.Generator().manual_seed(3))).requires_grad_()
    value = prior.log_prob(logits, torch.arange(4))
    value.sum().backward()
    assert torch.isfinite(value).all()
    assert torch.isfinite(logits.grad).all()


def test_the_papers_scale_is_the_temperature_squared():
    bank = TeacherBank.from_probs({"a": torch.tensor([[0.7, 0.3]])})
    logits, rows = torch.tensor([[0.3, -1.0]]), torch.arange(1)
    own, paper = (DirichletProduct(bank, torch.ones(1, 1), 5.0, 4.0, paper_scale=p) for p in (False, True))
    torch.testing.assert_close(paper.log_prob(logits, rows), 16 * own.log_prob(logits, rows))

"""A Dirichlet a head: against torch's own, the published loss, the product pool and the exact Hessian."""

import dataclasses

import pytest
import torch
from torch import nn
from torch.distributions import Dirichlet
from torch.func import hessian, vmap

from mtbkd.errors import InputError
from mtbkd.priors import DirichletMixture, DirichletProduct
from mtbkd.priors.heads import HeadsConfig, HeadsPrior, build
from mtbkd.teachers.bank import TeacherBank
from mtbkd.weighting import entropy, uniform
from mtbkd.weighting.weights import Weights

N, M, K = 6, 3, 4


@pytest.fixture
def bank() -> TeacherBank:
    z = 2 * torch.randn(2, N, K, generator=torch.Generator().manual_seed(0))
    forest = torch.tensor([0.5, 0.5, 0.0, 0.0]).expand(N, K)
    return TeacherBank.from_predictions({"a": z[0], "b": z[1], "forest": forest.log()})


@pytest.fixture
def logits() -> torch.Tensor:
    return torch.randn(N, M * K, generator=torch.Generator().manual_seed(1)).requires_grad_()


@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_is_a_dirichlet_for_each_head_with_its_own_normaliser(bank, logits, temperature):
    weights = entropy(bank)
    prior = HeadsPrior(bank, weights, 5.0, temperature)
    value = prior.log_prob(logits, torch.arange(N)).double() + prior.log_constant
    expected = torch.zeros(N).double()
    for m, p in enumerate(bank.mean_probs(temperature).double()):
        counts = 5.0 * weights[:, m, None].double() * p
        q = torch.softmax(logits[:, m * K : (m + 1) * K].double() / temperature, -1)
        expected += Dirichlet(1 + counts).log_prob(q)
    torch.testing.assert_close(value, expected, rtol=1e-5, atol=1e-5)


def test_gradient_is_that_of_each_heads_own_loss(bank, logits):
    """sum_m w_m lambda KL(p_m || q_m), and a teacher of weight 0 leaves its head alone."""
    weights = torch.tensor([[0.25, 0.75, 0.0]]).repeat(N, 1)
    prior = HeadsPrior(bank, weights, 5.0)
    loss = sum(
        5.0 * weights[0, m] * nn.functional.kl_div(torch.log_softmax(head, -1), p, reduction="sum")
        for m, (p, head) in enumerate(zip(bank.probs, logits.chunk(M, -1), strict=True))
    )
    (ours,) = torch.autograd.grad(-prior.log_prob(logits, torch.arange(N)).sum(), logits)
    (published,) = torch.autograd.grad(loss, logits)
    torch.testing.assert_close(ours, published)
    assert ours[:, 2 * K :].abs().max() == 0


def test_heads_that_agree_feel_together_what_the_product_pool_says(bank):
    """Equal strength: the heads' gradients add up to the product's on their common logits."""
    common = torch.randn(N, K, generator=torch.Generator().manual_seed(2)).requires_grad_()
    rows, weights = torch.arange(N), entropy(bank)
    heads, product = HeadsPrior(bank, weights, 5.0), DirichletProduct(bank, weights, 5.0)
    (ours,) = torch.autograd.grad(heads.log_prob(common.repeat(1, M), rows).sum(), common)
    (pooled,) = torch.autograd.grad(product.log_prob(common, rows).sum(), common)
    torch.testing.assert_close(ours, pooled)


def test_one_teacher_is_the_mixture_of_one(bank, logits):
    one, rows = bank.select(["a"]), torch.arange(N)
    heads, mixture = HeadsPrior(one, uniform(one), 5.0), DirichletMixture(one, uniform(one), 5.0)
    head = logits[:, :K]
    torch.testing.assert_close(
        heads.log_prob(head, rows) + heads.log_constant, mixture.log_prob(head, rows) + mixture.log_constant
    )


def test_responsibilities_are_the_weights_times_precisions(bank, logits):
    weights = entropy(bank)
    prior = HeadsPrior(bank, weights, 5.0)
    rows = torch.tensor([4, 1])
    torch.testing.assert_close(prior.responsibilities(torch.zeros(7, 2, K), rows)[3], weights[rows].float())
    draws = TeacherBank.from_probs(
        {"bayes": torch.tensor([[[0.8, 0.2]], [[0.6, 0.4]]]), "point": torch.tensor([[0.8, 0.2]])}
    )
    shares = HeadsPrior(draws, torch.tensor([[0.25, 0.75]]), 3.0).responsibilities(
        torch.zeros(1, 4), torch.tensor([0])
    )
    total = 0.25 * 9.5 + 0.75 * 3.0  # by moments the first has precision 9.5
    assert shares[0].tolist() == pytest.approx([0.25 * 9.5 / total, 0.75 * 3.0 / total])


def test_a_scale_multiplies_the_row(bank, logits):
    scale = torch.tensor([0.0, 1.0, 2.0, 0.5, 1.0, 1.5])
    rows = torch.arange(N)
    plain, scaled = HeadsPrior(bank, uniform(bank), 5.0), HeadsPrior(bank, Weights(uniform(bank), scale), 5.0)
    torch.testing.assert_close(scaled.log_prob(logits, rows), scale * plain.log_prob(logits, rows))
    torch.testing.assert_close(scaled.log_constant, scale.double() * plain.log_constant)


@pytest.mark.parametrize("temperature", [1.0, 2.0])
@pytest.mark.parametrize("known", ["all", "some"])
def test_precision_of_the_logits_is_minus_the_hessian(bank, logits, temperature, known):
    if known == "some":
        bank = half_knowing()
    heads = logits[:, : bank.num_teachers * bank.num_classes].detach().double()
    prior = HeadsPrior(bank, uniform(bank), 5.0, temperature)
    tensors = [t.double() for t in prior.tensors.values()]

    def score(row, *given):
        return prior.score(prior.log_q(row[None]), *(t[None] for t in given))[0]

    exact = -vmap(hessian(score))(heads, *tensors)
    torch.testing.assert_close(prior.logit_precision(heads, *tensors), exact, rtol=1e-6, atol=1e-8)


def half_knowing() -> TeacherBank:
    """Two teachers of four classes: one knows the first three, one all."""
    z = 2 * torch.randn(2, N, K, generator=torch.Generator().manual_seed(3))
    z[0, :, 3] = -torch.inf
    bank = TeacherBank.from_predictions({"some": z[0], "all": z[1]})
    known = torch.tensor([[True, True, True, False], [True, True, True, True]])
    return dataclasses.replace(bank, classes=known)


def test_a_teacher_of_some_classes_speaks_of_their_proportions(logits):
    """Per head what the mixture of that teacher alone says, at its share of the strength."""
    bank, rows = half_knowing(), torch.arange(N)
    heads = logits[:, : 2 * K]
    prior = HeadsPrior(bank, uniform(bank), 6.0)
    alone = [DirichletMixture(bank.select([name]), torch.ones(N, 1), 3.0) for name in bank.names]
    expected = sum(
        one.log_prob(head, rows) + one.log_constant
        for one, head in zip(alone, heads.chunk(2, -1), strict=True)
    )
    value = prior.log_prob(heads, rows) + prior.log_constant
    torch.testing.assert_close(value, expected, rtol=1e-5, atol=1e-5)
    influence = prior.influence(heads, rows)
    torch.testing.assert_close(influence.sum(-1), prior.log_prob(heads, rows))


def test_finite_in_float32_with_a_thousand_classes():
    z = 8 * torch.randn(3, 4, 1000, generator=torch.Generator().manual_seed(2))
    bank = TeacherBank.from_logits({f"t{m}": t for m, t in enumerate(z)})
    prior = HeadsPrior(bank, uniform(bank), 100.0)
    heads = (50 * torch.randn(4, 3000, generator=torch.Generator().manual_seed(3))).requires_grad_()
    value = prior.log_prob(heads, torch.arange(4))
    value.sum().backward()
    assert torch.isfinite(value).all()
    assert torch.isfinite(heads.grad).all()


def test_the_configuration_names_the_layer(bank):
    prior = build(HeadsConfig(layer="tops", concentration=2.0), bank, uniform(bank))
    assert (prior.layer, prior.num_outputs) == ("tops", M * K)
    assert prior.precision.unique().tolist() == [2.0]
    with pytest.raises(InputError, match="did you mean 'moments'"):
        HeadsConfig(precision="moment")

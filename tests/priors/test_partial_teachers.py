"""Teachers that know only some classes: against torch's own Dirichlet, quadrature and autograd, in float64."""

import numpy as np
import pytest
import torch
from torch.distributions import Dirichlet

from mtbkd.priors import DirichletMixture, DirichletProduct, dirichlet_precision
from mtbkd.teachers import TeacherBank
from mtbkd.weighting import Weights

K, ROWS = 5, 4
KNOWN = torch.tensor([[1, 1, 0, 1, 0], [1, 1, 1, 1, 1], [0, 0, 1, 0, 1]], dtype=torch.bool)


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def bank_of(classes=KNOWN, rows=ROWS, seed=0):
    z = 2 * normal(*classes.shape[:1], rows, classes.shape[1], seed=seed).float()
    return TeacherBank.from_predictions({f"t{m}": one for m, one in enumerate(z)}, classes=classes)


def in_double(prior):
    prior.tensors = {name: tensor.double() for name, tensor in prior.tensors.items()}
    return prior


def only(bank, m):
    return bank.select([bank.names[m]])


def one_each(bank):
    return torch.ones(bank.num_rows, bank.num_teachers) / bank.num_teachers


def within(q, known):
    """Proportions of the student's probabilities within the known classes, `[n, |C|]`."""
    return q[:, known] / q[:, known].sum(-1, keepdim=True)


# ---- the density of one teacher ------------------------------------------------------------------------------------
@pytest.mark.parametrize("m", range(3))
def test_a_component_is_a_dirichlet_of_the_known_classes_and_flat_in_the_rest(m):
    """The flat density times the ratio of two Dirichlets of the proportions, each torch's own."""
    bank, s = only(bank_of(), m), 3.7
    prior = in_double(DirichletMixture(bank, one_each(bank), s))
    logits = normal(ROWS, K, seed=1)
    q, p = torch.softmax(logits, -1), bank.mean_probs()[0].double()[:, KNOWN[m]]
    ratio = Dirichlet(1 + s * p).log_prob(within(q, KNOWN[m])) - Dirichlet(torch.ones_like(p)).log_prob(
        within(q, KNOWN[m])
    )
    expected = Dirichlet(torch.ones(K, dtype=torch.float64)).log_prob(q) + ratio
    got = prior.log_prob(logits, torch.arange(ROWS)) + prior.log_constant
    torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-5)


def nodes(count=60):
    """Gauss-Legendre on [0, 1], smoothed at the ends, where a density has fractional powers."""
    at, weight = np.polynomial.legendre.leggauss(count)
    t = (at + 1) / 2
    smooth = t**3 * (10 - 15 * t + 6 * t**2)
    return torch.from_numpy(smooth), torch.from_numpy(15 * t**2 * (1 - t) ** 2 * weight)


def mass(prior, q, volume):
    """Integral of the normalised density over points `q` `[n, K]` of the simplex, with their volumes."""
    log = prior.score(q.log(), *(t.double().expand(len(q), *t.shape[1:]) for t in prior.tensors.values()))
    return float(((log + prior.log_constant[0]).exp() * volume).sum())


@pytest.mark.parametrize("concentration", [0.0, 1.0, 6.3])
def test_the_density_integrates_to_one_over_the_simplex(concentration):
    """K = 3, two classes known: q = (u v, u (1 - v), 1 - u) with Jacobian u."""
    bank = bank_of(torch.tensor([[True, True, False]]), rows=1)
    prior = DirichletMixture(bank, torch.ones(1, 1), concentration)
    (u, v), w = torch.meshgrid(nodes()[0], nodes()[0], indexing="ij"), torch.outer(nodes()[1], nodes()[1])
    q = torch.stack([u * v, u * (1 - v), 1 - u], -1).flatten(0, 1)
    assert mass(prior, q, (u * w).flatten()) == pytest.approx(1, abs=1e-5)


def simplex_of_four():
    """q = (u v, u (1 - v), (1 - u) t, (1 - u) (1 - t)) with Jacobian u (1 - u)."""
    at, weight = nodes(30)
    u, v, t = torch.meshgrid(at, at, at, indexing="ij")
    w = weight[:, None, None] * weight[:, None] * weight
    q = torch.stack([u * v, u * (1 - v), (1 - u) * t, (1 - u) * (1 - t)], -1).flatten(0, 2)
    return q, (w * u * (1 - u)).flatten()


@pytest.mark.parametrize("kind", [DirichletMixture, DirichletProduct])
def test_mixture_and_product_of_disjoint_and_equal_coverages_integrate_to_one(kind):
    classes = torch.tensor([[1, 1, 0, 0], [0, 0, 1, 1], [1, 1, 0, 0]], dtype=torch.bool)
    prior = kind(bank_of(classes, rows=1), torch.tensor([[0.5, 0.3, 0.2]]), 8.0)
    assert mass(prior, *simplex_of_four()) == pytest.approx(1, abs=1e-4)


def test_a_bank_of_teachers_that_know_all_needs_no_further_tensor():
    bank = bank_of(torch.ones(2, K, dtype=torch.bool))
    assert list(DirichletMixture(bank, one_each(bank)).tensors) == ["offset", "counts"]
    assert list(DirichletProduct(bank, one_each(bank)).tensors) == ["counts"]


# ---- its gradient --------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("temperature", [1.0, 2.0])
@pytest.mark.parametrize("normalize", ["density", "peak", "none"])
def test_the_gradient_is_that_of_the_cross_entropy_of_the_known_classes(normalize, temperature):
    bank, s = only(bank_of(), 0), 4.0
    prior = in_double(DirichletMixture(bank, one_each(bank), s, temperature, normalize))
    p = bank.mean_probs(temperature)[0].double()[:, KNOWN[0]]
    z = normal(ROWS, K, seed=2).requires_grad_()
    (got,) = torch.autograd.grad(prior.log_prob(z, torch.arange(ROWS)).sum(), z)
    other = z.detach().clone().requires_grad_()
    cross_entropy = -(p * torch.log_softmax(other[:, KNOWN[0]] / temperature, -1)).sum()
    (expected,) = torch.autograd.grad(-s * cross_entropy, other)
    torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-6)
    assert got[:, ~KNOWN[0]].abs().max() < 1e-12


@pytest.mark.parametrize("normalize", ["peak", "none"])
def test_peak_and_none_are_the_divergence_and_the_cross_entropy_of_the_known_classes(normalize):
    bank, s = only(bank_of(), 0), 4.0
    prior = in_double(DirichletMixture(bank, one_each(bank), s, normalize=normalize))
    logits, p = normal(ROWS, K, seed=3), bank.mean_probs()[0].double()[:, KNOWN[0]]
    cross_entropy = -(p * within(torch.softmax(logits, -1), KNOWN[0]).log()).sum(-1)
    entropy = torch.special.entr(p).sum(-1)
    expected = -s * (cross_entropy - entropy if normalize == "peak" else cross_entropy)
    got = prior.log_prob(logits, torch.arange(ROWS)) + prior.log_constant
    torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("kind", [DirichletMixture, DirichletProduct])
def test_partial_teachers_do_not_move_the_mass_of_the_classes_that_they_know(kind):
    """Adding a constant to the logits of C scales Q_C: the factor of two teachers of the same C does not change."""
    known = KNOWN[0]
    bank = bank_of(torch.stack([known, known]))
    prior = in_double(kind(bank, torch.tensor([[0.3, 0.7]]).expand(ROWS, 2), 9.0))
    z, rows = normal(ROWS, K, seed=4).requires_grad_(), torch.arange(ROWS)
    (gradient,) = torch.autograd.grad(prior.log_prob(z, rows).sum(), z)
    assert gradient[:, known].abs().max() > 0.1
    assert gradient[:, known].sum(-1).abs().max() < 1e-6  # what the prior keeps is rounded to float32
    torch.testing.assert_close(
        prior.log_prob(z + 3 * known, rows), prior.log_prob(z, rows), rtol=1e-6, atol=1e-6
    )


def test_the_product_is_the_sum_of_the_teachers_own_terms():
    bank, weights = bank_of(), torch.softmax(normal(ROWS, 3, seed=5), -1).float()
    prior = DirichletProduct(bank, weights, 6.0)
    logits = normal(ROWS, K, seed=6)
    q = torch.softmax(logits, -1)
    expected = sum(
        6 * weights[:, m].double() * (bank.mean_probs()[m][:, KNOWN[m]] * within(q, KNOWN[m]).log()).sum(-1)
        for m in range(3)
    )
    torch.testing.assert_close(prior.log_prob(logits, torch.arange(ROWS)), expected, rtol=1e-5, atol=1e-5)


def test_responsibilities_are_the_posterior_of_the_components():
    bank, weights = bank_of(), torch.softmax(normal(ROWS, 3, seed=5), -1).float()
    logits, rows = normal(ROWS, K, seed=6), torch.arange(ROWS)
    ones = [in_double(DirichletMixture(only(bank, m), torch.ones(ROWS, 1), 6.0)) for m in range(3)]
    log = torch.stack([one.log_prob(logits, rows) + one.log_constant for one in ones], -1)
    expected = torch.softmax(log + weights.log(), -1)
    prior = in_double(DirichletMixture(bank, weights, 6.0))
    torch.testing.assert_close(prior.responsibilities(logits, rows), expected, rtol=1e-5, atol=1e-5)


# ---- curvature -----------------------------------------------------------------------------------------------------
def hessians(score, logits):
    return torch.stack([torch.func.hessian(lambda z, i=i: score(z, i))(z) for i, z in enumerate(logits)])


@pytest.mark.parametrize("temperature", [1.0, 2.0])
@pytest.mark.parametrize("scaled", [False, True])
def test_precision_of_the_logits_is_the_products_hessian(scaled, temperature):
    bank, scale = bank_of(), torch.tensor([0.5, 2.0, 1.0, 0.0])
    weights = Weights(one_each(bank), scale if scaled else None)
    prior = in_double(DirichletProduct(bank, weights, 5.0, temperature))
    logits = normal(ROWS, K, seed=7)
    exact = -hessians(lambda z, i: prior.log_prob(z[None], torch.tensor([i]))[0], logits)
    ours = prior.logit_precision(logits, *prior.tensors.values())
    torch.testing.assert_close(ours, exact)
    assert torch.linalg.eigvalsh(ours).min() > -1e-9


@pytest.mark.parametrize("temperature", [1.0, 2.0])
@pytest.mark.parametrize("scaled", [False, True])
def test_precision_of_the_logits_holds_a_mixtures_responsibilities_fixed(scaled, temperature):
    """The Hessians of the components by autograd, each multiplied by its responsibility as it is."""
    bank, scale = bank_of(), torch.tensor([0.5, 2.0, 1.0, 0.0])
    prior = in_double(
        DirichletMixture(bank, Weights(one_each(bank), scale if scaled else None), 5.0, temperature)
    )
    logits, tensors = normal(ROWS, K, seed=8), tuple(prior.tensors.values())
    r = prior.responsibilities(logits, torch.arange(ROWS))
    assert r.min() > 1e-4  # all of them count

    def fixed(z, i):
        components = prior.components(prior.log_q(z[None]), *(t[i : i + 1] for t in tensors))[0]
        return (scale[i] if scaled else 1.0) * (r[i] * components).sum()

    ours = prior.logit_precision(logits, *tensors)
    torch.testing.assert_close(ours, -hessians(fixed, logits))
    assert torch.linalg.eigvalsh(ours).min() > -1e-9


# ---- draws, and large numbers --------------------------------------------------------------------------------------
def test_the_precision_of_a_partial_bayesian_teacher_is_of_its_own_classes():
    draws = normal(20, ROWS, K).float()
    bank = TeacherBank.from_predictions({"nets": draws}, classes=KNOWN[:1])
    own = torch.softmax(draws[..., KNOWN[0]], -1).double()
    expected = dirichlet_precision(own, 0.5, 20.0)
    got = DirichletMixture(bank, one_each(bank)).precision[:, 0].double()
    torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-5)


def test_a_thousand_classes_and_an_extreme_student_stay_finite_in_float32():
    classes = torch.rand(3, 1000, generator=torch.Generator().manual_seed(0)) < 0.5
    bank = bank_of(classes, rows=2)
    for kind in (DirichletMixture, DirichletProduct):
        prior = kind(bank, one_each(bank), 100.0)
        z = (60 * normal(2, 1000, seed=9)).float().requires_grad_()
        value = prior.log_prob(z, torch.arange(2)).sum()
        (gradient,) = torch.autograd.grad(value, z)
        assert torch.isfinite(value)
        assert torch.isfinite(gradient).all()
        assert torch.isfinite(prior.logit_precision(z.detach(), *prior.tensors.values())).all()

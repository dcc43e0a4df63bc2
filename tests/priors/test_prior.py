"""Precision by moments, checks at the door, and what every prior owes: equal strength whatever M and weighting."""

import pytest
import torch

from mtbkd import registry
from mtbkd.errors import InputError
from mtbkd.priors.dirichlet_mixture import DirichletMixture
from mtbkd.priors.dirichlet_product import DirichletProduct
from mtbkd.priors.prior import dirichlet_precision, teacher_precision
from mtbkd.teachers.bank import TeacherBank
from mtbkd.weighting import entropy, uniform


def random_bank(num_teachers: int, num_rows: int, num_classes: int, seed: int = 0) -> TeacherBank:
    generator = torch.Generator().manual_seed(seed)
    logits = 2 * torch.randn(num_teachers, num_rows, num_classes, generator=generator)
    return TeacherBank.from_logits({f"t{m}": z for m, z in enumerate(logits)})


def test_precision_by_hand():
    # Two draws (.8, .2) and (.6, .4): mean (.7, .3), variances (S - 1) .02 each, s = .42 / .04 - 1.
    probs = torch.tensor([[[0.8, 0.2]], [[0.6, 0.4]]], dtype=torch.float64)
    assert dirichlet_precision(probs, 0.0, 100.0).item() == pytest.approx(9.5)


@pytest.mark.parametrize(("counts", "tolerance"), [((2.0, 3.0, 5.0), 0.02), ((0.5, 0.25, 0.25), 0.03)])
def test_precision_of_dirichlet_draws_is_theirs(counts, tolerance):
    torch.manual_seed(0)
    draws = torch.distributions.Dirichlet(torch.tensor(counts, dtype=torch.float64)).sample((100_000, 1))
    # The moments estimate has a relative error of about 1.5 / sqrt(S) here: .005.
    assert dirichlet_precision(draws, 0.0, 1e9).item() == pytest.approx(sum(counts), rel=tolerance)


def test_precision_of_ten_draws_is_somewhat_high():
    torch.manual_seed(0)
    counts = torch.tensor([5.0, 1.0, 0.5, 0.5, 0.5], dtype=torch.float64)
    draws = torch.distributions.Dirichlet(counts).sample((10, 20_000))
    high = dirichlet_precision(draws, 0.0, 1e9) / counts.sum()
    assert 1.02 < high.median().item() < 1.07
    assert 1.05 < high.mean().item() < 1.2


def test_precision_is_clipped_and_draws_that_agree_are_the_maximum():
    same = torch.tensor([[0.7, 0.3]]).expand(3, 1, 2)
    opposed = torch.tensor(
        [[[1.0, 0.0]], [[0.0, 1.0]]]
    )  # variance above any Dirichlet's: -.5 before clipping
    assert dirichlet_precision(same, 0.5, 20.0).tolist() == [20.0]
    assert dirichlet_precision(opposed, 0.5, 20.0).tolist() == [0.5]
    certain = torch.tensor([[[1.0, 0.0]], [[1.0, 0.0]]])  # 0 / 0 in the formula
    assert dirichlet_precision(certain, 0.5, 20.0).tolist() == [20.0]


def test_bayesian_teachers_get_moments_and_point_teachers_the_concentration():
    draws = torch.tensor([[[0.8, 0.2]], [[0.6, 0.4]]])
    bank = TeacherBank.from_probs({"draws": draws, "point": draws[0]})
    assert teacher_precision(bank, 3.0, "moments", 0.5, 20.0, 1.0)[0].tolist() == pytest.approx([9.5, 3.0])
    assert teacher_precision(bank, 3.0, "fixed", 0.5, 20.0, 1.0)[0].tolist() == [3.0, 3.0]
    assert teacher_precision(bank, 3.0, "moments", 0.5, 4.0, 1.0)[0].tolist() == [4.0, 3.0]


def test_precision_is_of_the_tempered_draws():
    draws = torch.tensor([[[0.8, 0.2]], [[0.6, 0.4]]], dtype=torch.float64)
    tempered = draws.sqrt() / draws.sqrt().sum(-1, keepdim=True)
    expected = dirichlet_precision(tempered, 0.0, 1e9).item()
    bank = TeacherBank.from_probs({"draws": draws})
    assert teacher_precision(bank, 3.0, "moments", 0.0, 1e9, 2.0).item() == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("num_teachers", [1, 2, 3, 20])
@pytest.mark.parametrize("weighting", [uniform, entropy])
@pytest.mark.parametrize("prior", [DirichletMixture, DirichletProduct])
def test_total_strength_does_not_change_with_teachers_or_weighting(num_teachers, weighting, prior):
    # METHOD fact 4. The gradient in log q is the pooled pseudo-observations: their sum over classes is the strength.
    bank = random_bank(num_teachers, 6, 4)
    made = prior(bank, weighting(bank), concentration=7.0)
    log_q = torch.log_softmax(
        torch.randn(6, 4, generator=torch.Generator().manual_seed(1)), -1
    ).requires_grad_()
    made.score(log_q, *made.at(torch.arange(6))).sum().backward()
    torch.testing.assert_close(log_q.grad.sum(-1), torch.full((6,), 7.0))


@pytest.mark.parametrize("name", registry.names("prior"))
def test_every_prior_serves_any_leading_dimensions(name):
    bank = random_bank(3, 5, 4)
    prior = registry.find("prior", name).build(registry.default_config("prior", name), bank, uniform(bank))
    logits = torch.randn(2, 6, 3, prior.num_outputs, generator=torch.Generator().manual_seed(0))
    rows = torch.tensor([4, 0, 2])
    value, shares = prior.log_prob(logits, rows), prior.responsibilities(logits, rows)
    assert value.shape == (2, 6, 3)
    assert shares.shape == (2, 6, 3, 3)
    torch.testing.assert_close(shares.sum(-1), torch.ones(2, 6, 3))
    torch.testing.assert_close(value[1, 4], prior.log_prob(logits[1, 4], rows))
    one_row = prior.log_prob(logits[1, 4][1:2], rows[1:2])
    torch.testing.assert_close(value[1, 4, 1:2], one_row)


@pytest.mark.parametrize("prior", [DirichletMixture, DirichletProduct])
@pytest.mark.parametrize(("num_rows", "num_classes", "num_teachers"), [(1, 2, 1), (1, 1000, 2), (4, 2, 20)])
def test_smallest_and_largest(prior, num_rows, num_classes, num_teachers):
    bank = random_bank(num_teachers, num_rows, num_classes)
    made = prior(bank, entropy(bank))
    logits = torch.zeros(num_rows, num_classes, requires_grad=True)
    value = made.log_prob(logits, torch.arange(num_rows))
    value.sum().backward()
    assert torch.isfinite(value).all()
    assert torch.isfinite(logits.grad).all()


BAD_NUMBERS = [
    ({"concentration": -1.0}, "concentration is -1"),
    ({"concentration": float("nan")}, "concentration is nan"),
    ({"concentration": float("inf")}, "concentration is inf"),
    ({"temperature": 0.0}, "temperature is 0"),
    ({"temperature": -2.0}, "temperature is -2"),
    ({"precision": "moment"}, "did you mean 'moments'"),
    ({"min_precision": -0.1}, "min_precision is -0.1"),
    ({"max_precision": 0.0}, "max_precision is 0"),
]


@pytest.mark.parametrize(("given", "message"), BAD_NUMBERS)
@pytest.mark.parametrize("prior", [DirichletMixture, DirichletProduct])
def test_bad_numbers_are_refused(prior, given, message):
    bank = random_bank(2, 3, 4)
    with pytest.raises(InputError, match=message):
        prior(bank, uniform(bank), **given)


@pytest.mark.parametrize(("given", "message"), [*BAD_NUMBERS, ({"strength": -0.5}, "strength is -0.5")])
@pytest.mark.parametrize("name", ["dirichlet_mixture", "dirichlet_product"])
def test_bad_configurations_are_refused_before_any_bank(name, given, message):
    config = registry.config_class(registry.find("prior", name))
    with pytest.raises(InputError, match=message):
        config(**given)


def test_bounds_in_the_wrong_order_are_refused():
    bank = random_bank(2, 3, 4)
    with pytest.raises(InputError, match=r"max_precision 1.* is below min_precision 2"):
        DirichletMixture(bank, uniform(bank), min_precision=2.0, max_precision=1.0)


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (torch.ones(3, 1), r"shape \(3, 1\).*\(3, 2\)"),
        (torch.tensor([[0.5, 0.5], [0.5, 0.6], [0.5, 0.5]]), r"row 1 is \[0.5, 0.6"),
        (torch.tensor([[0.5, 0.5], [0.5, 0.5], [1.5, -0.5]]), r"row 2 is \[1.5, -0.5\]"),
        (torch.tensor([[0.5, float("nan")], [0.5, 0.5], [0.5, 0.5]]), "row 0"),
    ],
)
def test_bad_weights_are_refused_by_row(weights, message):
    bank = random_bank(2, 3, 4)
    for prior in (DirichletMixture, DirichletProduct):
        with pytest.raises(InputError, match=message):
            prior(bank, weights)


# ---- curvature in the logits -------------------------------------------------------------------------------------


def test_precision_of_the_logits_by_hand():
    # One teacher worth 3 at tau 2, an undecided student: 3 / 4 of [[q (1 - q), -], [-, q (1 - q)]].
    bank = TeacherBank.from_probs({"a": torch.tensor([[0.9, 0.1]])})
    prior = DirichletMixture(bank, torch.ones(1, 1), 3.0, temperature=2.0)
    got = prior.logit_precision(torch.zeros(1, 2), *prior.tensors.values())
    expected = torch.tensor([[[0.1875, -0.1875], [-0.1875, 0.1875]]])
    torch.testing.assert_close(got, expected)


def both_precisions(prior, logits: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Ours and minus the exact Hessian, row by row."""
    tensors = tuple(t.double() for t in prior.tensors.values())
    exact = [
        -torch.func.hessian(
            lambda z, i=i: prior.score(prior.log_q(z[None]), *(t[i, None] for t in tensors))[0]
        )(z)
        for i, z in enumerate(logits)
    ]
    return prior.logit_precision(logits, *tensors), torch.stack(exact)


@pytest.mark.parametrize("temperature", [1.0, 2.0])
@pytest.mark.parametrize("kind", [DirichletMixture, DirichletProduct])
def test_precision_of_the_logits_is_exact_for_one_teacher_and_for_the_product(kind, temperature):
    bank = random_bank(1 if kind is DirichletMixture else 3, 5, 4)
    prior = kind(bank, entropy(bank), 5.0, temperature)
    logits = torch.randn(5, 4, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    torch.testing.assert_close(*both_precisions(prior, logits))


def test_precision_of_the_logits_holds_a_mixtures_responsibilities_fixed():
    """It is what METHOD.md derives; the exact one is less by Cov_r, and indefinite where teachers disagree."""
    probs = torch.tensor([[[0.9, 0.05, 0.05]], [[0.05, 0.05, 0.9]]])
    bank = TeacherBank.from_probs({"a": probs[0], "b": probs[1]})
    prior = DirichletMixture(bank, torch.tensor([[0.6, 0.4]]), 20.0, temperature=2.0)
    logits = torch.tensor([[0.3, -0.2, 0.1]], dtype=torch.float64)
    ours, exact = both_precisions(prior, logits)
    r = prior.responsibilities(logits.float(), torch.arange(1))[0].double()
    q, p = torch.softmax(logits[0] / 2, -1), torch.softmax(bank.logits[:, 0].double() / 2, -1)
    torch.testing.assert_close(ours[0], 20 / 4 * (q.diag() - q[:, None] * q), rtol=1e-6, atol=1e-6)
    centred = p - r @ p
    torch.testing.assert_close(ours[0] - exact[0], 100 * (centred.T * r) @ centred, rtol=1e-4, atol=1e-5)
    assert torch.linalg.eigvalsh(exact)[0, 0] < -1
    assert torch.linalg.eigvalsh(ours)[0, 0] > -1e-6


def test_precision_of_the_logits_counts_differing_precisions_by_responsibility():
    draws = torch.softmax(torch.randn(20, 1, 3, generator=torch.Generator().manual_seed(0)), -1)
    bank = TeacherBank.from_probs({"draws": draws, "point": draws[0]})
    prior = DirichletMixture(bank, torch.tensor([[0.5, 0.5]]), 7.0)
    logits = torch.zeros(1, 3)
    r = prior.responsibilities(logits, torch.arange(1))[0]
    q = torch.full((3,), 1 / 3)
    expected = (r @ prior.precision[0]) * (q.diag() - q[:, None] * q)
    assert prior.precision[0, 0] < 6.9
    torch.testing.assert_close(prior.logit_precision(logits, *prior.tensors.values())[0], expected)

"""conf/prior/averaged.yaml is KD from one teacher: the average of all."""

import tiny_runs
import torch

from mtbkd.priors.dirichlet_product import build
from mtbkd.teachers.bank import TeacherBank
from mtbkd.weighting import uniform

LOGITS = torch.randn(6, 4, generator=torch.Generator().manual_seed(1)).requires_grad_()
ROWS = torch.arange(6)


def bank() -> TeacherBank:
    """Two point teachers, one with exact zeros, and a Bayesian one, whose moments would count otherwise."""
    z = 2 * torch.randn(5, 6, 4, generator=torch.Generator().manual_seed(0))
    forest = torch.tensor([0.5, 0.5, 0.0, 0.0]).expand(6, 4)
    return TeacherBank.from_predictions({"point": z[0], "drawn": z[1:], "forest": forest.log()})


def gradient(prior) -> torch.Tensor:
    return torch.autograd.grad(prior.log_prob(LOGITS, ROWS).sum(), LOGITS)[0]


def test_it_is_kd_from_the_average_of_the_teachers():
    config = tiny_runs.resolved("prior=averaged", "weighting=uniform", "prior.temperature=2").prior
    teachers = bank()
    prior = build(config, teachers, uniform(teachers))
    average = teachers.mean_probs(2.0).mean(0)
    # KL(p || q) at temperature 2 has the gradient (q - p) / 2 in the student's logits.
    expected = config.concentration * (average - torch.softmax(LOGITS / 2, -1)) / 2
    torch.testing.assert_close(gradient(prior), expected)


def test_it_is_the_product_of_one_teacher_who_says_the_average():
    teachers = bank()
    one = TeacherBank.from_probs({"average": teachers.mean_probs().mean(0)})
    averaged, product = (
        tiny_runs.resolved(f"prior={name}").prior for name in ("averaged", "dirichlet_product")
    )
    value = build(averaged, teachers, uniform(teachers)).log_prob(LOGITS, ROWS)
    torch.testing.assert_close(value, build(product, one, uniform(one)).log_prob(LOGITS, ROWS))
    assert not torch.allclose(
        value, build(product, teachers, uniform(teachers)).log_prob(LOGITS, ROWS), rtol=0.01
    )

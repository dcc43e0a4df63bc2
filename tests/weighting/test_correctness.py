"""UEKD's weights and scales by hand."""

import math

import pytest
import torch
from scipy.spatial.distance import jensenshannon

from mtbkd import weighting
from mtbkd.priors.dirichlet_product import DirichletProduct
from mtbkd.registry import default_config
from mtbkd.teachers import TeacherBank
from mtbkd.weighting.correctness import CorrectnessConfig, disagreement

# Two labelled rows (classes 0 and 1), then two unlabelled ones: agreement and full disagreement.
A = torch.tensor([[0.6, 0.4], [0.5, 0.5], [0.3, 0.7], [1.0, 0.0]])
B = torch.tensor([[0.2, 0.8], [0.5, 0.5], [0.3, 0.7], [0.0, 1.0]])
BANK = TeacherBank.from_probs({"a": A, "b": B})
LABELS = torch.tensor([0, 1, -1, -1])
# p(y) is .6 and .2 at row 0: w = 3/4, 1/4, the mixture's is .5; .5 at row 1.
RHO = 1 / (1 + math.log(2))


def test_weights_are_each_teachers_share_of_what_is_said_of_the_label():
    expected = torch.tensor([[0.75, 0.25], [0.5, 0.5], [0.5, 0.5], [0.5, 0.5]])
    torch.testing.assert_close(weighting.correctness(BANK, LABELS).teachers, expected)


def test_the_papers_scale_by_hand():
    heard = weighting.weigh(CorrectnessConfig(paper_scale=True), BANK, LABELS)
    torch.testing.assert_close(heard.scale, torch.tensor([RHO, RHO, 1.0, 2.0]))


def test_a_scale_is_over_the_mean_of_its_own_pool():
    # Unlabelled: 1 and 2 over their mean 1.5. Labelled: both have the same.
    heard = weighting.weigh(default_config("weighting", "correctness"), BANK, LABELS)
    torch.testing.assert_close(heard.scale, torch.tensor([1.0, 1.0, 2 / 3, 4 / 3]))
    z = 2 * torch.randn(3, 40, 5, generator=torch.Generator().manual_seed(0))
    bank = TeacherBank.from_logits({f"t{m}": t for m, t in enumerate(z)})
    labels = torch.arange(40) % 6 - 1
    scale = weighting.correctness(bank, labels).scale
    paper = weighting.correctness(bank, labels, paper_scale=True).scale
    for rows in (labels >= 0, labels < 0):
        assert scale[rows].mean().item() == pytest.approx(1)
        ratio = paper[rows] / scale[rows]
        torch.testing.assert_close(ratio, ratio[:1].expand_as(ratio))
        assert scale[rows].std() > 0.01


def test_disagreement_is_scipys_divergence():
    two = [jensenshannon(a, b, base=2) ** 2 for a, b in zip(A.numpy(), B.numpy(), strict=True)]
    torch.testing.assert_close(
        disagreement(BANK), torch.tensor(two, dtype=torch.float64), atol=1e-6, rtol=1e-5
    )


def test_three_that_disagree_on_all_reach_one():
    bank = TeacherBank.from_probs({f"t{m}": torch.eye(3)[m : m + 1] for m in range(3)})
    assert disagreement(bank).item() == pytest.approx(1)


def test_labels_that_nobody_thinks_possible():
    bank = TeacherBank.from_probs({"a": torch.eye(2), "b": torch.eye(2)})
    heard = weighting.correctness(bank, torch.tensor([1, 1]), paper_scale=True)
    assert heard.teachers.tolist() == [[0.5, 0.5], [0.5, 0.5]]
    assert heard.scale.tolist() == [0.0, 1.0]
    assert weighting.correctness(bank, torch.tensor([1, 1])).scale.tolist() == [0.0, 2.0]
    assert weighting.correctness(bank, torch.tensor([1, 0])).scale.tolist() == [1.0, 1.0]


@pytest.mark.parametrize("labels", [None, torch.tensor([0, 1, 1, 0])])
def test_a_pool_of_one_kind(labels):
    heard = weighting.correctness(BANK, labels)
    assert heard.scale.mean().item() == pytest.approx(1)
    assert bool(torch.isfinite(heard.teachers).all())


def test_one_teacher_is_scaled_by_its_own_correctness():
    heard = weighting.correctness(BANK.select(["a"]), LABELS, paper_scale=True)
    assert heard.teachers.tolist() == [[1.0]] * 4
    expected = [1 / (1 - math.log(0.6)), 1 / (1 + math.log(2)), 1.0, 1.0]
    torch.testing.assert_close(heard.scale, torch.tensor(expected))


def test_the_product_prior_is_the_published_loss_times_the_scale():
    """Gradient of rho_i lambda sum_m w_m KL(p_m || q) at each row."""
    logits = torch.randn(4, 2, generator=torch.Generator().manual_seed(1)).requires_grad_()
    heard = weighting.correctness(BANK, LABELS, paper_scale=True)
    prior = DirichletProduct(BANK, heard, 5.0)
    (ours,) = torch.autograd.grad(prior.log_prob(logits, torch.arange(4)).sum(), logits)
    pooled = (heard.teachers.T[..., None] * torch.stack([A, B])).sum(0)
    expected = 5 * heard.scale[:, None] * (pooled - torch.softmax(logits, -1))
    torch.testing.assert_close(ours, expected)

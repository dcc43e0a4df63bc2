"""Log-probabilities of labels against the bank's probabilities, and where those are too coarse."""

import math

import pytest
import torch

from mtbkd.teachers import TeacherBank
from mtbkd.teachers.label_scores import label_scores

LABELS = torch.tensor([0, 2, 1, 2, 0])


def normal(*shape):
    return 2 * torch.randn(shape, generator=torch.Generator().manual_seed(len(shape)))


@pytest.mark.parametrize("classes", [None, torch.tensor([[True, True, False], [True, True, True]])])
def test_are_the_logarithm_of_the_completed_probabilities(classes):
    bank = TeacherBank.from_predictions({"drawn": normal(4, 5, 3), "point": normal(5, 3)}, classes=classes)
    expected = bank.completed_probs()[:, torch.arange(5), LABELS].T.log().double()
    torch.testing.assert_close(label_scores(bank, LABELS), expected, rtol=1e-5, atol=1e-6)


def test_a_class_that_is_not_known_is_one_in_k_and_an_exact_zero_is_none():
    forest = torch.tensor([[0.25, 0.75, 0.0]]).log()
    known = torch.tensor([[True, True, False], [True, True, True]])
    bank = TeacherBank.from_predictions({"of two": forest, "of three": forest}, classes=known)
    assert label_scores(bank, torch.tensor([2])).exp().tolist() == [[pytest.approx(1 / 3), 0.0]]


def test_what_float32_rounds_to_nothing_is_told_apart():
    bank = TeacherBank.from_logits({"a": torch.tensor([[0.0, 200.0]]), "b": torch.tensor([[0.0, 500.0]])})
    assert bank.completed_probs()[:, 0, 0].tolist() == [0.0, 0.0]
    assert label_scores(bank, torch.tensor([0])).tolist() == [[-200.0, -500.0]]


def test_draws_are_averaged_before_the_logarithm():
    bank = TeacherBank.from_probs({"drawn": torch.tensor([[[0.2, 0.8]], [[0.0, 1.0]]])})
    assert label_scores(bank, torch.tensor([0])).item() == pytest.approx(math.log(0.1))

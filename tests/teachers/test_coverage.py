"""A class that a teacher does not know is missing, not zero."""

import pytest
import torch

from mtbkd.errors import InputError
from mtbkd.teachers import TeacherBank

KNOWN = torch.tensor([[True, True, False, True], [True, True, True, True]])


def partial_bank(classes=KNOWN):
    z = torch.randn(2, 3, 5, 4, generator=torch.Generator().manual_seed(0))
    return TeacherBank.from_predictions({"part": z[0], "whole": z[1, :1]}, classes=classes)


def test_what_a_partial_teacher_says_of_a_class_it_does_not_know_is_left_out():
    bank, whole = partial_bank(), partial_bank(classes=None)
    assert (bank.predictions[0][..., 2] == -torch.inf).all()
    own = whole.mean_probs()  # of draws, so the proportions are each draw's own
    drawn = whole.draw_probs(0)[..., [0, 1, 3]]
    expected = (drawn / drawn.sum(-1, keepdim=True)).mean(0)
    torch.testing.assert_close(bank.mean_probs()[0][:, [0, 1, 3]], expected)
    torch.testing.assert_close(bank.mean_probs()[1], own[1])


def test_completed_probabilities_by_hand():
    z = torch.tensor([[0.2, 0.6, 0.2]]).log()
    bank = TeacherBank.from_predictions({"a": z}, classes=torch.tensor([[True, True, False]]))
    # Of the two classes that it knows 1 : 3, together two thirds; the third class has its third.
    torch.testing.assert_close(bank.completed_probs()[0, 0], torch.tensor([1 / 6, 1 / 2, 1 / 3]))
    # At temperature 2 the odds are sqrt(3).
    first = 2 / 3 / (1 + 3**0.5)
    torch.testing.assert_close(bank.completed_probs(2.0)[0, 0], torch.tensor([first, 2 / 3 - first, 1 / 3]))


def test_completed_probabilities_sum_to_one_and_are_the_mean_ones_where_all_is_known():
    bank, whole = partial_bank(), partial_bank(classes=None)
    torch.testing.assert_close(bank.completed_probs().sum(-1), torch.ones(2, 5))
    torch.testing.assert_close(bank.completed_probs()[1], whole.mean_probs()[1])
    assert torch.equal(whole.completed_probs(), whole.mean_probs())
    assert torch.equal(bank.completed_draws(0)[..., 2], torch.full((3, 5), 0.25))


def test_an_exact_zero_of_a_known_class_stays_zero():
    z = torch.tensor([[0.0, 1.0, 0.0]]).log()
    bank = TeacherBank.from_predictions({"forest": z}, classes=torch.tensor([[True, True, False]]))
    torch.testing.assert_close(bank.completed_probs()[0, 0], torch.tensor([0.0, 2 / 3, 1 / 3]))


def test_coverage_is_kept_by_every_derived_bank():
    bank = partial_bank()
    assert torch.equal(bank.take(torch.tensor([3, 0])).classes, KNOWN)
    assert torch.equal(bank.tempered(torch.tensor([2.0, 0.5])).classes, KNOWN)
    assert torch.equal(bank.select(["whole", "part"]).classes, KNOWN[[1, 0]])
    assert bank.select(["whole"]).classes is None
    assert partial_bank(torch.ones(2, 4, dtype=torch.bool)).classes is None


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        (torch.ones(2, 3, dtype=torch.bool), r"\(2, 3\).*\(2, 4\)"),
        (torch.ones(2, 4), "float32"),
        (torch.tensor([[False] * 4, [True] * 4]), "'part': knows none"),
    ],
)
def test_a_coverage_that_does_not_fit_is_refused(classes, message):
    with pytest.raises(InputError, match=message):
        partial_bank(classes)


def test_a_row_that_is_impossible_in_all_known_classes_is_refused():
    z = torch.tensor([[0.5, 0.5, 0.0], [0.0, 0.0, 1.0]]).log()
    with pytest.raises(InputError, match="row 1 gives every class probability 0"):
        TeacherBank.from_predictions({"a": z}, classes=torch.tensor([[True, True, False]]))

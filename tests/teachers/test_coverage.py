"""A class that a teacher does not know is missing, not zero."""

import pytest
import torch

from mtbkd.errors import InputError
from mtbkd.teachers import TeacherBank
from mtbkd.teachers.coverage import Columns, coverage_of, known_of

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


# ---- by name -------------------------------------------------------------------------------------------------------
NAMES = ("cat", "dog", "eel", "fox")


def test_columns_find_their_classes_by_name():
    columns = Columns.named("a", ["fox", None, "cat"], NAMES)
    assert columns == Columns((3, None, 0), 4)
    assert columns.known == (0, 3)
    wide = columns.spread("a", torch.tensor([[1.0, 9.0, 2.0]]))
    assert wide.tolist() == [[2.0, -torch.inf, -torch.inf, 1.0]]
    assert Columns.named("a", NAMES[::-1], NAMES).known is None
    assert Columns.named("a", [2, 0], ["0", "1", "2"]).classes == (2, 0)
    assert known_of([3, 1, 1], 4) == (1, 3)
    assert known_of([1, 0], 2) is None


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (["cat", "dgo"], "'dgo' is not among.*did you mean 'dog'"),
        (["cat", "dog", "cat"], "'cat' is named twice"),
        (["cat", None], "knows 1 of"),
    ],
)
def test_columns_without_a_class_are_refused(labels, message):
    with pytest.raises(InputError, match=message):
        Columns.named("teacher 'a'", labels, NAMES)


def test_coverage_of_indices():
    expected = torch.tensor([[True, False, True], [True, True, True]])
    assert torch.equal(coverage_of({"a": (0, 2), "b": None}, 3), expected)
    assert coverage_of({"a": None, "b": None}, 3) is None
    with pytest.raises(InputError, match=r"'b': says that it knows class 3; there are 0..2"):
        coverage_of({"a": None, "b": (0, 3)}, 3)


def test_a_bank_of_teachers_with_other_columns():
    z = torch.randn(2, 6, 4, generator=torch.Generator().manual_seed(1))
    bank = TeacherBank.from_logits(
        {"a": z[0, :, :2], "b": z[1]}, classes={"a": ["eel", "cat"]}, class_names=NAMES
    )
    assert torch.equal(bank.classes, torch.tensor([[True, False, True, False], [True] * 4]))
    torch.testing.assert_close(bank.mean_probs()[0][:, [2, 0]], torch.softmax(z[0, :, :2], -1))
    torch.testing.assert_close(bank.mean_probs()[1], torch.softmax(z[1], -1))


def test_another_order_of_all_classes_is_no_partial_teacher():
    p = torch.tensor([[0.1, 0.2, 0.3, 0.4]])
    bank = TeacherBank.from_probs({"a": p}, classes={"a": NAMES[::-1]}, class_names=NAMES)
    assert bank.classes is None
    torch.testing.assert_close(bank.probs[0], p.flip(-1))


def test_indices_need_no_names():
    p = torch.tensor([[0.5, 0.5], [0.25, 0.75]])
    halves = TeacherBank.from_probs({"a": p, "b": p}, classes={"a": [0, 1], "b": [2, 3]})
    assert halves.classes.tolist() == [[True, True, False, False], [False, False, True, True]]
    beside_five = TeacherBank.from_probs({"a": p, "b": torch.full((2, 5), 0.2)}, classes={"a": [3, 1]})
    torch.testing.assert_close(beside_five.mean_probs()[0, 1], torch.tensor([0.0, 0.75, 0.0, 0.25, 0.0]))


@pytest.mark.parametrize(
    ("classes", "names", "message"),
    [
        ({"aa": [0, 1]}, None, "no teacher 'aa'.*did you mean 'a'"),
        ({"a": ["cat", "dog"]}, None, "'cat' is a name"),
        ({"a": ["cat", "dog", "eel"]}, NAMES, "has 2 columns for 3 classes"),
        ({}, None, "'a' has 2 classes, teacher 'b' 4"),
    ],
)
def test_classes_that_do_not_fit_a_bank_are_refused(classes, names, message):
    with pytest.raises(InputError, match=message):
        TeacherBank.from_logits(
            {"a": torch.zeros(3, 2), "b": torch.zeros(3, 4)}, classes=classes, class_names=names
        )

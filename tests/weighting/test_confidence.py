"""CA-MKD's weights by hand, and where the formula would give infinity minus infinity."""

import pytest
import torch

from mtbkd import weighting
from mtbkd.errors import InputError
from mtbkd.registry import default_config
from mtbkd.rules import Offer, apply
from mtbkd.teachers import TeacherBank


def test_three_teachers_by_hand():
    # exp CE = 1 / p(y) = 2, 4, 10 at row 0: w = (1 - (2, 4, 10) / 16) / 2.
    probs = {"a": [[0.5, 0.5]] * 2, "b": [[0.25, 0.75]] * 2, "c": [[0.1, 0.9]] * 2}
    bank = TeacherBank.from_probs({name: torch.tensor(p) for name, p in probs.items()})
    found = weighting.confidence(bank, torch.tensor([0, -1]))
    torch.testing.assert_close(found, torch.tensor([[14 / 32, 12 / 32, 6 / 32], [1 / 3] * 3]))
    heard = weighting.weigh(default_config("weighting", "confidence"), bank, torch.tensor([0, -1]))
    torch.testing.assert_close(heard.teachers, found)


def test_is_the_softmax_of_cross_entropies_of_logits():
    z = 3 * torch.randn(4, 6, 5, generator=torch.Generator().manual_seed(0))
    labels = torch.tensor([0, 1, 2, 3, 4, 0])
    losses = torch.stack([torch.nn.functional.cross_entropy(t, labels, reduction="none") for t in z], -1)
    expected = (1 - torch.softmax(losses, -1)) / 3
    bank = TeacherBank.from_logits({f"t{m}": t for m, t in enumerate(z)})
    torch.testing.assert_close(weighting.confidence(bank, labels), expected)


def test_teachers_that_think_the_label_impossible_share_the_loss():
    no, maybe, sure = [[0.0, 1.0]], [[0.5, 0.5]], [[1.0, 0.0]]
    bank = TeacherBank.from_probs({n: torch.tensor(p) for n, p in zip("abc", (no, no, sure), strict=True)})
    torch.testing.assert_close(
        weighting.confidence(bank, torch.tensor([0])), torch.tensor([[0.25, 0.25, 0.5]])
    )
    bank = TeacherBank.from_probs({n: torch.tensor(p) for n, p in zip("abc", (no, maybe, sure), strict=True)})
    torch.testing.assert_close(weighting.confidence(bank, torch.tensor([0])), torch.tensor([[0.0, 0.5, 0.5]]))
    bank = TeacherBank.from_probs({n: torch.tensor(no) for n in "abc"})
    torch.testing.assert_close(weighting.confidence(bank, torch.tensor([0])), torch.full((1, 3), 1 / 3))


def test_one_teacher_counts_one_even_where_it_is_wrong():
    bank = TeacherBank.from_probs({"a": torch.tensor([[0.0, 1.0], [0.0, 1.0], [0.3, 0.7]])})
    assert weighting.confidence(bank, torch.tensor([0, 1, -1])).tolist() == [[1.0], [1.0], [1.0]]


def test_a_class_that_a_teacher_does_not_know_is_one_in_k():
    # Of class 2 "narrow" says 1/3, "wide" .5: exp CE = 3, 2.
    narrow, wide = torch.tensor([[0.5, 0.5, 0.0]]).log(), torch.tensor([[0.25, 0.25, 0.5]]).log()
    known = torch.tensor([[True, True, False], [True, True, True]])
    bank = TeacherBank.from_predictions({"narrow": narrow, "wide": wide}, classes=known)
    torch.testing.assert_close(weighting.confidence(bank, torch.tensor([2])), torch.tensor([[2 / 5, 3 / 5]]))


def test_labels_that_cannot_be():
    bank = TeacherBank.from_logits({"a": torch.zeros(2, 3)})
    config = default_config("weighting", "confidence")
    with pytest.raises(InputError, match="weighting 'confidence': label 3 at row 1"):
        apply("weighting", config, bank, torch.tensor([0, 3]), Offer())

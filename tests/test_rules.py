"""A rule is given what it names, held-out labels are checked at the door, and what is missing is told with its mend."""

import pytest
import torch

from mtbkd import registry, rules
from mtbkd.errors import InputError
from mtbkd.rules import HeldOut, Offer, StudentFunction
from mtbkd.teachers import TeacherBank

BANK = TeacherBank.from_logits({"a": torch.zeros(4, 3), "b": torch.arange(12.0).view(4, 3)})
LABELS = torch.tensor([2, -1, 0, 1])


def config(name):
    return registry.default_config("weighting", name)


def test_held_out_rows_are_the_labelled_ones():
    known = HeldOut(BANK, LABELS).known("rule", BANK)
    assert known.labels.tolist() == [2, 0, 1]
    assert torch.equal(known.bank.predictions[1], BANK.predictions[1][:, [0, 2, 3]])


@pytest.mark.parametrize(
    ("held_out", "told"),
    [
        (None, "rule: there is no labelled held-out row; give validation rows"),
        (HeldOut(BANK, torch.full((4,), -1)), "rule: there is no labelled held-out row"),
        (HeldOut(BANK.select(["b", "a"]), LABELS), "rule: held-out teachers b, a with 4 rows"),
        (HeldOut(BANK, LABELS[:3]), "4 rows and 3 labels; give the bank's teachers"),
        (HeldOut(BANK, LABELS + 1), "rule: label 3 at row 0"),
    ],
)
def test_held_out_labels_that_cannot_be(held_out, told):
    with pytest.raises(InputError, match=told):
        rules.held_out_rows("rule", BANK, held_out)


def test_a_rule_is_given_what_it_names(monkeypatch):
    seen = {}

    def accuracy(bank, labels=None, held_out=None, student=None, seed=0):
        seen.update(bank=bank, labels=labels, held_out=held_out, student=student, seed=seed)
        return "result"

    monkeypatch.setattr(registry.find("weighting", "accuracy"), "accuracy", accuracy)
    student = StudentFunction(torch.zeros(4, 1), lambda t, x: x, lambda t: t, torch.zeros(1), 5.0)
    held_out = HeldOut(BANK, LABELS)
    offer = Offer(held_out, lambda: student, seed=7)
    assert rules.apply("weighting", config("accuracy"), BANK, LABELS, offer) == "result"
    assert seen == {"bank": BANK, "labels": LABELS, "held_out": held_out, "student": student, "seed": 7}
    with pytest.raises(InputError, match="weighting 'accuracy' learns with the student; use it in a run"):
        rules.apply("weighting", config("accuracy"), BANK, LABELS, Offer(held_out))


def test_a_student_is_made_only_for_rules_that_ask():
    offer = Offer(student=lambda: pytest.fail("made"))
    assert rules.apply("weighting", config("uniform"), BANK, None, offer).shape == (4, 2)


def test_missing_labels_can_be_told_before_any_training():
    rules.check_held_out("weighting", config("uniform"), None)
    rules.check_held_out("weighting", config("best"), HeldOut(BANK, LABELS))
    with pytest.raises(InputError, match=r"weighting 'best': there is .*fit\(X, y, held_out=\(X, y\)\)"):
        rules.check_held_out("weighting", config("best"), None)

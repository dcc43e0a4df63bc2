"""Labels at the door of a weighting."""

import logging
import math

import pytest
import torch

from mtbkd.errors import InputError
from mtbkd.rules import HeldOut
from mtbkd.teachers import TeacherBank
from mtbkd.weighting.labels import held_out_scores, label_losses, pool_labels

PROBS = torch.tensor([[0.25, 0.75], [1.0, 0.0], [0.5, 0.5]])
BANK = TeacherBank.from_probs({"a": PROBS, "b": torch.tensor([[0.5, 0.5], [1.0, 0.0], [0.0, 1.0]])})


def test_labels_of_the_pool():
    assert pool_labels("rule", BANK, None).tolist() == [-1, -1, -1]
    assert pool_labels("rule", BANK, torch.tensor([1, -1, 0])).tolist() == [1, -1, 0]
    with pytest.raises(InputError, match=r"rule: labels have shape \(2,\) for 3 rows; give one a row"):
        pool_labels("rule", BANK, torch.tensor([1, 0]))
    with pytest.raises(InputError, match=r"rule: label 2 at row 1 is outside 0\.\.1"):
        pool_labels("rule", BANK, torch.tensor([1, 2, 0]))


def test_losses_are_finite():
    losses = label_losses(BANK, torch.tensor([0, 1, 0]))
    expected = [[math.log(4), math.log(2)], [1e300, 1e300], [math.log(2), 1e300]]
    torch.testing.assert_close(losses, torch.tensor(expected, dtype=torch.float64))
    assert bool(torch.isfinite(losses).all())
    assert losses.softmax(-1)[1].tolist() == [0.5, 0.5]
    assert losses.softmax(-1)[2].tolist() == [0.0, 1.0]


def test_held_out_labels_that_nobody_thinks_possible_are_left_out(caplog):
    held_out = HeldOut(BANK, torch.tensor([1, 1, -1]))
    with caplog.at_level(logging.INFO, "mtbkd"):
        scores = held_out_scores("rule", BANK, held_out)
    torch.testing.assert_close(scores, torch.tensor([[0.75, 0.5]]).log().double())
    assert caplog.messages == ["rule: 1 held-out rows to which all teachers give 0 are left out"]
    with pytest.raises(
        InputError, match="rule: all teachers give the label of every held-out row probability 0"
    ):
        held_out_scores("rule", BANK, HeldOut(BANK, torch.tensor([-1, 1, -1])))
    with pytest.raises(InputError, match="rule: there is no labelled held-out row"):
        held_out_scores("rule", BANK, None)

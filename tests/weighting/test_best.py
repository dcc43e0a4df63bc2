"""The best single teacher by held-out log score."""

import pytest
import torch

from mtbkd import weighting
from mtbkd.errors import InputError
from mtbkd.registry import default_config
from mtbkd.rules import HeldOut, Offer
from mtbkd.teachers import TeacherBank

CONFIG = default_config("weighting", "best")
ZEROS = torch.zeros(4, dtype=torch.int64)


def bank_of(**of_the_label):
    """Teachers by the probability that they give the first of two classes."""
    columns = {name: torch.tensor(p) for name, p in of_the_label.items()}
    return TeacherBank.from_probs({name: torch.stack([p, 1 - p], -1) for name, p in columns.items()})


def chosen(bank, labels=ZEROS):
    weights = weighting.weigh(CONFIG, bank, None, Offer(HeldOut(bank, labels))).teachers
    assert weights.sum(1).tolist() == [1.0] * bank.num_rows
    return bank.names[int(weights[0].argmax())]


def test_the_log_score_decides_and_not_the_accuracy():
    # "bold" is right three times of four, and pays for the fourth: log .9 * 3 + log .01 < 4 log .45.
    assert chosen(bank_of(bold=[0.9, 0.9, 0.9, 0.01], careful=[0.45] * 4)) == "careful"


def test_fewest_impossible_labels_come_first_and_then_the_score_of_the_others():
    bank = bank_of(twice=[1.0, 1.0, 0.0, 0.0], once=[0.5, 0.5, 0.5, 0.0], better=[0.6, 0.6, 0.0, 0.6])
    assert chosen(bank) == "better"
    assert chosen(bank.select(["twice", "once"])) == "once"


def test_of_equal_teachers_the_first_is_taken():
    p = torch.rand(4, generator=torch.Generator().manual_seed(0)).tolist()
    assert chosen(bank_of(worse=[0.001] * 4, one=p, same=p)) == "one"
    assert chosen(bank_of(same=p, one=p, worse=[0.001] * 4)) == "same"


def test_the_pool_may_have_other_rows():
    held_out = HeldOut(bank_of(a=[0.9] * 4, b=[0.1] * 4), ZEROS)
    assert weighting.best(bank_of(a=[0.1], b=[0.9]), held_out=held_out).tolist() == [[1.0, 0.0]]


def test_what_cannot_be():
    bank = bank_of(a=[0.0] * 4, b=[0.0] * 4)
    assert weighting.best(bank.select(["a"])).tolist() == [[1.0]] * 4
    with pytest.raises(InputError, match="weighting 'best': there is no labelled held-out row"):
        weighting.best(bank)
    with pytest.raises(
        InputError, match="weighting 'best': all teachers give the label of every held-out row"
    ):
        weighting.best(bank, held_out=HeldOut(bank, ZEROS))

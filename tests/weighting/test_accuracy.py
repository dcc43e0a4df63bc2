"""Weights by held-out accuracy."""

import pytest
import torch

from mtbkd import weighting
from mtbkd.errors import InputError
from mtbkd.registry import default_config
from mtbkd.rules import HeldOut, Offer
from mtbkd.teachers import TeacherBank

CONFIG = default_config("weighting", "accuracy")


def bank_of(**most_probable):
    """Teachers that give .8 to the classes named, of three."""
    return TeacherBank.from_probs(
        {
            name: 0.1 + 0.7 * torch.nn.functional.one_hot(torch.tensor(k), 3)
            for name, k in most_probable.items()
        }
    )


LABELS = torch.tensor([0, 1, 2, 0, -1])
HELD_OUT = bank_of(right=[0, 1, 2, 0, 0], half=[0, 1, 0, 1, 0], never=[1, 2, 0, 1, 0])
POOL = bank_of(right=[0, 1], half=[0, 1], never=[0, 1])


def test_by_hand():
    # 4, 2 and 0 of the four labelled rows are right.
    heard = weighting.weigh(CONFIG, POOL, None, Offer(HeldOut(HELD_OUT, LABELS)))
    torch.testing.assert_close(heard.teachers, torch.tensor([[2 / 3, 1 / 3, 0.0]] * 2))


def test_where_none_is_ever_right_all_count_the_same():
    names = ["never", "half"]
    held_out = HeldOut(HELD_OUT.select(names), torch.tensor([-1, -1, 1, -1, -1]))
    assert weighting.accuracy(POOL.select(names), held_out=held_out).tolist() == [[0.5, 0.5]] * 2


def test_a_bayesian_teacher_is_right_where_its_mean_is():
    # Two draws in three say class 0, but the mean is .4 to .6.
    draws = torch.tensor([[[0.55, 0.45]], [[0.55, 0.45]], [[0.1, 0.9]]])
    bank = TeacherBank.from_probs({"drawn": draws, "point": torch.tensor([[0.9, 0.1]])})
    assert weighting.accuracy(bank, held_out=HeldOut(bank, torch.tensor([1]))).tolist() == [[1.0, 0.0]]
    assert weighting.accuracy(bank, held_out=HeldOut(bank, torch.tensor([0]))).tolist() == [[0.0, 1.0]]


def test_one_teacher_needs_no_labels_and_several_do():
    assert weighting.accuracy(POOL.select(["never"])).tolist() == [[1.0], [1.0]]
    with pytest.raises(InputError, match="weighting 'accuracy': there is no labelled held-out row"):
        weighting.accuracy(POOL)
